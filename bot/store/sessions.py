"""Records who is signed in to the page. Only the browser has the token; the store has its SHA-256."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.sealing import Sealer
from bot.store.writer import Writer

Account = tuple[str, str, str, Sequence[str]]
"""Platform, id there, name, communities that the platform named."""


class Sessions:
    """The store's sessions; an account's id and name are sealed."""

    def __init__(self, engine: AsyncEngine, writer: Writer, sealer: Sealer) -> None:
        self._engine = engine
        self._writer = writer
        self._sealer = sealer

    async def begin(self, token: str, account: Account, now: datetime, ends_at: datetime) -> None:
        """Keeps a session until `ends_at`; ended sessions are deleted."""
        row = {
            "token": _digest(token),
            "account": self._pseudonym(account),
            "account_sealed": self._sealer.seal(json.dumps(account)),
            "ends_at": t.naive(ends_at),
        }

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.delete(t.session).where(t.session.c.ends_at <= t.naive(now)))
            connection.execute(sa.insert(t.session).values(row))

        await self._writer.write(work)

    async def account(self, token: str, now: datetime) -> Account | None:
        """Returns the person of this session; None where it has ended or never was."""
        query = sa.select(t.session.c.account_sealed).where(
            t.session.c.token == _digest(token), t.session.c.ends_at > t.naive(now)
        )
        async with self._engine.connect() as connection:
            sealed = (await connection.execute(query)).scalar_one_or_none()
        text = None if sealed is None else self._sealer.legible(sealed)
        if text is None:
            return None
        platform, number, name, places = json.loads(text)
        return platform, number, name, places

    async def end(self, token: str) -> None:
        """Signs this one browser out."""
        await self._delete(t.session.c.token == _digest(token))

    async def end_all_of(self, account: Account) -> None:
        """Signs all browsers of one account out."""
        await self._delete(t.session.c.account == self._pseudonym(account))

    async def end_all(self) -> None:
        """Signs everybody out."""
        await self._delete(sa.true())

    async def _delete(self, which: sa.ColumnElement[bool]) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(sa.delete(t.session).where(which))

        await self._writer.write(work)

    def _pseudonym(self, account: Account) -> str:
        platform, number, *_ = account
        return self._sealer.author(platform, "page", number)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
