"""Serves every route: the body of a request, and what its reader may see."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bot.console.access import CANNOT_SEE
from bot.console.components import COMPONENTS, error_json, loads
from bot.console.origin_guard import refusal
from bot.console.rights import CASE, COMMUNITY_ASKED, ROLE, SESSION
from bot.domain.case import Case
from bot.domain.event import MessageKey
from bot.domain.platform import Unreachable
from bot.domain.role import Role, Standing
from bot.pipeline.question_lane import Asker, AskLater, Rank

BODY_WITHIN_S = 10.0


async def body(request: web.Request) -> dict[str, Any]:
    """Returns the body, a JSON object; raises `HTTPBadRequest`, and `HTTPRequestTimeout` where it comes too slowly."""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            data = loads(await request.text())
    except TimeoutError:
        raise refusal(web.HTTPRequestTimeout, "the request did not arrive in time") from None
    except (ValueError, LookupError):  # LookupError: an encoding that is none
        data = None
    if not isinstance(data, dict):
        raise bad_request("send a JSON object")
    return data


async def hide_unreadable(request: web.Request, case: dict[str, Any], key: MessageKey) -> dict[str, Any]:
    """A case without its text, where it stands in a room that the reader cannot see. Raises `Unreachable`."""
    return case if await may_read(request, key) else {**case, "text": CANNOT_SEE, "author": "", "hidden": True}


async def may_read(request: web.Request, key: MessageKey) -> bool:
    """Whether the reader can see the room of a message. Raises `Unreachable`."""
    return await request.app[COMPONENTS].access.may_read(request[SESSION].person, key)


async def readable_case(request: web.Request) -> Case:
    """Returns the requested case; a person who cannot read its message cannot answer it."""
    case = request[CASE]
    try:
        if await may_read(request, case.message.key):
            return case
    except Unreachable as error:
        raise refusal(web.HTTPServiceUnavailable, f"the platform does not answer ({error})") from None
    raise refusal(web.HTTPForbidden, "this message stands in a room that you cannot see")


async def forbid_beyond(request: web.Request, find: Callable[[Standing], list[str]]) -> None:
    """Raises `HTTPForbidden` where the bot would do what the person may not do by hand: `find` names the rights."""
    standing = await request.app[COMPONENTS].access.standing(request[SESSION].person, request[COMMUNITY_ASKED])
    if rights := find(standing):
        names = ", ".join(right.removeprefix("can_").replace("_", " ") for right in rights)
        raise refusal(web.HTTPForbidden, f"the bot would do for you what you may not do yourself: you lack {names}")


def asker(request: web.Request) -> Asker:
    """Returns how the model's questions count the page's reader."""
    role = request[ROLE]
    rank = Rank.OPERATOR if role is Role.OPERATOR else Rank.MODERATOR if role >= Role.MODERATOR else Rank.MEMBER
    return Asker(request[COMMUNITY_ASKED], request[SESSION].person.key, rank)


def ask_later(error: AskLater) -> web.Response:
    """Too many questions for now."""
    answer = error_json(str(error), 429)
    answer.headers["Retry-After"] = str(error.wait_s)
    return answer


def bad_request(text: str) -> web.HTTPException:
    """Makes an error with one line that says what is wrong; to be raised."""
    return refusal(web.HTTPBadRequest, text)
