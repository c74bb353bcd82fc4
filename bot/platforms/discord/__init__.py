"""Discord: `service` is the platform, `gateway` the connection, `events` and `acting` translate.

The rest is what people see and click.
"""

from bot.platforms.discord.bot import Access
from bot.platforms.discord.service import Discord

__all__ = ["Access", "Discord"]
