"""What the service remembers: tables, migrations, and one method per domain event."""

from bot.store.backups import Damaged, Restored
from bot.store.cards import Card
from bot.store.communities import Community
from bot.store.engines import NewerStore
from bot.store.queries import Counts
from bot.store.sealing import KeyMissing, Sealer
from bot.store.store import Store

__all__ = [
    "Card",
    "Community",
    "Counts",
    "Damaged",
    "KeyMissing",
    "NewerStore",
    "Restored",
    "Sealer",
    "Store",
]
