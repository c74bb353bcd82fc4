"""What moderators and members may ask about cases, over the real store; only the classifier is a stub."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from bot.domain.case import Case
from bot.domain.event import MessageKey
from bot.pipeline.question_lane import Asker, AskLater, Rank
from bot.store import Store
from model.labels import Label
from tests.bot.scenes import COMMUNITY, Room, room

DANA = Asker(COMMUNITY, "webchat:dana", Rank.MODERATOR)


async def harsh(scene: Room) -> Case:
    await scene.says("ann", "HATE")
    case = await scene.store.case_of("webchat", COMMUNITY, "1")
    assert case is not None
    return case


async def teaches(store: Store) -> Sequence[tuple[str, str]]:
    return await store.corrections(COMMUNITY)


@pytest.mark.parametrize("basis", [None, "authored"])
async def test_a_correction_teaches_only_with_a_basis(basis: str | None, store: Store) -> None:
    """The same click, with and without the right to train on the text; the answer says which."""

    async def basis_of(community: str) -> str | None:
        return basis

    async with room(store) as scene:
        scene.case_service.basis_of["webchat"] = basis_of
        outcome = await scene.case_service.correct(await harsh(scene), "dana", Label.NEUTRAL)
        assert outcome.teaches is (basis is not None)
        assert ("learns from it" in outcome.text()) is (basis is not None)


async def test_neutral_takes_back_and_offensive_does_not(store: Store) -> None:
    """A milder label leaves the action; *neutral* takes back what can be."""
    async with room(store) as scene:
        await scene.enforce()
        case = await harsh(scene)
        assert scene.chat.did("delete") == ["1"]
        milder = await scene.case_service.correct(case, "dana", Label.OFFENSIVE)
        assert not milder.back.done
        neutral = await scene.case_service.correct(milder.case, "eve", Label.NEUTRAL)
        assert [action.name for action in neutral.back.done] == ["delete"] and neutral.case.undone


async def test_the_second_click_of_one_moderator_says_so(store: Store) -> None:
    """And another moderator who agrees is recorded as agreeing."""
    async with room(store) as scene:
        case = await harsh(scene)
        await scene.case_service.confirm(case, "dana")
        assert "said so already" in (await scene.case_service.confirm(case, "dana")).text()
        assert "you agree" in (await scene.case_service.confirm(case, "eve")).text()


async def test_undo_teaches_nothing_and_comes_once(store: Store) -> None:
    """The second undo finds nothing."""
    async with room(store) as scene:
        await scene.enforce()
        case = await harsh(scene)
        first = await scene.case_service.undo(case, "dana")
        assert "Undone" in first.text() and not await teaches(store)
        assert "nothing to undo" in (await scene.case_service.undo(first.case, "dana")).text()


async def test_a_report_opens_a_case_even_below_every_threshold(store: Store) -> None:
    """The same reporter counts once, another one counts, too."""
    async with room(store) as scene:
        event = await scene.says("ann", "good morning")
        now = datetime.now(UTC)
        for reporter in ("p1", "p1", "p2"):
            case = await scene.case_service.report(event, reporter, now)
        card = await scene.case_service.card(case, "en")
        assert card.lines[0] == "2 members have reported this." and card.title.startswith("a closer look")


async def test_an_explanation_shows_only_past_corrections_that_the_asker_may_read(store: Store) -> None:
    """The most like ones, at most three, and none from a hidden room."""
    async with room(store) as scene:
        for number in range(5):
            event = await scene.says(f"m{number}", f"HATE {number}")
            case = await store.case_of(*event.key.address)
            assert case is not None
            await scene.case_service.correct(case, "dana", Label.OFFENSIVE)

        async def even(key: MessageKey) -> bool:
            return int(key.message) % 2 == 0

        event = await scene.says("ben", "HATE again")
        _, everything = await scene.case_service.explain(event, DANA)
        _, some = await scene.case_service.explain(event, DANA, even)
        _, nothing = await scene.case_service.explain(event, DANA, others=False)
        assert len(everything.nearest) == 3 and len(some.nearest) == 2 and not nothing.nearest


async def test_a_member_who_asks_too_often_is_told_when_to_come_back(store: Store) -> None:
    """The limit is the person's, not the community's."""
    async with room(store) as scene:
        event = await scene.says("ann", "hello")
        member = Asker(COMMUNITY, "webchat:ann")
        for _ in range(4):
            await scene.case_service.explain(event, member)
        with pytest.raises(AskLater) as error:
            await scene.case_service.explain(event, member)
        assert 0 < error.value.wait_s <= 60
        await scene.case_service.explain(event, DANA)


async def test_a_preview_keeps_nothing(store: Store) -> None:
    """What a policy would have done, in the order of the messages."""
    async with room(store) as scene:
        events = [await scene.says("ann", text) for text in ("HATE", "hello")]
        before = await store.cases(COMMUNITY)
        judged = await scene.case_service.preview(events, DANA)
        assert [one.decision.band for _, one in judged] == ["action", "clear"]
        assert await store.cases(COMMUNITY) == before
