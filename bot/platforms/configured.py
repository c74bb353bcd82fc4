"""The platforms with a connection of their own, as far as there are tokens for them. A library is imported only where
it
is needed: each takes a moment and some memory."""

import importlib
from collections.abc import Iterator
from types import ModuleType

from bot.config import Config
from bot.conversation.link_codes import LinkCodes
from bot.platforms.protocol import Remote
from bot.process.events import CaseChanged, NoticeGiven, ServiceEvents
from bot.store import Store

PLATFORMS = ("discord", "telegram")
"""Folders beside this file, each with `connect` and `check`, and sections of config.toml with a token."""


def remotes(config: Config, store: Store) -> list[Remote]:
    """Those with a token, not yet connected. Raises `BadConfig` where a token's file cannot be read."""
    link_codes = LinkCodes()
    return [platform.connect(config, store, link_codes) for platform in _with_token(config)]


def tell(platform: Remote, events: ServiceEvents) -> None:
    """From now on the platform hears of changed cases and of notices."""
    events.subscribe(CaseChanged, lambda event: platform.show(event.case))
    events.subscribe(NoticeGiven, lambda event: platform.notify(event.notice))


async def platform_lines(config: Config, name: str) -> list[str]:
    """Returns the lines of `python -m bot check` about a platform. Raises `BadConfig`, `PlatformRefuses` and
    `Unreachable`."""
    for platform in _with_token(config, name):
        lines: list[str] = await platform.check(config)
        return lines
    title, variable = name.capitalize(), f"DOMOVOI_{name.upper()}_TOKEN"
    return [f"{title}: no token; put one into {variable} to moderate there"]


def _with_token(config: Config, *names: str) -> Iterator[ModuleType]:
    for name in names or PLATFORMS:
        if getattr(config, name).token:
            yield importlib.import_module(f"bot.platforms.{name}")
