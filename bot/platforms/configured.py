"""The platforms out there, as far as there are tokens for them. A library is imported only where it is needed: each
takes a moment and some memory."""

import secrets
from typing import TYPE_CHECKING

from bot.config import Config
from bot.conversation.link_codes import LinkCodes
from bot.platforms.protocol import Remote
from bot.process.events import CaseChanged, NoticeGiven, ServiceEvents
from bot.store import Store

if TYPE_CHECKING:
    from bot.platforms import discord, telegram


def remotes(config: Config, store: Store) -> list[Remote]:
    """Those with a token, not yet connected. Raises `BadConfig` where a token's file cannot be read."""
    found: list[Remote] = []
    link_codes = LinkCodes()
    if config.discord.token:
        from bot.platforms.discord import Discord

        found.append(Discord(store, discord_access(config), link_codes))
    if config.telegram.token:
        from bot.platforms.telegram import Telegram

        found.append(Telegram(store, telegram_access(config), link_codes))
    return found


def tell(platform: Remote, events: ServiceEvents) -> None:
    """From now on the platform hears of changed cases and of notices."""
    events.subscribe(CaseChanged, lambda event: platform.show(event.case))
    events.subscribe(NoticeGiven, lambda event: platform.notify(event.notice))


def discord_access(config: Config) -> "discord.Access":
    """How Discord is reached, as config.toml and the environment say."""
    from bot.platforms.discord import Access

    section = config.discord
    return Access(
        section.token,
        section.permission,
        section.members_intent,
        section.api,
        section.gateway,
        config.service.retention_days,
    )


def telegram_access(config: Config) -> "telegram.Access":
    """How Telegram is reached. A webhook's secret is made anew at each start and told to Telegram then."""
    from bot.platforms.telegram import Access

    section = config.telegram
    return Access(
        section.token,
        section.api,
        section.webhook_url,
        section.webhook_host,
        section.webhook_port,
        secrets.token_urlsafe(32),
        config.service.retention_days,
    )
