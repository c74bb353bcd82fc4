"""The hourly cap guards against a model gone wrong: it counts the ordinary members such a model would hit."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.event import Message
from bot.domain.policy import LabelPolicy, Mode, Strikes
from bot.domain.row_state import RowState
from bot.store import Store
from model.labels import Label
from tests.bot.scenes import COMMUNITY, Room, room
from tests.conftest import StubClassifier

DELETE = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",))
DAY_S = 25 * 3600.0


async def known(scene: Room, names: list[str]) -> None:
    """They wrote here more than a day ago."""
    for name in names:
        await scene.says(name, "good morning", ago_s=DAY_S, wait=False)
    await scene.settled()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.pipeline.warning_pace.GATHER_S", 0.1)


async def test_when_the_cap_is_reached_not_one_action_more_is_done_and_it_is_told_once(store: Store) -> None:
    """Thirty members at once, a cap of ten: ten deletions at most, one notice; messages go on being shown."""
    async with room(store) as scene:
        names = [f"member{number}" for number in range(30)]
        await known(scene, names)
        await scene.enforce(hate=DELETE, max_actions_per_hour=10)
        for name in names:
            await scene.says(name, "HATE", wait=False)
        await scene.settled()
        assert len(scene.chat.did("delete")) <= 10 and scene.told("notice-cap") == 1
        assert len(await store.cases(COMMUNITY, limit=100)) == 30
        assert (await store.policy(COMMUNITY)).mode is Mode.ENFORCE  # paused, not switched off
        await scene.says("member0", "HATE again")
        assert len(scene.chat.did("delete")) <= 10 and scene.told("notice-cap") == 1


async def test_decisions_already_in_hand_are_not_carried_out_either(store: Store) -> None:
    """They waited for the platform when the cap was reached; their cards say that they were not done."""
    async with room(store) as scene:
        await known(scene, ["ann", "ben", "cem"])
        await scene.enforce(
            hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn")), max_actions_per_hour=2
        )
        for name in ("ann", "ben", "cem"):  # the first two warnings wait for more to name
            await scene.says(name, "HATE", wait=False)
        await scene.settled()
        assert not scene.chat.did("warn")
        stopped = [case for case in await store.cases(COMMUNITY) if case.message.state is RowState.STOPPED]
        assert len(stopped) >= 2  # whichever come first; the third may be decided when acting is paused already
        for case in stopped:
            assert any("acting was paused" in line for line in (await scene.case_service.card(case, "en")).lines)


async def test_one_flooder_and_a_raid_of_new_accounts_do_not_use_it_up(store: Store) -> None:
    """Whoever has a case already, and whoever is new here, is acted on whatever the cap says."""
    async with room(store) as scene:
        await known(scene, ["old"])
        await scene.enforce(hate=DELETE, max_actions_per_hour=2, strikes=Strikes(timeout_at=None))
        for number in range(20):
            await scene.says("old", f"HATE {number}", wait=False)
        for number in range(40):
            for text in ("HATE", "HATE too"):
                await scene.says(f"raider{number}", text, wait=False)
        await scene.settled()
        assert len(scene.chat.did("delete")) == 100 and not scene.told("notice-cap")


async def test_it_comes_back_by_itself_after_an_hour_without_new_hits(store: Store) -> None:
    """A hit within the hour begins it anew; the restart in between forgets nothing; the end is said."""
    async with room(store) as scene:
        await known(scene, ["ann", "ben", "cem", "dan"])
        await scene.enforce(hate=DELETE, max_actions_per_hour=1)
        for name in ("ann", "ben"):
            await scene.says(name, "HATE")
        assert scene.told("notice-cap") == 1
        now = datetime.now(UTC)
        await scene.pipeline.cap.hit(COMMUNITY, now + timedelta(minutes=30))
        await scene.pipeline.cap.look(now + timedelta(minutes=65))
        assert scene.pipeline.cap.is_paused(COMMUNITY)
    async with room(store) as scene:
        scene._count = 100
        assert scene.pipeline.cap.is_paused(COMMUNITY)
        await scene.pipeline.cap.look(now + timedelta(minutes=91))
        assert not scene.pipeline.cap.is_paused(COMMUNITY) and scene.told("notice-cap-over") == 1
        await scene.says("cem", "HATE")
        assert len(scene.chat.did("delete")) == 1  # the hour before counts no more


@pytest.mark.parametrize("click", ["resume", "enforce"])
async def test_it_comes_back_at_a_moderators_click(store: Store, click: str) -> None:
    """By the notice's button or by saying enforce; whom it hit before counts no more."""
    async with room(store) as scene:
        await known(scene, ["ann", "ben", "cem", "dan"])
        await scene.enforce(hate=DELETE, max_actions_per_hour=1)
        for name in ("ann", "ben"):
            await scene.says(name, "HATE")
        assert len(scene.chat.did("delete")) == 1
        if click == "resume":
            assert await scene.pipeline.resume(COMMUNITY) and not await scene.pipeline.resume(COMMUNITY)
        else:
            await scene.pipeline.set_mode(COMMUNITY, Mode.ENFORCE)
        assert scene.told("notice-cap-resumed") == 1
        await scene.says("cem", "HATE")
        assert len(scene.chat.did("delete")) == 2
        await scene.says("dan", "HATE")
        assert len(scene.chat.did("delete")) == 2 and scene.told("notice-cap") == 2


async def is_ordinary(scene: Room, event: Message) -> bool:
    now = datetime.now(UTC)
    return (await scene.store.standings.past(event, now, now, now)).is_ordinary


async def test_whose_case_was_overturned_is_ordinary_again(store: Store) -> None:
    """A model gone wrong hits the same people; their moderators' words count."""
    async with room(store) as scene:
        await known(scene, ["ann", "ben"])
        ann = await scene.says("ann", "HATE")
        assert not await is_ordinary(scene, await scene.says("ann", "x"))
        case = await scene.case()
        assert case.message.key == ann.key
        await scene.case_service.correct(case, "dana", Label.NEUTRAL)
        assert await is_ordinary(scene, await scene.says("ann", "y"))


async def test_where_nobody_is_known_for_a_day_a_harmless_message_makes_known(store: Store) -> None:
    """On the bot's first day; whoever begins with hate is no ordinary member."""
    async with room(store, StubClassifier()) as scene:
        await scene.says("ann", "hello")
        assert await is_ordinary(scene, await scene.says("ann", "HATE", wait=False))
        assert not await is_ordinary(scene, await scene.says("ben", "HATE", wait=False))
        await scene.settled()
