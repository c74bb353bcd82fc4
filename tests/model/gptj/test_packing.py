"""Packing and the prefix cache alone: which tokens a token sees, and which prefixes stay."""

import torch

from model.gptj.packing import ALIGNMENT, pack
from model.gptj.prefix_cache import PrefixCache

BATCH = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]


def sees(mask: torch.Tensor, row: int, at: int) -> set[int]:
    """The columns (prefix first) that a token may look at."""
    return set((mask[row, 0, at] == 0).nonzero().flatten().tolist())


def test_each_message_sees_the_prefix_and_itself() -> None:
    """Four messages of two adapters are packed into two rows, each as if alone after three prefix tokens."""
    packed = pack(BATCH, [0, 1, 0, 1], 3, row_tokens=5)
    assert packed.row_group == [0, 1]
    assert (packed.ids.shape[1] + 3) % ALIGNMENT == 0
    for row in range(2):
        for at, owner in enumerate(packed.message[row].tolist()):
            if owner < 0:
                continue
            mine = [n for n, other in enumerate(packed.message[row].tolist()) if other == owner and n <= at]
            assert sees(packed.mask, row, at) == {0, 1, 2} | {3 + n for n in mine}
            assert packed.positions[row, at] == 3 + len(mine) - 1
    flat = packed.ids.flatten()
    assert flat[packed.last_places].tolist() == [3, 4, 6, 10]


def test_rows_are_filled_and_a_long_message_gets_a_longer_one() -> None:
    """Every message appears once, and a row exceeds its capacity only for a single long message."""
    lengths = [100, 90, 60, 50, 40, 30, 20, 10, 300]
    batch = [[n] * size for n, size in enumerate(lengths)]
    packed = pack(batch, [0] * len(batch), 0, row_tokens=128)
    counted = [int((packed.message == n).sum()) for n in range(len(batch))]
    assert counted == lengths and packed.ids.shape == (3, 304)
    small = pack(batch[:-1], [0] * 8, 0, row_tokens=128)
    assert small.ids.shape == (4, 120)  # 400 tokens, the fullest row has 120


def test_branches_see_their_message_but_not_each_other() -> None:
    """Two answers of several tokens after one message see that message but not each other."""
    packed = pack([[1, 2]], [0], 1, [(20, 21), (30,)])
    assert packed.ids[0, :5].tolist() == [1, 2, 20, 21, 30]
    assert packed.positions[0, :5].tolist() == [1, 2, 3, 4, 3]
    assert sees(packed.mask, 0, 3) == {0, 1, 2, 3, 4} and sees(packed.mask, 0, 4) == {0, 1, 2, 5}
    assert packed.ids.flatten()[packed.branch_places].tolist() == [[20, 21, 30]]
    assert packed.ids.flatten()[packed.last_places].tolist() == [2]


def test_padding_never_makes_a_row_of_nothing() -> None:
    """Without a prefix a padding token still sees itself, so no softmax is empty."""
    packed = pack([[1], [2, 3, 4]], [0, 1], 0, row_tokens=1)
    assert all(sees(packed.mask, row, at) for row in range(2) for at in range(packed.ids.shape[1]))


def layers(value: float) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The keys and values of one layer, 2 KiB."""
    part = torch.full((1, 1, 16, 16), float(value))
    return [(part, part.clone())]


def test_prefixes_stay_within_their_limit_and_go_with_their_adapter() -> None:
    """With room for three, the least recently used prefix goes, and dropping "a1" keeps "a10"."""
    cache = PrefixCache(limit_mib=6.5 / 1024)
    for n, name in enumerate(["a1", "a10", "b"]):
        cache.get(name, "p", lambda n=n: layers(n))
    cache.get("a1", "p", list)
    cache.get("c", "p", lambda: layers(9))
    assert cache.adapters == {"a1", "b", "c"} and cache.held_bytes == 3 * 2048
    assert float(cache.get("a1", "p", list)[0][0][0, 0, 0, 0]) == 0.0
    cache.get("a10", "p", lambda: layers(1))
    cache.drop("a1")
    assert "a10" in cache.adapters and "a1" not in cache.adapters
    assert float(cache.get("a1", "p", lambda: layers(7))[0][0][0, 0, 0, 0]) == 7.0


def test_one_prefix_is_always_kept() -> None:
    """The cache keeps the latest prefix even if the limit is too small for one."""
    cache = PrefixCache(limit_mib=0.0)
    cache.get("a", "p", lambda: layers(1))
    cache.get("b", "p", lambda: layers(2))
    assert cache.adapters == {"b"}
