"""Communities' policies, each read from the store once."""

from datetime import UTC, datetime

from bot.domain.policy import Policy
from bot.store import Store


class PolicyCache:
    """The policies in force. Only this process changes them, so what was read once stays true."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._policies: dict[str, Policy] = {}

    async def of(self, community: str) -> Policy:
        """The community's policy, the default where none was saved. Raises the store's errors."""
        if community not in self._policies:
            saved = await self._store.policy(community)
            self._policies.setdefault(community, saved)  # one that was set meanwhile is newer
        return self._policies[community]

    async def set(self, community: str, policy: Policy) -> None:
        """Saved, and in force from the next decision on."""
        await self._store.save_policy(community, policy, datetime.now(UTC))
        self._policies[community] = policy
