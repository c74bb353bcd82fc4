"""Albums go as one, what has no words can be reported, names only alert, and what nobody can read is told."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.domain.event import Attached
from bot.domain.policy import LabelPolicy
from model.classifier import Item, Unavailable, Verdict
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.conftest import StubClassifier
from tests.journal import unfinished
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Message

HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",))


def photo(number: int, **more: Any) -> dict[str, Any]:
    """An item of the album "a"."""
    sizes = [{"file_id": str(number), "file_unique_id": str(number), "width": 1, "height": 1}]
    return {"photo": sizes, "media_group_id": "a", **more}


async def album(scene: Scene, *numbers: int, caption: int = 0) -> list[Message]:
    """Ann's pictures; the item `caption` has a hateful one."""
    captions = {caption: {"caption": "HATE"}}
    return [await scene.server.says(scene.group, scene.ann, **photo(n, **captions.get(n, {}))) for n in numbers]


@pytest.mark.parametrize("caption", [1, 2, 3])
async def test_a_whole_album_goes_with_one_of_its_items(scene: Scene, caption: int) -> None:
    """Whichever has the words; another album and what stands alone stay."""
    await scene.enforce(hate=HARSH)
    other = await scene.server.says(scene.group, scene.ann, **photo(9) | {"media_group_id": "b"})
    alone = await scene.server.says(scene.group, scene.ann, photo=photo(8)["photo"])
    items = await album(scene, 1, 2, 3, caption=caption)
    await scene.case()
    await scene.server.until(lambda: all(item.deleted for item in items))
    assert not other.deleted and not alone.deleted


async def test_in_shadow_mode_an_album_stays(scene: Scene) -> None:
    """Nothing is touched."""
    items = await album(scene, 1, 2, caption=1)
    await scene.case()
    assert not any(item.deleted for item in items)


async def test_an_item_that_arrives_later_goes_too(tmp_path: Path) -> None:
    """Also after a restart; after an Undo it stays."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce(hate=HARSH)
            (first,) = await album(scene, 1, caption=1)
            await scene.settled()
            (second,) = await album(scene, 2)
            await server.until(lambda: first.deleted and second.deleted)
            await scene.settled()
        async with serving(scene, tmp_path):
            (third,) = await album(scene, 3)
            await server.until(lambda: third.deleted)
            await scene.telegram.case_service.undo(await scene.case(), "telegram:1")
            (fourth,) = await album(scene, 4)
            await scene.settled()
            assert not fourth.deleted


async def test_an_album_whose_deletion_failed_goes_as_a_whole_later(scene: Scene) -> None:
    """Telegram does not answer at first: no item is forgotten."""
    await scene.enforce(hate=HARSH)
    for method in ("deleteMessage", "deleteMessages"):
        scene.server.fail(method, 502, 1)
    items = await album(scene, 1, 2, 3, caption=2)
    await scene.server.until(lambda: all(item.deleted for item in items))


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"photo": photo(1)["photo"]}, "[photo]"),
        ({"sticker": {"file_id": "s", "emoji": "😡"}}, "[sticker 😡]"),
        ({"voice": {"file_id": "v", "duration": 3}}, "[voice message]"),
        ({"story": {"id": 4, "chat": {"id": -7, "type": "channel", "title": ""}}}, "[story]"),
        ({"video_note": {"file_id": "n"}}, "[video message]"),
    ],
    ids=["photo", "sticker", "voice", "story", "video note"],
)
async def test_a_report_of_what_has_no_words(scene: Scene, fields: dict[str, Any], shown: str) -> None:
    """Moderators see what there is, and nothing is claimed about it."""
    message = await scene.server.says(scene.group, scene.ann, **fields)
    await scene.settled()
    assert not await scene.cases()
    await scene.server.says(scene.group, scene.ben, "/report", reply_to=message)
    case = await scene.case()
    assert case.decision.flags == ("unread", "wordless") and case.author.name == "Ann"
    await scene.server.until(lambda: any(shown in card.text for card in scene.server.by_bot(scene.board)))
    text = next(card.text for card in scene.server.by_bot(scene.board) if shown in card.text)
    assert "nothing to read in it" in text and "Ann" in text and "no longer kept" not in text


async def test_a_message_of_a_kind_nobody_knows_is_told_once(tmp_path: Path) -> None:
    """It is journalled, and moderators hear once of each kind, also after a restart; what is known without words is
    quiet."""
    async with TelegramServer() as server:
        scene = Scene(server)
        for _ in range(2):
            async with serving(scene, tmp_path):
                for field in ("hologram", "hologram", "dream"):
                    await server.says(scene.group, scene.ann, **{field: {"length": 1}})
                await server.says(scene.group, scene.ann, rich_message={"blocks": [{"type": "divider"}]})
                await server.says(
                    scene.group, scene.ann, left_chat_member={"id": 9, "is_bot": False, "first_name": "X"}
                )
                await server.says(scene.group, scene.ann, delete_chat_photo=True)
                await server.says(scene.group, scene.ann, location={"latitude": 1.5, "longitude": 1.5})
                assert not await scene.cases()
                await server.until(lambda: any("dream" in one.text for one in server.by_bot(scene.board)))
        told = [one for one in scene.notices if one.name == "notice-unknown-kind"]
        assert sorted(str(one.arguments["kind"]) for one in told) == ["dream", "hologram"]
        said = [message.text for message in server.by_bot(scene.board)]
        assert sum("hologram" in text for text in said) == 1


async def test_names_only_alert_above_a_bar_of_their_own(scene: Scene) -> None:
    """No action and no warning, whoever has the name."""
    everything = LabelPolicy(alert_at=0.5, act_at=0.7, actions=("delete", "warn", "timeout", "ban"))
    await scene.enforce(hate=everything, offensive=everything)
    for name in ("HATE name", "RUDE name"):
        user = scene.server.add_user(name, started=True)
        scene.server.join(scene.group, user)
        await scene.server.says(scene.group, user, "hello")
    case = await scene.case()
    assert case.message.text == "HATE name" and case.decision.flags == ("name",)
    assert "It is a name" in (await scene.card()).text
    assert not [call for call in scene.server.calls if call.method in ("restrictChatMember", "banChatMember")]
    assert not scene.server.by_bot(scene.group)


class Silent(StubClassifier):
    """Does not answer."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        raise Unavailable("stub: silent")


async def test_what_waited_for_the_model_is_quoted_after_a_restart_too(tmp_path: Path) -> None:
    """The journal keeps whose words they are: no action follows from another's."""
    async with TelegramServer() as server:
        scene = Scene(server)
        scene.classifier = Silent()
        async with serving(scene, tmp_path):
            await scene.enforce(hate=HARSH)
            shown = {"quote": {"text": "HATE"}, "sticker": {"file_id": "s", "emoji": "x"}}
            message = await server.says(scene.group, scene.ben, "not nice", **shown)
            async with asyncio.timeout(60):
                while not await unfinished(scene.store, "telegram"):
                    await asyncio.sleep(0.01)
        scene.classifier = StubClassifier()
        async with serving(scene, tmp_path):
            case = await scene.case()
            assert case.decision.band == "alert" and case.message.quoted == "HATE" and not message.deleted
            assert case.message.attached == (Attached("sticker", "x"),)


async def test_whoever_ticks_a_task_has_a_name(scene: Scene) -> None:
    """It is read as theirs."""
    rude = scene.server.add_user("HATE name").payload()
    task = {"id": 1, "text": "sweep", "completed_by_user": rude}
    await scene.server.says(scene.group, scene.ann, checklist={"title": "a", "tasks": [task]})
    case = await scene.case()
    assert (case.author.name, case.author.id) == ("HATE name", str(rude["id"]))
