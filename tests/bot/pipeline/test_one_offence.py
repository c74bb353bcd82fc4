"""One message is one offence, however often it is edited, and a moderator's word on it holds."""

import pytest

from bot.domain.action import Timeout, Warn
from bot.domain.policy import LabelPolicy, Mode, Strikes
from bot.store import Store
from model.labels import Label
from tests.bot.scenes import COMMUNITY, room
from tests.conftest import StubClassifier

RUDE = LabelPolicy(alert_at=0.5, act_at=0.75, actions=("warn",))
HATE = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn"), timeout_minutes=30)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst is said within a tenth of a second here."""
    monkeypatch.setattr("bot.pipeline.warning_pace.GATHER_S", 0.1)


async def test_typo_fixes_are_one_offence(store: Store) -> None:
    """Three edits that leave it as rude: one warning, one case, one strike, no timeout."""
    async with room(store) as scene:
        await scene.enforce(offensive=RUDE)
        message = await scene.says("ann", "RUDE thing")
        for text in ("RUDE thingg", "RUDE things", "RUDE things!"):
            await scene.edits(message, text)
        assert scene.chat.did("warn") == [message.key.message] and not scene.chat.did("timeout")
        case = await scene.case()
        assert case.message.text == "RUDE things!" and case.edited == ""
        past = await store.standings.strikes(await scene.says("ann", "hello"), message.sent_at)
        assert set(past.strikes) == {message.key.message}


@pytest.mark.parametrize("text", ["RUDE", "HATE", "good morning"])
async def test_text_that_did_not_change_is_not_judged_again(store: Store, text: str) -> None:
    """Bold, a preview without words, somebody else's tick: the model is not asked, no case is opened."""
    classifier = StubClassifier()
    async with room(store, classifier) as scene:
        message = await scene.says("ann", text)
        asked = len(classifier.batches)
        for _ in range(10):
            await scene.edits(message, text)
        assert len(classifier.batches) == asked
        assert len(await store.cases(COMMUNITY)) == (text != "good morning")
        row = await store.journalled(*message.key.address)
        assert row is not None and row.state == "unchanged"


async def test_an_edit_that_makes_it_worse_gets_the_rest_and_nothing_twice(store: Store) -> None:
    """Rude: warned. Then hateful: deleted, and not warned again; the card is the same one and shows the new text."""
    async with room(store) as scene:
        await scene.enforce(offensive=RUDE, hate=HATE)
        message = await scene.says("ann", "RUDE")
        first = await scene.case()
        await scene.edits(message, "HATE")
        assert [action.name for action, _ in scene.chat.done] == ["warn", "delete"]
        case = await scene.case()
        assert case.id == first.id and case.message.text == "HATE" and case.decision.label == "hate"
        assert [action.name for action in case.decision.actions] == ["delete", "warn", "alert"]


async def test_what_an_earlier_revision_did_is_undone_with_the_card(store: Store) -> None:
    """The deletion was for the first revision; the card is about the second by now, and Undo brings the text back."""
    async with room(store) as scene:
        await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",)), strikes=Strikes())
        message = await scene.says("ann", "HATE")
        await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout")))
        await scene.edits(message, "HATE more")
        assert scene.chat.did("delete") == [message.key.message] and scene.chat.did("timeout") == [message.key.message]
        await scene.case_service.undo(await scene.case(), "dana")
        assert scene.chat.messages[message.key.message].state == "restored"
        scene.chat.compose("ann", "may write again", message.sent_at)


@pytest.mark.parametrize("since", ["paused", "shadow"])
async def test_what_was_done_can_be_undone_although_nothing_is_done_any_more(store: Store, since: str) -> None:
    """Deleted and timed out; then acting stops, and the message is edited: the card keeps its Undo."""
    async with room(store) as scene:
        await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout")))
        message = await scene.says("ann", "HATE")
        if since == "paused":
            await scene.pipeline.cap.pause(COMMUNITY, 1, message.sent_at)
        else:
            await scene.pipeline.set_mode(COMMUNITY, Mode.SHADOW)
        await scene.edits(message, "HATE more")
        case = await scene.case()
        assert case.decision.enforced and case.edited == "action"
        await scene.case_service.undo(case, "dana")
        assert scene.chat.messages[message.key.message].state == "restored"
        scene.chat.compose("ann", "may write again", message.sent_at)


async def test_an_edit_that_makes_it_better_is_noted_on_the_card(store: Store) -> None:
    """The case stays about what was said; its card says that this was taken back."""
    async with room(store) as scene:
        message = await scene.says("ann", "HATE")
        await scene.edits(message, "sorry")
        case = await scene.case()
        assert case.message.text == "HATE" and case.edited == "clear"
        assert any("would not flag the new text" in line for line in (await scene.case_service.card(case, "en")).lines)


async def test_in_shadow_mode_too_there_is_one_case(store: Store) -> None:
    """Ten edits with other words, each as bad."""
    async with room(store) as scene:
        message = await scene.says("ann", "HATE")
        for number in range(10):
            await scene.edits(message, f"HATE {number}")
        assert (await scene.case()).state == "open"


@pytest.mark.parametrize("said", ["undo", "neutral"])
async def test_a_moderators_hand_holds_for_later_edits_with_the_same_flagged_words(store: Store, said: str) -> None:
    """A preview's words, a typo, a word taken out: nothing is done or shown again. Other flagged words are judged."""
    async with room(store) as scene:
        await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",)))
        message = await scene.says("ann", "HATE among friends")
        if said == "undo":
            await scene.case_service.undo(await scene.case(), "dana")
        else:
            await scene.case_service.correct(await scene.case(), "dana", Label.NEUTRAL)
        for text in ("HATE among friends Preview: a nice song", "HATE among frinds", "HATE", "HATE!"):
            await scene.edits(message, text)
            assert scene.chat.did("delete") == [message.key.message]
            assert (await scene.case()).message.text == "HATE among friends"
        await scene.edits(message, "HATE HATERS among friends")
        assert len(scene.chat.did("delete")) == 2 and len(await store.cases(COMMUNITY)) == 2


async def test_a_confirmed_message_is_not_shown_again_for_the_same_words(store: Store) -> None:
    """👍 is a word, too."""
    async with room(store) as scene:
        message = await scene.says("ann", "HATE")
        await scene.case_service.confirm(await scene.case(), "dana")
        await scene.edits(message, "HATE, I said")
        assert (await scene.case()).state == "confirmed"


async def test_strikes_are_counted_in_the_order_of_messages_judged_side_by_side(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve at once: one warning that names them all, and from the third on a timeout."""
    monkeypatch.setattr("bot.pipeline.warning_pace.GATHER_S", 1.0)
    async with room(store) as scene:
        await scene.enforce(offensive=RUDE, strikes=Strikes(timeout_at=3))
        messages = [await scene.says("ann", f"RUDE {number}", wait=False) for number in range(12)]
        await scene.settled()
        assert set(scene.chat.did("timeout")) == {message.key.message for message in messages[2:]}
        (warning,) = (action for action, _ in scene.chat.done if isinstance(action, Warn))
        assert warning.messages == 12


async def test_one_warning_in_five_minutes_also_after_a_restart(store: Store) -> None:
    """What another process gave counts; another author is warned by themselves."""
    async with room(store) as scene:
        await scene.enforce(offensive=RUDE, strikes=Strikes(timeout_at=None))
        await scene.says("ann", "RUDE")
        assert len(scene.chat.did("warn")) == 1
    async with room(store) as scene:
        scene._count = 10
        await scene.says("ann", "RUDE again")
        assert not scene.chat.did("warn")
        await scene.says("ben", "RUDE")
        assert len(scene.chat.did("warn")) == 1


async def test_an_edit_while_the_first_revision_waits_is_the_same_offence(store: Store) -> None:
    """Both are in hand at once: decided in their order."""
    async with room(store) as scene:
        await scene.enforce(offensive=RUDE, hate=HATE)
        message = await scene.says("ann", "RUDE", wait=False)
        await scene.edits(message, "RUDE thing", wait=False)
        await scene.edits(message, "HATE", wait=False)
        await scene.settled()
        assert sorted(action.name for action, _ in scene.chat.done) == ["delete", "warn"]
        assert (await scene.case()).message.text == "HATE"


async def test_from_the_fifth_message_within_a_minute_on_an_author_is_timed_out(store: Store) -> None:
    """Where strikes would do it later."""
    async with room(store) as scene:
        await scene.enforce(hate=HATE, strikes=Strikes(timeout_at=50))
        for number in range(6):
            await scene.says("ann", f"HATE {number}")
        assert [action for action, _ in scene.chat.done if isinstance(action, Timeout)] == [Timeout(30)] * 2
