"""On Telegram, too, one message is one offence: whatever arrives as an edit."""

import time

import pytest

from bot.domain.policy import LabelPolicy, Mode, Strikes
from tests.bot.platforms.telegram.conftest import Scene

RUDE = LabelPolicy(alert_at=0.5, act_at=0.75, actions=("warn",))
DELETE = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",))
DAY_S = 25 * 3600


async def through(scene: Scene) -> None:
    """Warnings wait a moment for others to name."""
    await scene.settled()


async def test_typo_fixes_are_one_public_warning_and_no_mute(scene: Scene) -> None:
    """Three edits of a rude message."""
    await scene.enforce(offensive=RUDE)
    message = await scene.server.says(scene.group, scene.ann, "RUDE thing")
    await through(scene)
    for text in ("RUDE thingg", "RUDE things", "RUDE things!"):
        await scene.server.edits(message, text)
        await through(scene)
    assert len(scene.server.by_bot(scene.group)) == 1 and scene.group.members[scene.ann.id].status == "member"
    await scene.case()


@pytest.mark.parametrize(
    "fields",
    [
        {"entities": [{"type": "bold", "offset": 0, "length": 4}]},
        {"reply_markup": {"inline_keyboard": [[{"text": "RUDE words", "url": "https://example.org"}]]}},
    ],
    ids=["bold", "button"],
)
async def test_an_edit_with_the_same_words_is_no_second_offence(scene: Scene, fields: dict[str, object]) -> None:
    """Bold added, a button with the same words: one case, one warning."""
    await scene.enforce(offensive=RUDE)
    message = await scene.server.says(scene.group, scene.ann, "RUDE words")
    await through(scene)
    for _ in range(3):
        await scene.server.edits(message, **fields)
        await through(scene)
    assert len(scene.server.by_bot(scene.group)) == 1
    await scene.case()


async def test_an_uploaded_photo_with_the_same_caption_is_the_same_offence(scene: Scene) -> None:
    """Its file is another one, its words are not."""
    await scene.enforce(offensive=RUDE)
    photo = [{"file_id": "a", "file_unique_id": "a", "width": 1, "height": 1}]
    message = await scene.server.says(scene.group, scene.ann, caption="RUDE", photo=photo)
    await through(scene)
    await scene.server.edits(message, caption="RUDE", photo=[photo[0] | {"file_id": "b", "file_unique_id": "b"}])
    await through(scene)
    assert len(scene.server.by_bot(scene.group)) == 1
    await scene.case()


async def test_a_burst_is_one_warning_that_names_it_all(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve at once: one warning for twelve, and a mute from the third on."""
    monkeypatch.setattr("bot.pipeline.warning_pace.GATHER_S", 1.0)
    await scene.enforce(offensive=RUDE, strikes=Strikes(timeout_at=3))
    scene.ann.started = True
    for number in range(12):
        await scene.server.says(scene.group, scene.ann, f"RUDE {number}")
    await through(scene)
    (warning,) = scene.server.by_bot(scene.server.private(scene.ann))
    assert warning.text.startswith("12 messages of yours in Friends") and not scene.server.by_bot(scene.group)
    assert scene.group.members[scene.ann.id].status == "restricted"


async def test_the_hourly_cap_is_told_once_with_a_button_that_ends_it(scene: Scene) -> None:
    """Old members, one message each: after two nobody is touched, until an administrator says so."""
    await scene.enforce(hate=DELETE, max_actions_per_hour=2)
    people = [scene.server.add_user(f"Member{number}") for number in range(6)]
    for person in people:
        scene.server.join(scene.group, person)
        await scene.server.says(scene.group, person, "good morning", date=int(time.time()) - DAY_S)
    await through(scene)
    messages = [await scene.server.says(scene.group, person, "HATE") for person in people[:5]]
    await through(scene)

    def paused() -> list[object]:
        return [m for m in scene.server.by_bot(scene.board) if "looks like a model gone wrong" in m.text]

    await scene.server.until(paused)
    assert sum(message.deleted for message in messages) <= 2 and len(paused()) == 1
    assert (await scene.pipeline.policy(scene.community)).mode is Mode.ENFORCE
    assert "paused" in await scene.asks(scene.mod, "/status")
    (notice,) = paused()
    assert "Only the group's administrators" in await scene.server.clicks(scene.ann, notice, "Go on acting")  # type: ignore[arg-type]
    await scene.server.clicks(scene.mod, notice, "Go on acting")  # type: ignore[arg-type]
    await scene.server.until(lambda: any("act again by the policy" in m.text for m in scene.server.by_bot(scene.board)))
    last = await scene.server.says(scene.group, people[5], "HATE")
    await scene.server.until(lambda: last.deleted)
    assert len(paused()) == 1


async def test_a_flooder_is_muted_and_the_rest_goes(scene: Scene) -> None:
    """A hundred and fifty in a burst by one: all deleted, the cap untouched, the author muted."""
    await scene.enforce(hate=DELETE, max_actions_per_hour=5)
    await scene.server.says(scene.group, scene.ann, "good morning", date=int(time.time()) - DAY_S)
    messages = [await scene.server.says(scene.group, scene.ann, f"HATE {number}") for number in range(150)]
    await scene.server.until(lambda: all(message.deleted for message in messages), timeout_s=60)
    await through(scene)
    assert scene.group.members[scene.ann.id].status == "restricted"
    assert not any(notice.name == "notice-cap" for notice in scene.notices)
