"""One message's way from the platform to its actions."""
