"""What people ask the bot and what it answers, once for all platforms."""
