"""What tests ask of the journal and the service itself never does."""

import sqlalchemy as sa

from bot.domain.case import Journalled
from bot.domain.row_state import UNFINISHED
from bot.store import Store
from bot.store import tables as t
from bot.store.message_rows import from_row


async def unfinished(store: Store, platform: str) -> list[Journalled]:
    """The platform's messages with which something is still to be done, oldest first."""
    wanted = sa.and_(t.message.c.platform == platform, t.message.c.state.in_(UNFINISHED))
    async with store._engine.connect() as connection:
        rows = await connection.execute(sa.select(t.message).where(wanted).order_by(t.message.c.id))
        return [from_row(row._mapping, store.sealer) for row in rows]


async def commits(store: Store) -> int:
    """How many commits the store's log of changes counts."""
    async with store._engine.connect() as connection:
        return int((await connection.scalar(sa.select(t.change_log.c.number))) or 0)
