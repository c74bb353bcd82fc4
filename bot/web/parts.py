"""What the page's routes talk to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from bot.desk import Desk
from bot.learning import Learning
from bot.moderator import Moderator
from bot.platforms.base import Overview
from bot.platforms.webchat import WebChat
from bot.store import Store
from bot.web.access import Access
from bot.web.feed import Feed
from model.adapters import Registry
from model.classifier import Classifier
from model.two_stages import Tally


@dataclass(frozen=True, slots=True)
class Parts:
    """The running service."""

    store: Store
    moderator: Moderator
    desk: Desk
    chat: WebChat
    classifier: Classifier
    registry: Registry
    learning: Learning
    feed: Feed
    group: asyncio.TaskGroup
    access: Access
    model_trouble: Callable[[], str] = lambda: ""
    tally: Tally | None = None
    own_categories: bool = False
    platforms: Sequence[Callable[[], Awaitable[Overview]]] = ()


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)


def error_json(text: str, status: int) -> web.Response:
    """One line that says what is wrong."""
    return web.json_response({"error": text}, status=status)
