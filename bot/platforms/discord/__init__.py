"""Discord: `service` is the platform, `gateway` the connection, `events` and `actions` translate.

The rest is what people see and click.
"""

from bot.config import Config
from bot.conversation.link_codes import LinkCodes
from bot.platforms.discord import check as checking
from bot.platforms.discord.bot import Access
from bot.platforms.discord.service import Discord
from bot.store import Store

__all__ = ["Access", "Discord", "check", "connect"]


def connect(config: Config, store: Store, link_codes: LinkCodes) -> Discord:
    """The platform, not yet connected."""
    return Discord(store, _access(config), link_codes)


async def check(config: Config) -> list[str]:
    """Lines for `python -m bot check`. Raises `PlatformRefuses` and `Unreachable`."""
    return await checking.check_access(_access(config))


def _access(config: Config) -> Access:
    """The address, token and limits of Discord, as config.toml and the environment say."""
    section = config.discord
    return Access(
        section.token,
        section.permission,
        section.members_intent,
        section.api,
        section.gateway,
        config.service.retention_days,
    )
