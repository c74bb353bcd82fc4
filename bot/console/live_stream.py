"""The page's live stream: what happens in one community, for as long as its reader may know it."""

import asyncio
import contextlib
import time

from aiohttp import web

from bot.console.components import COMPONENTS, dumps, error_json
from bot.console.event_feed import EVERYWHERE, News
from bot.console.requests import hide_unreadable
from bot.console.rights import COMMUNITY_ASKED, SESSION
from bot.console.sign_in import DOOR
from bot.domain.platform import Unreachable
from bot.domain.role import Role

STREAMS = 100
"""Streams at once, of all pages together."""
LOOK_AGAIN_S = 20.0
"""A stream without news says so this often, and looks whether its reader is still signed in."""
WRITTEN_WITHIN_S = 20.0
OPEN_STREAMS: web.AppKey[list[object]] = web.AppKey("streams", list)
routes = web.RouteTableDef()


@routes.get("/api/events")
async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events of one community until the page goes, the service stops, or the right to read is gone."""
    streams = request.app[OPEN_STREAMS]
    if len(streams) >= STREAMS:
        return error_json(f"{STREAMS} pages are open already; close one, or try again later", 503)
    mark = object()
    streams.append(mark)
    try:
        return await _stream(request)
    finally:
        streams.remove(mark)


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    await response.write(b": hello\n\n")
    looked_at = time.monotonic()
    async with contextlib.aclosing(request.app[COMPONENTS].feed.listen(LOOK_AGAIN_S)) as listening:
        async for news in listening:
            if time.monotonic() - looked_at >= LOOK_AGAIN_S:
                if await request.app[DOOR].session(request) is None:
                    break
                looked_at = time.monotonic()
            text = await _told(request, news)
            if text is None or not await _written(response, text):
                break
    return response


async def _told(request: web.Request, news: News | None) -> str | None:
    """Returns what is sent to this reader, "" for nothing; None where they may not listen any more."""
    session, community, access = request[SESSION], request[COMMUNITY_ASKED], request.app[COMPONENTS].access
    try:
        role = await access.role(session.person, community)
        if role < Role.VIEWER:
            return None
        if news is None:
            return ": nothing new\n\n"
        if news.community not in (EVERYWHERE, community) or (news.is_operators and role is not Role.OPERATOR):
            return ""
        data = news.data
        if news.key is not None:
            data = {**data, "case": await hide_unreadable(request, data["case"], news.key)}
    except Unreachable:
        return None
    return f"data: {dumps(data)}\n\n"


async def _written(response: web.StreamResponse, text: str) -> bool:
    """False where the page is gone or does not read."""
    try:
        async with asyncio.timeout(WRITTEN_WITHIN_S):
            await response.write(text.encode())
    except (ConnectionResetError, TimeoutError):
        return False
    return True
