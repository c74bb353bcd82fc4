"""How corrections become adapters that serve: the refresh, which adapter serves which community, and what would
change."""
