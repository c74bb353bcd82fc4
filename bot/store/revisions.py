"""The earlier revisions of a message: what an edit is compared with."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.case import CaseState, Journalled
from bot.domain.event import MessageKey
from bot.store import tables as t
from bot.store.message_rows import from_row
from bot.store.sealing import Sealer

MOST = 200
"""Of a message that was edited more often, the first and the latest revisions are looked at, half of them each."""


_THIS = t.message.alias()
_AUTHOR = sa.select(_THIS.c.author)
_BEFORE = sa.select(t.message, t.case.c.id.label("case_id"), t.case.c.state.label("case_state"), t.case.c.undone)
_BEFORE = _BEFORE.select_from(t.message.outerjoin(t.case))


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision in the journal, and its case if it has one. `answered`: a moderator has said or undone something."""

    row: Journalled
    case: int | None = None
    answered: bool = False
    undone: bool = False


class Revisions:
    """The store's revisions."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self._sealer = sealer

    async def before(self, row: int, key: MessageKey) -> list[Revision]:
        """What was received of this message before journal row `row`, oldest first. A title that somebody else had
        given is no earlier revision of it."""
        query = _BEFORE.where(
            *(t.message.c[name] == getattr(key, name) for name in ("platform", "community", "message")),
            t.message.c.id < row,
            t.message.c.author == _AUTHOR.where(_THIS.c.id == row).scalar_subquery(),
        )
        async with self._engine.connect() as connection:
            first = list(await connection.execute(query.order_by(t.message.c.id).limit(MOST)))
            if len(first) == MOST:
                last = list(await connection.execute(query.order_by(t.message.c.id.desc()).limit(MOST // 2)))
                first = [*first[: MOST // 2], *reversed(last)]
        revisions = {row.id: self._revision(row._mapping) for row in first}
        return list(revisions.values())

    def _revision(self, row: sa.RowMapping) -> Revision:
        undone = bool(row["undone"])
        answered = row["case_id"] is not None and (row["case_state"] != CaseState.OPEN or undone)
        return Revision(from_row(row, self._sealer), row["case_id"], answered, undone)
