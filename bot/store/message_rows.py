"""Rows of the message table and what is sealed in them, as the domain has them: unsealed, with times in UTC."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from bot.domain import action as actions
from bot.domain import restriction as restrictions
from bot.domain.action import Action
from bot.domain.case import Journalled, UnchangedAction
from bot.domain.decision import Decision
from bot.domain.event import Attached, Author, Message, MessageKey
from bot.domain.remaining_actions import RemainingActions
from bot.domain.restriction import Restriction, Unchanged
from bot.domain.row_state import RowState
from bot.store import nonfinite
from bot.store.sealing import Sealer

A_PIECE = 100
R = TypeVar("R")


def from_row(row: sa.RowMapping, sealer: Sealer) -> Journalled:
    """A row of the message table; the text is "" once it is not kept."""
    beside = (sealer.legible(row["beside_sealed"]) if row["beside_sealed"] else None) or "[]"
    quoted, attached, unreadable = json.loads(beside) or ("", (), "")
    return Journalled(
        id=row["id"],
        key=MessageKey(*(row[name] for name in ("platform", "community", "room", "message", "revision"))),
        state=RowState(row["state"]),
        text=(sealer.legible(row["text_sealed"]) or "") if row["text_sealed"] else "",
        decision=_decision(row["decision"]),
        probabilities=nonfinite.believed(row["probabilities"]),
        adapter=row["adapter"] or "",
        sent_at=row["sent_at"].replace(tzinfo=UTC),
        author=row["author"],
        tries=row["tries"],
        todo=None if row["todo"] is None else RemainingActions.from_json(row["todo"]),
        unsure=row["unsure"],
        unchanged=[_unchanged(one) for one in row["unchanged"] or ()],
        quoted=quoted,
        attached=tuple(Attached(*one) for one in attached),
        unreadable=unreadable,
    )


def _decision(data: Mapping[str, Any] | None) -> Decision | None:
    """None where there is no decision yet."""
    return Decision.from_json(nonfinite.decided(data)) if data else None


def unchanged_json(action: Action, what: Unchanged, *, undoes: bool) -> dict[str, Any]:
    """What was left as it stood, as kept beside a message."""
    standing = restrictions.to_json(Restriction(what.standing.kind, what.standing.until))  # without a person's words
    return {"action": actions.to_json(action), "standing": standing, "by": what.by, "undoes": undoes}


def _unchanged(data: Mapping[str, Any]) -> UnchangedAction:
    standing = Unchanged(restrictions.from_json(data["standing"]), data["by"])
    return UnchangedAction(actions.from_json(data["action"]), standing, data["undoes"])


def beside_json(event: Message) -> str | None:
    """What stands in a message beside its author's words, as sealed beside them; None for nothing."""
    if not (event.quoted or event.attached or event.unreadable):
        return None
    return json.dumps([event.quoted, [[one.kind, one.name] for one in event.attached], event.unreadable])


def author_json(author: Author) -> str:
    """An author as sealed beside a message."""
    joined = author.joined_at.isoformat() if author.joined_at else None
    return json.dumps([author.id, author.name, sorted(author.roles), author.is_moderator, author.is_bot, joined])


def author_from(text: str) -> Author:
    """What `author_json` made, now or when it knew no moment of joining."""
    number, name, roles, is_moderator, is_bot, *more = json.loads(text)
    joined = datetime.fromisoformat(more[0]) if more and more[0] else None
    return Author(number, name, frozenset(roles), is_moderator, is_bot, joined)


async def in_pieces(rows: Iterable[R]) -> AsyncIterator[R]:
    """Others have a turn now and then while many rows are unsealed."""
    for place, row in enumerate(rows, 1):
        yield row
        if place % A_PIECE == 0:
            await asyncio.sleep(0)


def columns_of(key: MessageKey) -> dict[str, Any]:
    """The columns that name a revision of a message."""
    return {name: getattr(key, name) for name in ("platform", "community", "room", "message", "revision")}
