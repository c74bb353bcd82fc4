"""What can be asked of the store: about messages, about cases, and about a community as a whole."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from bot.domain.case import CaseState
from bot.domain.policy import Policy, valid_parts
from bot.domain.row_state import RowState
from bot.store import tables as t
from bot.store.case_queries import CaseQueries, without_examples
from bot.store.message_queries import MessageQueries


@dataclass(frozen=True, slots=True)
class Counts:
    """A community since a moment: messages seen (each revision that says something else is one), cards opened and how
    many of those are answered, messages acted on and not undone, and messages whose script the model cannot
    read."""

    messages: int
    opened: int
    answered: int
    acted: int
    not_read: int


class Queries(CaseQueries, MessageQueries):
    """The store's questions; none of them changes anything. Texts are unsealed on the way out, times come back in
    UTC."""

    async def counts(self, community: str, since: datetime) -> Counts:
        """What happened in a community since a moment, for a status line."""
        seen = sa.and_(t.message.c.community == community, t.message.c.seen_at >= t.naive(since))
        opened = sa.and_(t.unindexed(t.message.c.community) == community, t.case.c.created_at >= t.naive(since))
        acted = sa.and_(seen, *_acted_on())
        count, cases = sa.select(sa.func.count()), t.case.join(t.message)
        queries = (
            count.select_from(t.message).where(seen, t.message.c.state != RowState.UNCHANGED, without_examples()),
            count.select_from(cases).where(opened, without_examples()),
            count.select_from(cases).where(opened, without_examples(), t.case.c.state != CaseState.OPEN),
            sa.select(sa.func.count(t.message.c.message.distinct()))
            .select_from(t.message.outerjoin(t.case))
            .where(acted),
            count.select_from(t.message).where(seen, t.message.c.decision["unread_script"].as_string().is_not(None)),
        )
        async with self._engine.connect() as connection:
            numbers = (await connection.execute(sa.select(*(query.scalar_subquery() for query in queries)))).one()
        return Counts(*map(int, numbers))

    async def policy(self, community: str) -> Policy:
        """The community's policy; the default (shadow mode) where none was saved."""
        async with self._engine.connect() as connection:
            query = sa.select(t.policy.c.policy).where(t.policy.c.community == community)
            saved = (await connection.execute(query)).scalar_one_or_none()
        return Policy() if saved is None else valid_parts(saved)


def _acted_on() -> tuple[sa.ColumnElement[bool], ...]:
    """Done and not undone; to be used where cases are joined."""
    undone = sa.func.coalesce(t.case.c.undone, False)
    return t.message.c.state == RowState.DONE, t.message.c.enforced.is_(True), undone.is_(False)
