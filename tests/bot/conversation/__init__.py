"""The conversation, through every platform."""
