"""Attacks on rights that worked, and their siblings: each is refused, and nothing stops being read."""

from pathlib import Path
from typing import Any

import pytest

from bot.conversation.link_codes import LinkCodes
from bot.domain.policy import LabelPolicy, Mode
from bot.domain.setup import Setup
from model.labels import Label
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.bot.platforms.telegram.test_onboarding import yes
from tests.bot.platforms.telegram.test_rights import answers, kept, pressed
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Chat, User

DELETING = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",))
MANAGING = (("can_change_info",), ("can_promote_members",), "owner")
MODERATING = ("can_delete_messages", "can_restrict_members", "can_pin_messages")
NOT_MANAGING: tuple[Any, ...] = ((), MODERATING, "member", "left")


def seat(scene: Scene, chat: Chat, user: User, rights: Any) -> None:
    """Somebody with these rights in a chat."""
    if isinstance(rights, str):
        scene.server.join(chat, user, {"owner": "creator"}.get(rights, rights))
    else:
        scene.server.join(chat, user, "administrator", rights=rights)


async def group_of(scene: Scene, owner: User, title: str = "Attackers") -> Chat:
    """A group of somebody's own, with the bot in it, set up."""
    chat = scene.server.add_group(title, owner=owner)
    await scene.telegram.groups.greet(chat.id, title, Setup())
    await scene.telegram.change_setup(chat.id, alert_room=str(owner.id), done=True)
    return chat


@pytest.mark.parametrize("in_the_other", [*MANAGING, *NOT_MANAGING], ids=str)
@pytest.mark.parametrize("in_the_group", [*MANAGING, *NOT_MANAGING], ids=str)
async def test_a_moderators_chat_takes_the_right_in_both(in_the_group: Any, in_the_other: Any, fresh: Scene) -> None:
    """Whoever may manage only one of them, or neither, links nothing and is told what it takes."""
    user, moderators_chat = fresh.server.add_user("Linker"), fresh.server.add_group("New desk")
    await fresh.telegram.groups.greet(fresh.group.id, "Friends", Setup())
    seat(fresh, fresh.group, user, in_the_group)
    seat(fresh, moderators_chat, user, in_the_other)
    await fresh.server.says(moderators_chat, user, f"/start mods_{fresh.group.id}")
    (said,) = await answers(fresh, moderators_chat, 0)
    linked = in_the_group in MANAGING and in_the_other in MANAGING
    assert fresh.telegram.groups.is_board(moderators_chat.id) is linked
    assert ("Cards will appear here" in said) is linked and ("in both groups" in said) is not linked


async def test_the_owner_of_one_group_does_not_silence_another(scene: Scene) -> None:
    """The moderated group goes on being read, and no text of the attacker's is posted there."""
    await scene.enforce(hate=DELETING)
    attacker = scene.server.add_user("Attacker")
    scene.server.join(scene.group, attacker)
    mine = await group_of(scene, attacker)
    for text in (f"/start mods_{mine.id}", f"/start@domovoi_bot mods_{mine.id}_1", f"/start mods_{mine.id} x"):
        await scene.server.says(scene.group, attacker, text)
    await scene.server.says(mine, attacker, "HATE of the attacker's")
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.server.until(lambda: message.deleted)
    await scene.settled()
    assert not any("attacker's" in shown.text for shown in scene.server.by_bot(scene.group))
    assert (await scene.telegram.groups.setup(f"telegram-{mine.id}")).alert_room == str(attacker.id)


@pytest.mark.parametrize("how", ["read", "set up", "linked", "given a policy", "itself"])
async def test_a_moderated_chat_never_becomes_a_moderators_chat(how: str, scene: Scene) -> None:
    """Not even for the owner of both; what is said there is still read."""
    moderators_chat = scene.server.add_group("Second", owner=scene.owner)
    community = f"telegram-{moderators_chat.id}"
    await scene.telegram.groups.greet(moderators_chat.id, "Second", Setup())
    if how == "read":
        await scene.server.says(moderators_chat, scene.ann, "good morning")
        await scene.settled()
    elif how == "set up":
        await scene.telegram.change_setup(moderators_chat.id, done=True)
    elif how == "linked":
        await scene.telegram.groups.link(moderators_chat.id, community := "discord-77")
    elif how == "given a policy":
        await scene.server.says(moderators_chat, scene.owner, "/mode enforce")
        await scene.settled()
    else:
        moderators_chat, community = scene.group, scene.community
    before = await scene.telegram.groups.setup(scene.community)
    said = len(scene.server.by_bot(moderators_chat))
    await scene.server.says(moderators_chat, scene.owner, f"/start mods_{scene.group.id}")
    assert any("I moderate this group" in text for text in await answers(scene, moderators_chat, said))
    assert await scene.telegram.groups.setup(scene.community) == before
    await scene.server.says(moderators_chat, scene.ann, "HATE")
    await scene.settled()
    assert len(await scene.store.cases(community)) == 1


async def test_whoever_lost_the_right_a_moment_ago_links_and_sets_nothing(scene: Scene, tmp_path: Path) -> None:
    """Telegram is asked at that moment, and not remembered from a minute ago; in whichever chat it was lost."""
    moderators_chat = scene.server.add_group("New desk", owner=scene.owner)
    scene.server.join(moderators_chat, scene.mod, "administrator")
    code = scene.telegram.link_codes.code("discord-77", yes)
    scene.mod.started = True
    await scene.server.says(scene.group, scene.mod, "/status")  # what Mo may is known now
    await scene.settled()
    for chat in (scene.group, moderators_chat):
        rights, scene.server.chats[chat.id].members[scene.mod.id].rights = chat.members[scene.mod.id].rights, {}
        state = kept(tmp_path)
        await scene.server.says(moderators_chat, scene.mod, f"/start mods_{scene.group.id}")
        await scene.settled()
        assert kept(tmp_path) == state and "in both groups" in scene.server.by_bot(moderators_chat)[-1].text
        chat.members[scene.mod.id].rights = rights
    scene.group.members[scene.mod.id].rights = {}
    state = kept(tmp_path)
    for command in (f"/link {code}", "/mode enforce", "/policy strict", "/skip", "/example hate x"):
        await scene.server.says(scene.group, scene.mod, command, message_thread_id=7, is_topic_message=True)
    await scene.settled()
    assert kept(tmp_path) == state


async def test_a_code_of_somebody_who_may_no_more_links_nothing() -> None:
    """Whoever made it is asked about again when it is used; a code serves once either way."""
    link_codes, may = LinkCodes(), [True]

    async def still() -> bool:
        return may[0]

    assert await link_codes.redeem(link_codes.code("discord-77", still)) == "discord-77"
    code = link_codes.code("discord-77", still)
    may[0] = False
    assert await link_codes.redeem(code) is None
    may[0] = True
    assert await link_codes.redeem(code) is None


@pytest.mark.parametrize("linked", [False, True])
async def test_a_group_that_moves_is_read_and_shown_as_before(linked: bool, tmp_path: Path) -> None:
    """A supergroup's new number, linked with Discord or not, before and after a start; its own cards go on, and to have
    named itself the moderators' chat once does not silence it."""
    async with TelegramServer() as server:
        scene = Scene(server)
        scene.group = server.add_group("Friends", owner=scene.owner, basic=True)
        async with serving(scene, tmp_path):
            community = scene.community
            if linked:
                await scene.telegram.groups.link(scene.group.id, community := "discord-77")
            scene.group = await server.migrates(scene.group)
            await scene.settled()
            await server.says(scene.group, scene.ann, "HATE one")
            await scene.cards()
        async with serving(scene, tmp_path, set_up=False):
            await server.says(scene.group, scene.ann, "HATE two")
            await scene.cards(2)
            assert len(await scene.store.cases(community)) == 2
            assert scene.telegram.groups.setup_of_chat(scene.group.id).alert_room == str(scene.board.id)
            await scene.telegram.change_setup(scene.group.id, alert_room=str(scene.group.id))
            assert not scene.telegram.groups.is_board(scene.group.id)
        async with serving(scene, tmp_path, set_up=False):
            assert not scene.telegram.groups.is_board(scene.group.id)
            await server.says(scene.group, scene.ann, "HATE three")
            await scene.settled()
            assert len(await scene.store.cases(community)) == 3


async def test_a_changed_app_makes_the_bot_say_nothing_in_a_strange_group(scene: Scene, tmp_path: Path) -> None:
    """Any data, pressed on the bot's greeting in somebody else's group, by the owner of a group of their own: nothing
    is written or changed there."""
    attacker = scene.server.add_user("Attacker")
    mine = await group_of(scene, attacker, "a title with HATE")
    await scene.telegram.change_setup(mine.id, alert_room=str(attacker.id))
    scene.server.join(scene.group, attacker)
    attacker.started = True
    await scene.server.says(mine, scene.ben, "HATE")
    await scene.settled()
    (case,) = await scene.store.cases(f"telegram-{mine.id}")
    shown = scene.server.write(scene.group, scene.server.bot, "Hello").data
    before, said = dict(shown), len(scene.server.by_bot(scene.group))
    for data in (
        *(f"{verb}:{case.id}" for verb in ("explain", "right", "wrong", "undo", "back", "card", "next")),
        f"label:{case.id}:neutral",
        *(f"set:{mine.id}:{what}" for what in ("here", "preset", "language", "warn", "mode", "link", "resume")),
        *(f"in:{mine.id}:{attacker.id}:{command}" for command in ("test HATE", "status", "policy", "case 1", "setup")),
        *(f"page:{page}:{attacker.id}:status" for page in (0, 1)),
        *(f"mine:{mine.id}:{what}" for what in ("yes", "no", "export", "erase")),
    ):
        state = kept(tmp_path)
        await pressed(scene, attacker, shown, data)
        assert kept(tmp_path) == state, data
    assert scene.group.messages[shown["message_id"]].data == before
    assert len(scene.server.by_bot(scene.group)) == said


async def test_nobody_has_another_press_their_command(scene: Scene, tmp_path: Path) -> None:
    """ "Which group?" hides what a press would do: it counts for whoever asked."""
    other = await group_of(scene, scene.owner, "Others")
    await scene.telegram.change_setup(other.id, alert_room=str(scene.board.id))
    guest = scene.server.add_user("Guest")
    scene.server.join(scene.board, guest)
    await scene.server.says(scene.board, guest, "/mode enforce")
    await scene.server.until(lambda: scene.server.by_bot(scene.board))
    (asked,) = scene.server.by_bot(scene.board)
    state = kept(tmp_path)
    assert "Somebody else asked" in await scene.server.clicks(scene.owner, asked, "Others")
    assert kept(tmp_path) == state


async def test_explain_by_number_tells_nothing_of_others_messages(scene: Scene) -> None:
    """To name another's message while answering one's own, in the group or alone, makes it nobody's own."""
    scene.ann.started = True
    private = scene.server.private(scene.ann)
    secret = await scene.server.says(scene.group, scene.ben, "HATE of Ben")
    mine = await scene.server.says(scene.group, scene.ann, "hello")
    await scene.settled()
    scene.telegram.groups.choose(scene.ann.id, scene.group.id)
    while private.numbers < secret.id - 1:
        scene.server.write(private, scene.ann, "filling")
    same_number = scene.server.write(private, scene.ann, "hello")
    for chat, command, answered in (
        (scene.group, f"/explain {secret.id}", mine),
        (private, "/explain", same_number),
        (private, f"/explain {secret.id}", same_number),
    ):
        before = len(scene.server.by_bot(private))
        await scene.server.says(chat, scene.ann, command, reply_to=answered)
        told = await answers(scene, private, before)
        assert told and not any("HATE" in text for text in told), (command, told)


async def test_moderators_of_one_group_read_nothing_of_the_group_it_is_linked_with(scene: Scene) -> None:
    """Two groups are part of one Discord server's community: a case stays with the group it was written in, by number
    and as what another is like."""
    other = scene.server.add_group("Others")
    await scene.telegram.groups.greet(other.id, "Others", Setup())
    for chat in (scene.group, other):
        await scene.telegram.groups.link(chat.id, "discord-77")
    await scene.server.says(other, scene.ben, "HATE in secret")
    await scene.settled()
    (case,) = await scene.store.cases("discord-77")
    await scene.telegram.case_service.correct(case, "telegram:1", Label.OFFENSIVE)
    scene.telegram.groups.choose(scene.mod.id, scene.group.id)
    assert "There is no case" in await scene.asks(scene.mod, f"/case {case.id}")
    assert "secret" not in await scene.asks(scene.mod, "/test HATE")
    owner = scene.server.owner(other)
    scene.telegram.groups.choose(owner.id, other.id)
    assert "HATE in secret" in await scene.asks(owner, f"/case {case.id}")
    assert "secret" in await scene.asks(owner, "/test HATE")


async def test_cards_do_not_follow_who_may_no_more(scene: Scene) -> None:
    """They went to one administrator in private, who is none any more: nothing is quoted there, and /status says that
    cards go nowhere; the next one who may takes them over."""
    await scene.telegram.change_setup(scene.group.id, alert_room=str(scene.mod.id))
    scene.mod.started = True
    private = scene.server.private(scene.mod)
    scene.server.join(scene.group, scene.mod)
    await scene.server.says(scene.group, scene.ben, "HATE")
    await scene.server.until(lambda: scene.telegram.board.lost)
    assert not scene.server.by_bot(private)
    scene.telegram.groups.choose(scene.owner.id, scene.group.id)
    assert "nowhere" in await scene.asks(scene.owner, "/status")
    await scene.telegram.change_setup(scene.group.id, alert_room=str(scene.owner.id))
    mine = scene.server.private(scene.owner)
    await scene.server.until(lambda: any("HATE" in message.text for message in scene.server.by_bot(mine)))
    assert not scene.server.by_bot(private)


HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"))


async def test_who_may_only_delete_lifts_no_mute(scene: Scene, tmp_path: Path) -> None:
    """Neither by Undo nor by calling it neutral; every other word counts, and who may ban lifts it."""
    await scene.enforce(hate=HARSH)
    deletes, bans = scene.server.add_user("Deleter"), scene.server.add_user("Banner")
    scene.server.join(scene.group, deletes, "administrator", rights=("can_delete_messages",))
    scene.server.join(scene.group, bans, "administrator", rights=("can_restrict_members",))
    await scene.server.says(scene.group, scene.ben, "HATE")
    card = await scene.card()
    await scene.settled()
    state = kept(tmp_path)
    await scene.server.clicks(deletes, card, "👎 Wrong label")
    for button in ("undo:1", "label:1:neutral"):
        assert "That takes “Ban users”" in await pressed(scene, deletes, card.data, button)
    assert kept(tmp_path) == state and scene.group.members[scene.ben.id].status == "restricted"
    assert "Recorded: offensive" in await pressed(scene, deletes, card.data, "label:1:offensive")
    assert "Taken back: timeout" in await pressed(scene, bans, card.data, "undo:1")
    assert scene.group.members[scene.ben.id].status == "member"


async def test_nobody_has_the_bot_do_what_they_may_not(scene: Scene) -> None:
    """Whoever may change the group's name and nothing else turns no bans on: not by mode, policy, preset or resume."""
    scene.mod.started = True
    scene.group.members[scene.mod.id].rights = {"can_change_info": True}
    scene.telegram.groups.choose(scene.mod.id, scene.group.id)
    for before, commands in (
        (Mode.SHADOW, ("/mode enforce",)),
        (Mode.ENFORCE, ("/policy strict", "/policy hate 1 1 ban", "/policy offensive 50 60 delete")),
    ):
        await scene.policy(mode=before)
        policy = await scene.pipeline.policy(scene.community)
        for command in commands:
            assert "may not do yourself" in await scene.asks(scene.mod, command)
            assert await scene.pipeline.policy(scene.community) == policy
    shown = scene.server.write(scene.server.private(scene.mod), scene.server.bot, "x").data
    scene.group.members[scene.mod.id].rights |= {"can_delete_messages": True}
    scene.telegram.admins.changed(scene.group.id)
    for what in ("preset", "resume"):
        assert "That takes “Ban users”" in await pressed(scene, scene.mod, shown, f"set:{scene.group.id}:{what}")
    assert "Shadow mode" in await scene.asks(scene.mod, "/mode shadow")
    scene.group.members[scene.mod.id].rights |= {"can_delete_messages": True, "can_restrict_members": True}
    assert "Enforce" in await scene.asks(scene.mod, "/mode enforce")


def consents(path: Path) -> list[Any]:
    return kept(path)["consent"]


async def test_consent_is_given_by_who_is_there_or_has_written_there(scene: Scene, tmp_path: Path) -> None:
    """A stranger's forged button or command records nothing; who has left takes back, is given a copy, and erases; who
    has written there may agree."""
    stranger, gone = scene.server.add_user("Stranger", started=True), scene.server.add_user("Gone", started=True)
    scene.server.join(scene.group, gone)
    await scene.server.says(scene.group, gone, "hello")
    await scene.settled()
    scene.server.join(scene.group, gone, "left")
    shown = scene.server.write(scene.server.private(stranger), scene.server.bot, "x").data
    assert not await pressed(scene, stranger, shown, f"mine:{scene.group.id}:yes")
    scene.telegram.groups.choose(stranger.id, scene.group.id)
    assert "written nothing there" in await scene.asks(stranger, "/consent yes")
    assert not consents(tmp_path)
    shown = scene.server.write(scene.server.private(gone), scene.server.bot, "x").data
    await pressed(scene, gone, shown, f"mine:{scene.group.id}:yes")
    assert len(consents(tmp_path)) == 1
    for what in ("no", "export", "erase"):
        await pressed(scene, gone, shown, f"mine:{scene.group.id}:{what}")
    await scene.settled()
    assert scene.server.called("sendDocument")
    author = scene.store.sealer.author("telegram", scene.community, str(gone.id))
    assert await scene.store.consents.basis(scene.community, author) is None
    assert not await scene.store.personal_data.export(author, scene.community)


async def test_nobody_agrees_for_another(scene: Scene, tmp_path: Path) -> None:
    """What is asked about one's own texts among moderators is answered alone; a press counts for who pressed, alone; in
    a chat's name nobody agrees to anything."""
    scene.server.join(scene.board, scene.ann)
    scene.ann.started = True
    for command in ("/consent", "/mydata", "/consent yes"):
        await scene.server.says(scene.board, scene.ann, command)
    await scene.settled()
    assert not [button for message in scene.server.by_bot(scene.board) for button in message.buttons]
    before = consents(tmp_path)
    shown = scene.server.write(scene.board, scene.server.bot, "x").data
    assert "works in private" in await pressed(scene, scene.mod, shown, f"mine:{scene.group.id}:yes")
    channel = scene.server.add_group("A channel")
    for sender in (channel, scene.group):
        for command in ("/consent yes", "/mydata erase", "/mydata export"):
            await scene.server.says(scene.group, sender, command)
    await scene.settled()
    assert consents(tmp_path) == before and not scene.server.called("sendDocument")


async def test_where_a_click_is_made_gives_no_basis(scene: Scene) -> None:
    """A moderator of the page or of a linked Discord server corrects a Telegram case: it teaches by its author's
    consent or not at all."""

    async def permission(community: str) -> str:
        return "permission:x"

    scene.telegram.case_service.basis_of |= {"discord": permission, "webchat": permission}
    await scene.telegram.groups.link(scene.group.id, "discord-77")
    await scene.server.says(scene.group, scene.ann, "HATE one")
    await scene.settled()
    (case,) = await scene.store.cases("discord-77")
    for moderator in ("dana", "discord:7", "telegram:7"):
        assert not (await scene.telegram.case_service.correct(case, moderator, Label.NEUTRAL)).case.teaches
    author = scene.store.sealer.author("telegram", "discord-77", str(scene.ann.id))
    await scene.store.consents.give("discord-77", author, scene.telegram.now())
    assert (await scene.telegram.case_service.correct(case, "discord:7", Label.OFFENSIVE)).case.teaches
