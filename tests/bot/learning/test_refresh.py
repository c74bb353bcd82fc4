"""When a refresh starts by itself."""

import asyncio
import json
import os
import resource
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import service
from bot.config import BadConfig, Config, Service, read_config
from bot.config import Learning as LearningSettings
from bot.domain.policy import Policy
from bot.learning.refresh import TRUSTED, Learning, Refresh, refresh_command
from bot.store import Store
from model.adapters.registry import SHIPPED, Registry
from model.choice import BaseChoice
from model.classifier import Died, Overloaded, Unavailable
from model.labels import HARMFUL
from tests.bot.signed_in import operator
from tests.bot.store.test_store import seen_case
from tests.model.adapters.test_canaries import made
from training import hate_recall, trust

REFUSED = "import json; print(json.dumps({'stage': 'finished', 'share': 1.0, 'result': 'refused: no'}))"


class StubClock:
    """Says what the test says."""

    def __init__(self, hour: int) -> None:
        self.now = datetime(2026, 5, 1, hour, 10)  # noqa: DTZ001 - the local clock

    def __call__(self) -> datetime:
        return self.now


async def starts(store: Store, folder: Path, after: int, hour: int | None, clock: StubClock, expected: int) -> int:
    """How many refreshes the schedule started, once as many as expected are over and a little later.

    Each one says at once that it was refused.
    """
    finished: list[str] = []
    learning = Learning(
        store,
        Registry(folder / "adapters", SHIPPED),
        [sys.executable, "-c", REFUSED],
        lambda told: finished.append(told.result) if told.result else None,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(learning.keep_schedule(group, after, hour, every_s=0.02, clock=clock))
        async with asyncio.timeout(30):
            while len(finished) < expected:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        task.cancel()
    assert set(finished) <= {"refused: no"}
    return len(finished)


async def teach(store: Store, number: int, community: str = "try-out") -> None:
    moment = datetime.now(UTC) + timedelta(milliseconds=number)
    if community != "try-out":
        await store.record_example(community, "telegram", "telegram:666", f"text {number}", "neutral", moment)
        return
    case = await seen_case(store, number=str(number))
    await store.record_correction(case, "dana", "neutral", "authored", moment, confirms=False)


async def test_enough_corrections_start_one_refresh(store: Store, tmp_path: Path) -> None:
    """Two are too few for three; the third starts it, once, though it was refused."""
    clock = StubClock(12)
    await teach(store, 1)
    await teach(store, 2)
    assert await starts(store, tmp_path, 3, None, clock, 0) == 0
    await teach(store, 3)
    assert await starts(store, tmp_path, 3, None, clock, 1) == 1
    assert (await store.training_views.since_refresh()).total() == 0


@pytest.mark.parametrize(
    ("other", "status", "expected"),
    [
        ("promoted second: 10 of 10", 0, "refused: no; other languages: promoted second: 10 of 10"),
        ("refused: worse", 3, "refused: no; other languages: refused: worse"),
        ("nothing to learn from yet", 4, "refused: no"),
    ],
)
async def test_both_bases_learn_one_after_the_other(
    other: str, status: int, expected: str, store: Store, tmp_path: Path
) -> None:
    """Their results are one, without that of a base that had nothing to learn; the stages go on."""
    told: list[Refresh] = []
    line = json.dumps({"stage": "finished", "share": 1.0, "result": other})
    commands = [[sys.executable, "-c", code] for code in (REFUSED, f"print({line!r}); raise SystemExit({status})")]
    registry = Registry(tmp_path / "adapters", SHIPPED)
    learning = Learning(store, registry, commands[0], told.append, other_command=commands[1])
    async with asyncio.TaskGroup() as group:
        learning.start(group)
    assert told[-1].result == expected and not told[-1].running
    assert [each.share for each in told] == sorted(each.share for each in told)
    assert [each.stage for each in told][-2:] == ["other languages: finished", "finished"]


async def test_its_hour_starts_it_once_a_day(store: Store, tmp_path: Path) -> None:
    """Not before, not without anything new, not twice."""
    await teach(store, 1)
    assert await starts(store, tmp_path, 0, 4, StubClock(3), 0) == 0
    assert await starts(store, tmp_path, 0, 4, StubClock(4), 1) == 1
    assert await starts(store, tmp_path, 0, 4, StubClock(4), 0) == 0


async def test_outsiders_start_no_refresh(store: Store, tmp_path: Path) -> None:
    """Ten words of a community that is not trusted are no step towards three; theirs are learned at the daily hour."""
    for number in range(10):
        await teach(store, number, "telegram--9")
    await teach(store, 11)
    await teach(store, 12)
    assert await starts(store, tmp_path, 3, None, StubClock(12), 0) == 0
    assert await store.training_views.since_refresh() == {"telegram--9": 10, "try-out": 2}
    assert await starts(store, tmp_path, 0, 12, StubClock(12), 1) == 1


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("", ["try-out"]),
        ("trusted = []", [""]),
        ('trusted = ["try-out", "discord-123", "telegram--1009"]', ["try-out", "discord-123", "telegram--1009"]),
    ],
)
def test_the_list_reaches_the_refresh(line: str, names: list[str], tmp_path: Path) -> None:
    """The command line of a refresh names each; an empty list is not the default one."""
    (tmp_path / "config.toml").write_text(f"[learning]\n{line}\n")
    trusted = read_config(tmp_path / "config.toml").learning.trusted
    command = refresh_command(tmp_path, tmp_path, tmp_path, 9, 2, BaseChoice("minilm"), trusted=trusted)
    assert [word for word in command if word.startswith("--trusted")] == [f"--trusted={name}" for name in names]


@pytest.mark.parametrize(
    "name", ["tryout", "discord 5", "discord-", "@group", "telegram-x", "c-discord-5", "discord-5\\n"]
)
def test_a_typo_in_the_list_names_it(name: str, tmp_path: Path) -> None:
    """And says what a community is called."""
    (tmp_path / "config.toml").write_text(f'[learning]\ntrusted = ["try-out", "{name}"]\n')
    with pytest.raises(BadConfig, match=r'"learning.trusted".*is no community; write "try-out", "discord-"') as caught:
        read_config(tmp_path / "config.toml")
    assert "\n" not in str(caught.value)


async def test_without_a_schedule_nothing_starts(store: Store, tmp_path: Path) -> None:
    """The button and the command are the only ways."""
    await teach(store, 1)
    assert await starts(store, tmp_path, 0, None, StubClock(4), 0) == 0


def test_training_and_the_bot_mean_the_same() -> None:
    """Who is trusted by default, and the thresholds a new community starts with: neither imports the other."""
    assert list(trust.TRUSTED) == list(TRUSTED) == LearningSettings().trusted
    for label in HARMFUL:
        section = Policy().of(label)
        assert (section.act_at, section.alert_at) == (
            hate_recall.ACTION_THRESHOLDS[label],
            hate_recall.ALERT_THRESHOLDS[label],
        )


async def test_the_page_says_which_adapter_learned_from_outsiders(tmp_path: Path) -> None:
    """One made before the list was kept: how many of its words they said, and that the next refresh starts before it.
    What a community's own adapter learned from the community itself is no such word."""
    settings = Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "keys" / "sealing.key"))
    registry = Registry(tmp_path / "data" / "adapters", SHIPPED)
    for scope in ("global", "c-telegram--9"):
        made(registry.root / scope / "old", lambda tensors: None, examples=("1", "2", "3", "99"))
        registry.promote(f"{scope}/old")
    async with service(Config(service=settings)) as running, operator(running) as session:
        for number, community in enumerate(("telegram--9", "telegram--9", "try-out")):
            await running.parts.store.record_example(
                community, "telegram", "telegram:1", f"text {number}", "neutral", datetime.now(UTC)
            )
        async with session.get("/api/adapters") as answer:
            rows = {(row["community"], row["version"]): row for row in (await answer.json())["adapters"]}
    assert (rows["", "old"]["untrusted"], rows["", "old"]["taken_back"]) == (2, 1)
    assert rows["telegram--9", "old"]["untrusted"] == 0


async def test_a_community_may_have_an_adapter_of_its_own(store: Store, tmp_path: Path) -> None:
    """Promoted for one: it serves there and nowhere else; a spoilt one does not; rolled back, the one for all does."""
    registry = Registry(tmp_path / "adapters", SHIPPED)
    learning = Learning(store, registry, [], lambda told: None)
    common = learning.serving
    assert learning.adapter_of("town") == learning.adapter_of("../strange") == common
    for version in ("v1", "v2"):
        folder = tmp_path / "adapters" / "c-town" / version
        shutil.copytree(SHIPPED, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "version": version}))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(learning.watch(lambda adapter, problem: None, every_s=0.02))
        for change, serving in (
            (lambda: registry.promote("c-town/v1"), "c-town/v1"),
            (lambda: registry.promote("c-town/v2"), "c-town/v2"),
            (lambda: registry.rollback("c-town"), "c-town/v1"),
            (lambda: registry.rollback("c-town"), common),
        ):
            change()
            async with asyncio.timeout(30):
                while learning.adapter_of("town") != serving:
                    await asyncio.sleep(0.02)
            assert learning.adapter_of("village") == common
        registry.promote("c-town/v1")
        task.cancel()
    (tmp_path / "adapters" / "c-town" / "v1" / "adapter_model.safetensors").write_bytes(b"spoilt")
    assert Learning(store, registry, [], lambda told: None).adapter_of("town") == common


async def test_with_too_many_open_files_no_other_adapter_judges(store: Store, tmp_path: Path) -> None:
    """A community's messages wait: the adapter for all may punish what its own allows."""
    registry = Registry(tmp_path / "adapters", SHIPPED)
    shutil.copytree(SHIPPED, tmp_path / "adapters" / "c-town" / "v1")
    registry.promote("c-town/v1")
    learning = Learning(store, registry, [], lambda told: None)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, before[1]))
    try:
        with pytest.raises(Unavailable, match="Too many open files"):
            learning.adapter_of("town")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert learning.adapter_of("town") == "c-town/v1"


async def test_an_adapter_that_ends_the_models_process_is_given_up(store: Store, tmp_path: Path) -> None:
    """Tried three times, not for ever: each try takes the model from everybody. One that cannot be tried yet waits."""
    registry = Registry(tmp_path / "adapters", SHIPPED)
    answers: list[Exception] = [Unavailable("loading"), Overloaded("later"), *[Died("killed")] * 3]
    tried: list[str] = []

    async def trial(adapter: str) -> None:
        tried.append(adapter)
        if adapter == "global/v1" and answers:
            raise answers.pop(0)

    learning = Learning(store, registry, [], lambda told: None, trial)
    shipped, told = learning.serving, list[tuple[str, str]]()
    shutil.copytree(SHIPPED, tmp_path / "adapters" / "global" / "v1")
    registry.promote("global/v1")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(learning.watch(lambda *one: told.append(one), every_s=0.02))
        async with asyncio.timeout(30):
            while not told:
                await asyncio.sleep(0.02)
        assert learning.serving == shipped and told == [(shipped, f"killed. {shipped} serves instead.")]
        assert tried.count("global/v1") == 5
        registry.promote("global/v1")  # mended, and promoted again
        async with asyncio.timeout(30):
            while learning.serving != "global/v1":
                await asyncio.sleep(0.02)
        assert learning.problem == "" and len(told) == 2
        task.cancel()
