"""Questions that people ask the bot, and the answers, once for all platforms."""
