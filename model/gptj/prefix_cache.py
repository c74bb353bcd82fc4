"""The KV cache of a prompt's constant part, for each adapter and prompt.

LoRA changes K and V, so a prefix is valid only for the adapter that computed it; with another adapter the logits are
wrong by 0.5. Each prefix is stored once and shared by every row of a batch. One short forward pass recomputes it, so
the least recently used are dropped at the limit.
"""

from collections import OrderedDict
from collections.abc import Callable

from model.gptj.network import KeyValue

Key = tuple[str, str]
"""(adapter, prompt version)."""


class PrefixCache:
    """Holds at most `limit_mib` of prefixes, but always the latest one."""

    def __init__(self, limit_mib: float) -> None:
        self._limit_bytes = limit_mib * 2**20
        self._kept: OrderedDict[Key, list[KeyValue]] = OrderedDict()

    def get(self, adapter: str, prompt: str, compute: Callable[[], list[KeyValue]]) -> list[KeyValue]:
        """The layers' keys and values (1, heads, P, head size) of this adapter and prompt, computed if missing."""
        key = (adapter, prompt)
        if key not in self._kept:
            self._kept[key] = compute()
            while self.held_bytes > self._limit_bytes and len(self._kept) > 1:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def drop(self, adapter: str) -> None:
        """Frees every prefix of this adapter."""
        for key in [key for key in self._kept if key[0] == adapter]:
            del self._kept[key]

    @property
    def adapters(self) -> set[str]:
        """The adapters with a prefix in the cache."""
        return {adapter for adapter, _ in self._kept}

    @property
    def held_bytes(self) -> int:
        """Bytes of all prefixes."""
        return sum(part.nbytes for layers in self._kept.values() for pair in layers for part in pair)
