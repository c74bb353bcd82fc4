"""The parts of the service that the page's routes call."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.cases.service import CaseService
from bot.console.access import Access
from bot.console.event_feed import Feed
from bot.learning.refresh import Learning
from bot.pipeline.pipeline import Pipeline
from bot.platforms.protocol import Overview
from bot.platforms.webchat import WebChat
from bot.platforms.webchat.commands import ChatCommands
from bot.store import Store
from model.adapters.registry import Registry
from model.classifier import Classifier
from model.serving.two_stages import StageTally


@dataclass(frozen=True, slots=True)
class Components:
    """The running service."""

    store: Store
    pipeline: Pipeline
    case_service: CaseService
    chat: WebChat
    chat_commands: ChatCommands
    classifier: Classifier
    registry: Registry
    learning: Learning
    feed: Feed
    group: asyncio.TaskGroup
    access: Access
    model_trouble: Callable[[], str] = lambda: ""
    tally: StageTally | None = None
    own_categories: bool = False
    platforms: Sequence[Callable[[], Awaitable[Overview]]] = ()


COMPONENTS: web.AppKey[Components] = web.AppKey("parts", Components)


def answer_json(data: Any, status: int = 200) -> web.Response:
    """JSON as browsers read it: ValueError for NaN and infinity, which they do not."""
    return web.json_response(data, status=status, dumps=dumps)


def error_json(text: str, status: int) -> web.Response:
    """One line that says what is wrong."""
    return answer_json({"error": text}, status)


def dumps(data: Any) -> str:
    """See `answer_json`."""
    return json.dumps(data, allow_nan=False)


def loads(text: str) -> Any:
    """Reads JSON without NaN and infinity; raises ValueError, also for brackets nested too deeply."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("too many brackets within each other") from None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("too large a number")
    return number
