"""Texts in the reader's language, and members' texts made harmless."""
