"""Discord: `service` is the platform, `gateway` the connection, `events` and `acting` translate; people see the rest."""

from bot.platforms.discord.service import Access, Discord

__all__ = ["Access", "Discord"]
