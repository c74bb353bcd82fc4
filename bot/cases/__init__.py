"""What moderators work with: cases, their cards, and how cards reach the moderators."""
