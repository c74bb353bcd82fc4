"""The page: try-out chat and the moderators' side, for this machine only."""
