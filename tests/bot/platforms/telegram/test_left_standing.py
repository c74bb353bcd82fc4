"""What a person has decided on Telegram stands: never shorter, never lifted, and given back as it was."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.action import Action, Ban, Kick, Timeout
from bot.domain.event import Author, MessageKey
from bot.domain.policy import LabelPolicy, Mode, Strikes
from bot.domain.restriction import OwnRestriction, Restriction, Unchanged
from bot.store.timed_bans import TimedBan
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Chat, Member

SILENT: dict[str, bool] = {}
PARTLY = {"can_send_messages": True, "can_send_polls": True}


def key(scene: Scene, number: int = 1, chat: Chat | None = None) -> MessageKey:
    where = (chat or scene.group).id
    return MessageKey("telegram", scene.community, str(where), f"{where}:{number}")


def ann(scene: Scene) -> Author:
    return Author(str(scene.ann.id), "Ann")


def member(scene: Scene) -> Member:
    return scene.group.members[scene.ann.id]


def state(scene: Scene) -> tuple[str, int, dict[str, bool]]:
    """What restricts Ann: status, end, and what she may."""
    now = member(scene).payload()
    may = {name: value for name, value in now.items() if name.startswith("can_") and value}
    return now["status"], int(now.get("until_date") or 0), may


def within(days: float) -> int:
    return int(time.time() + days * 86400)


def harsh(*actions: Any, **more: Any) -> dict[str, Any]:
    """A policy that does this about hate, without strikes."""
    return {
        "hate": LabelPolicy(alert_at=0.5, act_at=0.85, actions=actions, **more),
        "strikes": Strikes(timeout_at=None),
    }


@pytest.mark.parametrize(
    ("status", "days", "may", "action"),
    [
        ("restricted", 0, SILENT, Timeout(10)),
        ("restricted", 7, SILENT, Timeout(10)),
        ("kicked", 0, SILENT, Timeout(10)),
        ("kicked", 0.01, SILENT, Timeout(60)),
        ("kicked", 0, SILENT, Ban(2)),
        ("kicked", 7, SILENT, Ban(2)),
        ("kicked", 0, SILENT, Kick()),
        ("kicked", 7, SILENT, Kick()),
    ],
)
async def test_a_longer_or_stronger_decision_is_left(
    scene: Scene, status: str, days: float, may: dict[str, bool], action: Action
) -> None:
    """Set by a moderator; the action says what stands, and its undoing leaves it as well."""
    await scene.server.restricts(scene.mod, scene.group, scene.ann, status, within(days) if days else 0, **may)
    await scene.settled()
    before = state(scene)
    unchanged = await scene.telegram.perform(action, key(scene), ann(scene))
    assert isinstance(unchanged, Unchanged) and unchanged.by == "person"
    assert state(scene) == before
    assert not isinstance(action, Kick) or not await scene.telegram.undo(action, key(scene), ann(scene))
    if not isinstance(action, Kick):
        undone = await scene.telegram.undo(action, key(scene), ann(scene))
        assert isinstance(undone, Unchanged) and state(scene) == before


@pytest.mark.parametrize(
    ("first", "second"),
    [(Timeout(1440), Timeout(5)), (Ban(), Ban(2)), (Ban(5), Ban(2)), (Ban(), Kick()), (Ban(2), Timeout(1440))],
)
async def test_the_bots_own_is_not_made_shorter_either(scene: Scene, first: Action, second: Action) -> None:
    """One after the other, and both at once as when two messages are judged together."""
    await scene.telegram.perform(first, key(scene), ann(scene))
    before = state(scene)
    unchanged = await scene.telegram.perform(second, key(scene, 2), ann(scene))
    assert unchanged is not None and unchanged.by == "bot" and state(scene) == before
    member(scene).free()
    await asyncio.gather(
        scene.telegram.perform(first, key(scene, 3), ann(scene)),
        scene.telegram.perform(second, key(scene, 4), ann(scene)),
    )
    assert state(scene)[0] == before[0] and abs(state(scene)[1] - before[1]) < 30


async def test_the_card_says_what_was_left_also_after_a_restart(tmp_path: Path) -> None:
    """In both languages; what was done beside it is still said to be done."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce(**harsh("delete", "timeout", timeout_minutes=10))
            server.join(scene.group, scene.ann).restrict("restricted")
            message = await server.says(scene.group, scene.ann, "HATE")
            card = await scene.card()
            assert message.deleted and state(scene)[1] == 0
            assert "Done: delete." in card.text
            assert (
                "Not done: timeout for 10 minutes. Left as a person has set it: may not write, without an end"
                in card.text
            )
            await scene.telegram.change_setup(scene.group.id, language="ru")
        async with serving(scene, tmp_path, set_up=False):
            scene.telegram.delivery.show((await scene.case()).id)
            await server.until(lambda: "Осталось так, как решил человек: не может писать, бессрочно" in card.text)


async def test_undo_gives_back_exactly_what_an_older_restriction_had_left(scene: Scene) -> None:
    """Rights, and its end; for a timeout and a ban."""
    end = within(7)
    for number, action in enumerate((Timeout(10), Ban(2), Ban())):
        await scene.server.restricts(scene.mod, scene.group, scene.ann, "restricted", end, **PARTLY)
        await scene.settled()
        before = state(scene)
        await scene.telegram.perform(action, key(scene, number), ann(scene))
        assert state(scene) != before
        assert await scene.telegram.undo(action, key(scene, number), ann(scene)) is True
        assert state(scene) == before
        assert not await scene.store.timed_bans.due("telegram", datetime.now(UTC) + timedelta(days=9))


async def test_what_a_shorter_one_of_the_bots_covered_comes_back_at_its_end(scene: Scene) -> None:
    """Telegram frees a member when a restriction ends, also of an older and longer one: that is put back."""
    for action, rights in ((Timeout(10), PARTLY), (Ban(2), SILENT), (Ban(2), PARTLY)):
        await scene.server.restricts(scene.mod, scene.group, scene.ann, "restricted", 0, **rights)
        await scene.settled()
        before = state(scene)
        await scene.telegram.perform(action, key(scene), ann(scene))
        (lift,) = await scene.store.timed_bans.due("telegram", datetime.now(UTC) + timedelta(days=1))
        assert lift.due_at.timestamp() == member(scene).until
        member(scene).until = int(time.time()) - 1
        await scene.telegram.action_calls.lift(lift)
        assert state(scene) == before
        assert not await scene.store.timed_bans.due("telegram", datetime.now(UTC) + timedelta(days=9))


async def test_what_ended_while_nobody_looked_is_put_back_by_the_next_start(tmp_path: Path) -> None:
    """The process was away at the end of its timeout: the older restriction comes back as soon as it runs."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            before = Restriction("limits", None, permissions=PARTLY)
            over = Restriction("timeout", datetime.now(UTC) - timedelta(minutes=1))
            own = OwnRestriction("1", 0, "timeout", over, before, is_set=True)
            place, who = f"telegram-{scene.group.id}", str(scene.ann.id)
            await scene.store.restrictions.keep("telegram", place, who, own, datetime.now(UTC))
            await scene.store.timed_bans.plan(TimedBan("telegram", place, who, over.ends_at))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bot.platforms.telegram.restriction_ends.LOOK_EVERY_S", 0.05)
            async with serving(scene, tmp_path, set_up=False):
                await server.until(lambda: state(scene) == ("restricted", 0, PARTLY))
                async with asyncio.timeout(60):
                    while await scene.store.restrictions.of("telegram", place, who):
                        await asyncio.sleep(0.01)


async def test_what_a_person_lifts_is_not_put_back(scene: Scene) -> None:
    """A moderator frees a member whom the bot silenced: neither the end nor the undoing restricts them again."""
    await scene.server.restricts(scene.mod, scene.group, scene.ann, "restricted", 0, **PARTLY)
    await scene.settled()
    await scene.telegram.perform(Timeout(10), key(scene), ann(scene))
    (lift,) = await scene.store.timed_bans.due("telegram", datetime.now(UTC) + timedelta(days=1))
    await scene.server.restricts(scene.mod, scene.group, scene.ann, "member")
    await scene.settled()
    await scene.telegram.action_calls.lift(lift)
    assert state(scene)[0] == "member"
    assert await scene.telegram.undo(Timeout(10), key(scene), ann(scene)) is True
    assert state(scene)[0] == "member"


async def test_a_change_that_restricts_nobody_is_no_decision(scene: Scene) -> None:
    """A moderator does something else about a member whom the bot has silenced: Undo still frees them."""
    await scene.telegram.perform(Timeout(10), key(scene), ann(scene))
    now = member(scene)
    await scene.server.restricts(scene.mod, scene.group, scene.ann, "restricted", now.until, **now.rights)
    await scene.settled()
    assert await scene.telegram.undo(Timeout(10), key(scene), ann(scene)) is True and state(scene)[0] == "member"


@pytest.mark.parametrize("action", [Timeout(10), Ban(2), Ban()])
@pytest.mark.parametrize(("status", "days"), [("restricted", 0), ("restricted", 7), ("kicked", 0), ("kicked", 7)])
async def test_undo_leaves_what_a_person_set_afterwards(scene: Scene, action: Action, status: str, days: float) -> None:
    """A timeout or a ban by hand, longer or not, on top of the bot's own."""
    await scene.telegram.perform(action, key(scene), ann(scene))
    await scene.server.restricts(scene.mod, scene.group, scene.ann, status, within(days) if days else 0)
    await scene.settled()
    before = state(scene)
    undone = await scene.telegram.undo(action, key(scene), ann(scene))
    assert isinstance(undone, Unchanged) and undone.by == "person" and state(scene) == before


async def test_undo_says_on_the_card_what_a_person_has_set(scene: Scene) -> None:
    """From the button to the answer, and on the card from then on."""
    await scene.enforce(**harsh("timeout", timeout_minutes=10))
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    await scene.server.restricts(scene.mod, scene.group, scene.ann, "kicked")
    await scene.settled()
    told = await scene.server.clicks(scene.mod, card, "Undo")
    assert "Not taken back: timeout for 10 minutes. Left as a person has set it: banned for good" in told
    await scene.server.until(lambda: "Left as a person has set it: banned for good" in card.text)
    assert state(scene)[0] == "kicked"


async def test_a_kick_lets_come_back_and_frees_nobody(scene: Scene) -> None:
    """Whoever was silenced is silent when they come back; a process that dies in the middle bans for a minute."""
    await scene.telegram.perform(Kick(), key(scene), ann(scene))
    assert state(scene) == ("left", 0, {})
    scene.server.join(scene.group, scene.ann)
    for number, rights in enumerate((SILENT, PARTLY), 2):
        await scene.server.restricts(scene.mod, scene.group, scene.ann, "restricted", 0, **rights)
        await scene.settled()
        before = state(scene)
        await scene.telegram.perform(Kick(), key(scene, number), ann(scene))
        assert state(scene) == before and not member(scene).is_here
        scene.server.join(scene.group, scene.ann)
    scene.server.fail("unbanChatMember", "reset", times=9)
    with pytest.raises(Exception, match="Telegram does not answer"):
        await scene.telegram.perform(Kick(), key(scene, 9), ann(scene))
    assert state(scene)[0] == "kicked" and member(scene).until <= time.time() + 60
    scene.server.faults.clear()
    await scene.telegram.perform(Kick(), key(scene, 9), ann(scene))
    assert state(scene)[0] == "left"


async def test_a_ban_by_hand_in_the_middle_of_a_kick_stands(scene: Scene, monkeypatch: Any) -> None:
    """Between the kick's ban and its end a moderator bans for good."""
    unban = scene.server._get_chat_member

    def banned_meanwhile(data: dict[str, Any]) -> dict[str, Any]:
        if member(scene).status == "kicked":
            member(scene).restrict("kicked")
        return unban(data)

    monkeypatch.setattr(scene.server, "_get_chat_member", banned_meanwhile)
    await scene.telegram.perform(Kick(), key(scene), ann(scene))
    assert state(scene) == ("kicked", 0, {})


async def test_undone_for_one_message_the_others_stands(scene: Scene) -> None:
    """Two messages, two timeouts: each click takes back its own, in both orders."""
    short, long = Timeout(10), Timeout(60)
    for order in ((1, 2), (2, 1)):
        await scene.telegram.perform(short, key(scene, 1), ann(scene))
        await scene.telegram.perform(long, key(scene, 2), ann(scene))
        for left, number in ((60 if order[0] == 1 else 10, order[0]), (0, order[1])):
            await scene.telegram.undo((short, long)[number - 1], key(scene, number), ann(scene))
            assert (member(scene).status == "restricted") == bool(left)
            assert not left or abs(member(scene).until - time.time() - 60 * left) < 30


async def test_an_action_that_is_repeated_after_a_crash_is_done_once(scene: Scene) -> None:
    """The platform took it and did not answer: asked again, it is known to stand, and nobody calls it a person's."""
    scene.server.fail("restrictChatMember", "reset", times=1, before_effect=False)
    with pytest.raises(Exception, match="Telegram does not answer"):
        await scene.telegram.perform(Timeout(10), key(scene), ann(scene))
    before = state(scene)
    assert before[0] == "restricted"
    assert await scene.telegram.perform(Timeout(10), key(scene), ann(scene)) is None
    assert state(scene) == before and len(scene.server.called("restrictChatMember")) == 1
    assert await scene.telegram.undo(Timeout(10), key(scene), ann(scene)) is True
    assert state(scene)[0] == "member"


@pytest.mark.parametrize("missing", ["until_date", "user", "is_member", "can_send_messages"])
async def test_a_member_without_fields_that_nobody_needs_is_read(scene: Scene, monkeypatch: Any, missing: str) -> None:
    """An older self-hosted server leaves fields out: what it says of bans and restrictions still counts."""
    ask = scene.server._get_chat_member

    def older(data: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in ask(data).items() if name != missing}

    monkeypatch.setattr(scene.server, "_get_chat_member", older)
    for number, status in enumerate(("restricted", "kicked")):
        member(scene).restrict(status)
        before = state(scene)
        assert await scene.telegram.perform(Timeout(10), key(scene, number), ann(scene)) is not None
        assert state(scene) == before
        member(scene).free()


async def test_in_a_basic_group_a_kick_is_a_kick_and_a_ban_is_a_removal(scene: Scene) -> None:
    """Nobody can be banned or silenced there: each is reported as what it was."""
    basic = scene.server.add_group("Basic", basic=True, owner=scene.owner)
    await scene.server.adds_bot(basic, scene.owner)
    for action in (Kick(), Ban(), Ban(2)):
        scene.server.join(basic, scene.ann)
        unchanged = await scene.telegram.perform(action, key(scene, 1, basic), ann(scene))
        assert basic.members[scene.ann.id].status == "left"
        assert unchanged is None if isinstance(action, Kick) else unchanged is not None
    scene.server.join(basic, scene.ann)
    await scene.pipeline.set_policy(
        f"telegram-{basic.id}",
        (await scene.pipeline.policy("x")).model_copy(update={"mode": Mode.ENFORCE, **harsh("kick", "ban")}),
    )
    await scene.server.says(basic, scene.ann, "HATE")
    async with asyncio.timeout(60):
        while not (cases := await scene.store.cases(f"telegram-{basic.id}")) or cases[0].message.state != "done":
            await asyncio.sleep(0.01)
    shown = " ".join((await scene.telegram.case_service.card(cases[0], "en")).lines)
    assert "Done: kick." in shown and "Removed from the group instead of: ban for good" in shown
    assert not [notice for notice in scene.notices if notice.name == "notice-not-possible"]
