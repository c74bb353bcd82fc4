"""What the service remembers: tables, migrations, and one method per domain event."""

from bot.store.sealing import KeyMissing, Sealer
from bot.store.store import Case, Journalled, NewerStore, Store

__all__ = ["Case", "Journalled", "KeyMissing", "NewerStore", "Sealer", "Store"]
