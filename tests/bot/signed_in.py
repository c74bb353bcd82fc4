"""A program that is signed in to the page, as a browser with a link from the terminal is."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import ClientSession, CookieJar
from yarl import URL

from bot.app import Running


def link(running: Running) -> str:
    """A one-time link to the running service's page."""
    return f"http://127.0.0.1:{running.port}/?token={running.links.issue()}"


@contextlib.asynccontextmanager
async def by_link(address: str) -> AsyncIterator[ClientSession]:
    """Whoever read this link in the terminal, with the token that clicks take."""
    async with ClientSession(URL(address).origin(), cookie_jar=CookieJar(unsafe=True)) as session:
        async with session.get(URL(address).relative()) as answer:
            assert answer.status == 200 and answer.url.path == "/"
        async with session.get("/api/state") as answer:
            session.headers["X-CSRF-Token"] = (await answer.json())["csrf"]
        yield session


@contextlib.asynccontextmanager
async def operator(running: Running) -> AsyncIterator[ClientSession]:
    """Whoever runs the service."""
    async with by_link(link(running)) as session:
        yield session
