"""What the service remembers: tables, migrations, and one method per domain event."""

from bot.store.backups import Damaged, Recovery
from bot.store.cards import Card
from bot.store.communities import Community
from bot.store.reading import Case, Counts, Journalled
from bot.store.sealing import KeyMissing, Sealer
from bot.store.store import NewerStore, Store
from bot.store.words import Said, Word

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
