"""What the service remembers: tables, migrations, and one method per domain event."""

from bot.store.backups import Damaged, Recovery
from bot.store.cards import Card
from bot.store.communities import Community
from bot.store.corrections import Said, Word
from bot.store.queries import Case, Counts, Journalled
from bot.store.sealing import KeyMissing, Sealer
from bot.store.store import NewerStore, Store

__all__ = [
    "Card",
    "Case",
    "Community",
    "Counts",
    "Damaged",
    "Journalled",
    "KeyMissing",
    "NewerStore",
    "Recovery",
    "Said",
    "Sealer",
    "Store",
    "Word",
]
