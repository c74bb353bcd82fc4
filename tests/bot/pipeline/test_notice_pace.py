"""Moderators are told the same once in ten minutes, and each community of its own."""

import pytest

from bot.domain.notice import Notice
from bot.domain.policy import Mode, Policy
from bot.pipeline import notice_pace
from bot.pipeline.notice_pace import NoticePace
from bot.pipeline.policy_cache import PolicyCache
from bot.store import Store


def test_the_same_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another row, another community or another notice is not the same; after ten minutes it is told again."""
    told, clock = list[Notice](), [0.0]
    monkeypatch.setattr(notice_pace.time, "monotonic", lambda: clock[0])
    pace = NoticePace(told.append)
    different = [Notice("notice-flood"), Notice("notice-failed", {"row": 1}), Notice("notice-failed", {"row": 2})]
    different += [Notice("notice-failed", {"row": 1}, "town")]
    for notice in (*different, *different):
        pace.tell_paced(notice)
    assert told == different
    pace.tell(different[0])
    assert told == [*different, different[0]]
    clock[0] = notice_pace.TOLD_AGAIN_AFTER_S
    pace.tell_paced(different[0])
    assert told[-1] == different[0] and len(told) == len(different) + 2


async def test_a_policy_is_read_once_and_in_force_once_it_is_set(store: Store) -> None:
    policies = PolicyCache(store)
    assert await policies.of("town") == Policy()
    await policies.set("town", Policy(mode=Mode.ENFORCE))
    assert (await policies.of("town")).mode is Mode.ENFORCE
    assert await PolicyCache(store).of("town") == await policies.of("town")
    assert (await policies.of("elsewhere")).mode is Mode.SHADOW
