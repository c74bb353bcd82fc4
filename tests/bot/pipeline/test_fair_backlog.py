"""What waits in the journal is taken up in fair turns: after a crash, and after a flood."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bot.domain.event import Message, MessageKey
from bot.domain.row_state import RowState
from bot.pipeline.pipeline import Pipeline
from bot.platforms.webchat import WebChat
from bot.store import Sealer, Store
from model.classifier import Item, Verdict
from tests.conftest import StubClassifier, said

FLOOD = 3000


def wrote(community: str, author: str, number: str, text: str) -> Message:
    key = MessageKey("webchat", community, "room", number)
    return replace(said(text, number, author), key=key)


async def flood(store: Store) -> None:
    """Then one message in another community, and one of another author in the flooded one."""
    events = [wrote("flood", f"author {n % 3}", f"f{n}", f"flood {n}") for n in range(FLOOD)]
    events += [wrote("calm", "ann", "c", "calm"), wrote("flood", "ben", "b", "beside")]
    for start in range(0, len(events), 500):
        await asyncio.gather(*(store.record_seen(one, datetime.now(UTC)) for one in events[start : start + 500]))


class Slow(StubClassifier):
    """Takes a moment for each batch, so that many wait."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        await asyncio.sleep(0.002)
        return await super().classify(items)


async def read(store: Store, device: StubClassifier, wanted: Sequence[str]) -> list[str]:
    """Texts in the order in which the model was asked for them, until it was asked for these."""
    chat = WebChat(lambda _: None)
    pipeline = Pipeline(store, device, {"webchat": chat}, adapter_of=lambda _: "global/stub", max_waiting=400)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        while not set(wanted) <= {text for batch in device.batches for text in batch}:
            await asyncio.sleep(0.01)
        running.cancel()
    return [text for batch in device.batches for text in batch]


async def test_rows_are_taken_by_community_then_by_author(store: Store) -> None:
    """Each author's in order, and the platform's and the states' alone."""
    await flood(store)
    numbers = list(await store.in_turn("webchat", ("seen",)))
    assert len(numbers) == len(set(numbers)) == FLOOD + 2
    assert numbers.index(FLOOD + 1) < 4 and numbers.index(FLOOD + 2) < 8
    mine = [number for number in numbers if number <= FLOOD and number % 3 == 0]
    assert mine == sorted(mine)
    assert not await store.in_turn("discord", ("seen",)) and not await store.in_turn("webchat", ("shed",))
    assert len(await store.in_turn("webchat", ("seen",), upto=10)) == 10


async def test_after_a_crash_a_calm_community_is_not_behind_the_flood(tmp_path: Path, sealer: Sealer) -> None:
    """Its message came last, and is among the first that are read; so is the other author's of the flooded one."""
    async with Store.open(tmp_path / "domovoi.db", sealer) as store:
        await flood(store)
    async with Store.open(tmp_path / "domovoi.db", sealer) as store:
        texts = await read(store, Slow(), ("calm", "beside"))
    assert max(map(texts.index, ("calm", "beside"))) < FLOOD / 10


async def test_what_a_flood_has_shed_comes_in_turns_too(store: Store) -> None:
    """A calm community's shed message does not wait for thousands of others."""
    await flood(store)
    for row in range(1, FLOOD + 3):
        await store.record_state(row, RowState.SHED)
    chat, device = WebChat(lambda _: None), Slow()
    pipeline = Pipeline(store, device, {"webchat": chat}, adapter_of=lambda _: "global/stub", max_waiting=400)
    store.newest_at_open = 0
    pipeline._recovery.has_shed = True
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        while not {"calm", "beside"} <= {text for batch in device.batches for text in batch}:
            await asyncio.sleep(0.01)
        running.cancel()
    texts = [text for batch in device.batches for text in batch]
    assert max(map(texts.index, ("calm", "beside"))) < FLOOD / 10
