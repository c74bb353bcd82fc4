"""Telegram: `service` is the platform, `updates` takes updates, `events` and `actions` translate.

The rest is what people see and click.
"""

import os
import secrets

os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library's coming way to say how long to wait

from bot.config import Config  # the library reads that when it is used
from bot.conversation.link_codes import LinkCodes
from bot.platforms.telegram import check as checking
from bot.platforms.telegram.bot import Access
from bot.platforms.telegram.service import Telegram
from bot.store import Store

__all__ = ["Access", "Telegram", "check", "connect"]


def connect(config: Config, store: Store, link_codes: LinkCodes) -> Telegram:
    """The platform, not yet connected."""
    return Telegram(store, _access(config), link_codes)


async def check(config: Config) -> list[str]:
    """Lines for `python -m bot check`. Raises `PlatformRefuses` and `Unreachable`."""
    return await checking.check_access(_access(config))


def _access(config: Config) -> Access:
    """The address, token and limits of Telegram, as config.toml and the environment say."""
    section = config.telegram
    return Access(
        section.token,
        section.api,
        section.webhook_url,
        section.webhook_host,
        section.webhook_port,
        secrets.token_urlsafe(32),  # a webhook's secret is made anew at each start and told to Telegram then
        config.service.retention_days,
    )
