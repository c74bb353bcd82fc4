"""After a stop, a crash, a loss of the socket or of the order of events: every message is read, and read once."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import discord
import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from bot.domain.event import Message as Event
from bot.pipeline.pipeline import Pipeline
from bot.platforms.discord.events import community_of
from bot.store import Store
from bot.store.watermarks import Watermarks
from tests.bot.platforms.discord.conftest import Scene, ago, serving
from tests.journal import unfinished
from tests.simulators.discord_server import DiscordServer

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def text(number: int, word: str = "said") -> str:
    """Plain words only: a text with one view."""
    return " ".join([word, *(DIGITS[int(digit)] for digit in f"{number:03}")])


def many(count: int, word: str = "said") -> list[str]:
    return [text(number, word) for number in range(count)]


async def once(scene: Scene, wanted: list[str]) -> None:
    """Each of these was read exactly once, in the scene's whole life."""
    await scene.settled()
    assert {one: scene.read[one] for one in wanted} == dict.fromkeys(wanted, 1)


async def test_a_fresh_install_replays_nothing(tmp_path: Path) -> None:
    """What was said before the bot came is nobody's business; what is said from then on is."""
    async with DiscordServer() as server:
        scene = Scene(server)
        thread = scene.lounge.add_thread("thread", scene.ben)
        post = await server.posts(scene.forum, scene.ben, "a question", "before")
        for room in (scene.lounge, thread, post, scene.voice):
            server.remembers(room, scene.ann, "before")
        for start in range(2):
            async with serving(scene, tmp_path, set_up=False):
                await server.says(scene.lounge, scene.ann, text(start))
                await once(scene, [text(start)])
        assert not scene.read["before"] and not scene.read["a question"] and not scene.read["thread"]


async def test_what_was_said_meanwhile_is_read_once(tmp_path: Path) -> None:
    """In channels, threads, forum posts and voice chats, in several pages; nothing twice, though started twice more."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            thread = scene.lounge.add_thread("thread", scene.ben)
            post = await server.posts(scene.forum, scene.ben, "a question", text(0, "post"))
            archived = scene.lounge.add_thread("sleeping", scene.ben)
            rooms = {"lounge": scene.lounge, "thread": thread, "post": post, "voice": scene.voice}
            for name, room in rooms.items():
                await server.says(room, scene.ann, text(1, name))
            await scene.settled()
        for name, room in rooms.items():
            for number in range(2, 250 if name == "lounge" else 20):
                server.remembers(room, scene.ann, text(number, name))
        server.remembers(archived, scene.ann, text(0, "archived"))
        born = scene.guild.add_channel("new")
        old = next(iter(scene.lounge.messages.values()))
        late = scene.lounge.add_thread("a late title", scene.ben, message=old)
        asked = await server.posts(scene.forum, scene.ben, "another question", text(0, "asked"))
        for name, room in {"born": born, "late": late, "asked": asked}.items():
            server.remembers(room, scene.ann, text(1, name))
        for _ in range(2):
            async with serving(scene, tmp_path):
                await scene.settled()
        wanted = [text(n, name) for name in rooms for n in range(1, 250 if name == "lounge" else 20)]
        wanted += [text(0, "post"), text(1, "born"), text(1, "late"), text(0, "asked"), text(1, "asked")]
        wanted += ["thread", "a question", "a late title", "another question", text(0, "archived")]
        async with serving(scene, tmp_path):
            await once(scene, wanted)


async def test_an_old_thread_that_woke_up_meanwhile(tmp_path: Path) -> None:
    """It slept when the bot came; what is said in it during an outage is read, what was said before is not."""
    async with DiscordServer() as server:
        scene = Scene(server)
        thread = scene.lounge.add_thread("thread", scene.ben, archived=True)
        server.remembers(thread, scene.ben, text(0, "before"), at=ago(days=9))
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.ann, text(0))
            await scene.settled()
        thread.change(archived=False)
        server.remembers(thread, scene.ben, text(1))
        async with serving(scene, tmp_path):
            await once(scene, [text(0), text(1)])
            assert not scene.read[text(0, "before")]


async def test_a_crash_while_catching_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after 150 of 250, with newer messages journalled already: the next start reads the rest, once."""
    receive, read, stuck = Pipeline.receive, [0], asyncio.Event()

    async def until_150(self: Pipeline, event: Event) -> bool:
        read[0] += event.text.startswith("missed")
        if read[0] > 150 and event.text.startswith("missed"):
            stuck.set()
            await asyncio.Event().wait()
        return await receive(self, event)

    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.ann, text(0))
            await scene.settled()
        missed = many(250, "missed")
        for one in missed:
            server.remembers(scene.lounge, scene.ann, one)
        with monkeypatch.context() as patch:
            patch.setattr(Pipeline, "receive", until_150)
            async with serving(scene, tmp_path):
                await stuck.wait()
                live = await server.says(scene.lounge, scene.ann, text(1))
                await server.until(lambda: scene.read[live.content])
                while await unfinished(scene.store, "discord"):  # what is with the model would be asked again
                    await asyncio.sleep(0.01)
        async with serving(scene, tmp_path):
            await once(scene, [*missed, text(0), text(1)])


async def test_a_loss_while_catching_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session is lost again before a room is read to its end: what is said in between is not taken for read."""
    receive, stuck, go_on = Pipeline.receive, asyncio.Event(), asyncio.Event()

    async def slow(self: Pipeline, event: Event) -> bool:
        if event.text == text(1, "missed"):
            stuck.set()
            await go_on.wait()
        return await receive(self, event)

    monkeypatch.setattr(Pipeline, "receive", slow)
    await scene.server.says(scene.lounge, scene.ann, text(0))
    await scene.settled()
    scene.server.faults.refuse_connections(1)
    scene.server.faults.invalid_session(False)
    await scene.server.until(lambda: not scene.discord.client.sound)  # type: ignore[union-attr]
    for number in range(3):
        scene.server.remembers(scene.lounge, scene.ann, text(number, "missed"))
    await stuck.wait()
    scene.server.faults.invalid_session(False)
    await scene.server.until(lambda: not scene.discord.client.sound)  # type: ignore[union-attr]
    await asyncio.sleep(0.05)
    scene.server.remembers(scene.lounge, scene.ann, text(3, "missed"))
    go_on.set()
    await scene.server.until(lambda: scene.discord.client.sound)  # type: ignore[union-attr]
    await once(scene, [text(0), *many(4, "missed")])


SCRIPT = 12


async def play(scene: Scene, word: str) -> list[str]:
    """Twelve events, a GUILD_CREATE among them; the texts in them."""
    server, guild = scene.server, scene.guild
    first = await server.says(scene.lounge, scene.ann, f"one {word}")
    await server.edits(first, f"two {word}")
    thread = scene.lounge.add_thread(f"three {word}", scene.ben)
    await server.says(thread, scene.ann, f"four {word}")
    other = server.add_guild(word, bot=False)
    hall = other.add_channel("hall")
    await server.adds_bot(other)
    await server.says(hall, other.owner, f"five {word}")
    room = guild.add_channel("room")
    await server.says(room, scene.ann, f"six {word}")
    await server.says(scene.voice, scene.ben, f"seven {word}")
    await server.deletes(first)
    await server.unfurls(await server.says(scene.lounge, scene.ben, f"eight {word}"), {"title": f"nine {word}"})
    return [f"{n} {word}" for n in ("one", "two", "three", "four", "five", "six", "seven", "eight")]


async def test_the_socket_drops_at_every_event(scene: Scene) -> None:
    """One drop at each place of the script; after the RESUME every message was read, and once."""
    words = [text(number, "w").replace(" ", "") for number in range(SCRIPT)]
    wanted: list[str] = []
    for number, word in enumerate(words, 1):
        scene.server.faults.drop_socket_after(number)
        wanted += await play(scene, word)
        await scene.settled()
        assert scene.server.resumed == number, "dropped and resumed"
    await once(scene, wanted)
    assert scene.server.identified == 1


LOSSES: dict[str, Callable[[DiscordServer], None]] = {
    "dropped": lambda server: server.faults.drop_socket(),
    "closed with 4000": lambda server: server.faults.close_socket(4000),
    "closed with 4009": lambda server: server.faults.close_socket(4009),
    "closed with 1000": lambda server: server.faults.close_socket(1000),
    "asked to reconnect": lambda server: server.faults.ask_reconnect(),
    "session invalid, to be resumed": lambda server: server.faults.invalid_session(True),
    "session invalid": lambda server: server.faults.invalid_session(False),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_however_the_session_is_lost(scene: Scene, loss: str) -> None:
    """Said before, while nobody listens, and after: each read once; three times over."""
    wanted = []
    for number in range(3):
        wanted += [text(number, word) for word in ("before", "while", "after")]
        await scene.server.says(scene.lounge, scene.ann, text(number, "before"))
        LOSSES[loss](scene.server)
        await scene.server.says(scene.lounge, scene.ann, text(number, "while"))
        await scene.server.until(lambda: scene.server.identified + scene.server.resumed == number + 2)  # noqa: B023
        await scene.server.says(scene.lounge, scene.ann, text(number, "after"))
        await scene.settled()
    await once(scene, wanted)


async def test_twice_and_out_of_order(scene: Scene) -> None:
    """Every event delivered twice, and thirty in any order: each message once, the last words of each edited one."""
    scene.server.faults.duplicate(10**6)
    scene.server.faults.shuffle(7)
    wanted = []
    for number in range(30):
        message = await scene.server.says(scene.lounge, scene.ann, text(number))
        wanted += [text(number)]
        if number % 3 == 0:
            await scene.server.edits(message, text(number, "edited"))
            wanted += [text(number, "edited")]
    await asyncio.sleep(0.1)
    scene.server.faults.clear()
    await once(scene, wanted)
    journal = [await scene.store.journalled("discord", scene.community, str(one)) for one in scene.lounge.messages]
    assert [row.text for row in journal if row] == [m.content for m in scene.lounge.messages.values()]


GARBAGE = (
    '{"id": null, "guild_id": "?", "author": 7}',
    "null",
    "[]",
    '"text"',
    "{}",
    '{"guild_id": "1", "channel_id": "1", "id": "1", "user": {}, "member": [], "roles": 0, "data": 0, "type": 99}',
)


async def test_events_nobody_can_read(scene: Scene) -> None:
    """Garbage in the shape of every event the library knows: skipped, the connection stays, the next is read."""
    events = set(scene.discord.client._connection.parsers) - {"READY", "RESUMED"}  # type: ignore[union-attr]
    assert len(events) > 40
    with capture_logs() as logs:
        for event in sorted(events):
            for garbage in GARBAGE:
                scene.server.faults.malformed(event, garbage)
        await scene.server.says(scene.lounge, scene.ann, text(0))
        await once(scene, [text(0)])
    assert {entry["discord_event"] for entry in logs if entry["event"] == "event not understood"} >= {"MESSAGE_CREATE"}
    assert scene.server.identified == 1 and not scene.server.resumed


async def test_events_that_are_almost_right(scene: Scene) -> None:
    """A message of this server with one field missing or wrong: skipped, or read as far as it goes."""
    whole = scene.server.write(scene.lounge, scene.ann, "HATE", embeds=[{"title": "-"}]).event()
    with capture_logs():
        for field in whole:
            for wrong in (None, 7, "?", [], {}, [7], [None], {"id": "?"}):
                broken = {**whole, "id": str(scene.server.snowflake()), field: wrong}
                for event in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
                    scene.server.faults.malformed(event, json.dumps(broken))
        await scene.server.says(scene.lounge, scene.ann, text(0))
        await once(scene, [text(0)])
    assert scene.server.identified == 1


def refusing(monkeypatch: pytest.MonkeyPatch, name: str, times: int, only: str = "") -> list[int]:
    """The next calls of a method of the store fail as on a full disk."""
    owner: Any = Store if hasattr(Store, name) else Watermarks
    real, left = getattr(owner, name), [times]

    async def method(self: Any, *args: Any, **more: Any) -> Any:
        if left[0] and (not only or only in args[0].text):
            left[0] -= 1
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return await real(self, *args, **more)

    monkeypatch.setattr(owner, name, method)
    return left


async def test_what_the_store_could_not_take_is_read_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk for a moment: the message is missed, later ones are not; within a minute it is read all the same."""
    await scene.server.says(scene.lounge, scene.ann, text(0))
    await scene.settled()
    refusing(monkeypatch, "record_seen", 1, text(1))
    for number in (1, 2):
        await scene.server.says(scene.lounge, scene.ann, text(number))
    await scene.settled()
    assert not scene.read[text(1)] and scene.read[text(2)]
    await scene.discord.missed_messages.catch_up(list(scene.discord.guilds))
    await once(scene, many(3))
    assert not scene.discord.missed_messages.on_hold


async def test_a_disk_that_stays_full_for_a_while(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the gap can be noted: it is remembered until it can."""
    await scene.server.says(scene.lounge, scene.ann, text(0))
    await scene.settled()
    refusing(monkeypatch, "record_seen", 1, text(1))
    left = refusing(monkeypatch, "open_gap", 2)
    await scene.server.says(scene.lounge, scene.ann, text(1))
    await scene.server.says(scene.lounge, scene.ann, text(2))
    await scene.settled()
    with pytest.raises(OperationalError):
        await scene.discord.missed_messages.catch_up(list(scene.discord.guilds))
    assert not left[0]
    await scene.discord.missed_messages.catch_up(list(scene.discord.guilds))
    await once(scene, many(3))


async def test_a_full_disk_while_the_socket_is_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss cannot be noted when it happens; it is before anything is read again."""
    await scene.server.says(scene.lounge, scene.ann, text(0))
    await scene.settled()
    left = refusing(monkeypatch, "open_gaps", 1)
    scene.server.faults.invalid_session(False)
    scene.server.remembers(scene.lounge, scene.ann, text(1))
    await scene.server.until(lambda: scene.server.identified == 2)
    await once(scene, many(2))
    assert not left[0]


async def test_a_full_disk_while_catching_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One room's failure is not the others', and it is tried again."""
    for room in (scene.lounge, scene.voice):
        await scene.server.says(room, scene.ann, text(0, room.name))
    await scene.settled()
    left = refusing(monkeypatch, "record_seen", 6, text(1, "lounge"))
    scene.server.faults.invalid_session(False)
    for room in (scene.lounge, scene.voice):
        scene.server.remembers(room, scene.ann, text(1, room.name))
    await scene.server.until(lambda: scene.server.identified == 2)
    await scene.heard()
    await scene.server.until(lambda: left[0] <= 2)  # four tries; later ones are a matter of time
    assert scene.discord.missed_messages.on_hold == {str(scene.lounge.id)}
    left[0] = 0
    await scene.discord.missed_messages.catch_up(list(scene.discord.guilds))
    await once(scene, [text(n, name) for n in range(2) for name in ("lounge", "voice")])


async def test_what_was_said_long_ago_is_shown_and_not_punished(tmp_path: Path) -> None:
    """Two hours late: a card with the reason, and the message stays; what is fresh is deleted."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce()
            mark = discord.utils.time_snowflake(ago(hours=3))
            await scene.store.watermarks.open_gap("discord", str(scene.lounge.id), mark, ago())
        old = server.remembers(scene.lounge, scene.ann, "HATE old", at=ago(hours=2))
        fresh = server.remembers(scene.lounge, scene.ann, "HATE fresh", at=ago(minutes=20))
        async with serving(scene, tmp_path):
            cases = {case.message.text: case for case in await scene.cases()}
            assert "old" in cases["HATE old"].message.decision.flags and not old.deleted
            assert not cases["HATE fresh"].message.decision.flags and fresh.deleted
            late = ["more than an hour late" in str(card.embeds) for card in await scene.cards(2)]
            assert sorted(late) == [False, True]  # which of the two is handled first is nobody's promise


async def test_edits_of_the_meantime(tmp_path: Path) -> None:
    """A message that was read already is read again when it was edited while nobody listened."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            message = await server.says(scene.lounge, scene.ann, text(0))
            for number in range(1, 5):
                await server.says(scene.lounge, scene.ann, text(number))
            await scene.settled()
        await server.edits(message, "HATE edited")
        async with serving(scene, tmp_path):
            assert (await scene.case()).message.text == "HATE edited"
            await once(scene, many(5))


async def test_a_channel_whose_history_is_closed(tmp_path: Path) -> None:
    """It is held back, status and self-check name it, and it is read once the right comes back."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.ann, text(0))
            await scene.settled()
        scene.lounge.overwrite(scene.guild.bot_role, deny=["read_message_history"])
        server.remembers(scene.lounge, scene.ann, text(1))
        async with serving(scene, tmp_path):
            await scene.settled()
            assert scene.discord.missed_messages.on_hold == {str(scene.lounge.id)} and not scene.read[text(1)]
            why = [missing.why.text() for missing in scene.discord.problems[scene.community]]
            assert len(why) == 1 and "Read Message History" in why[0] and f"<#{scene.lounge.id}>" in why[0]
            answer = await scene.runs(scene.mod, "status")
            assert "One channel could not be read back" in answer.content and "Read Message History" in answer.content
            scene.lounge.overwrite(scene.guild.bot_role)
            await server.until(lambda: scene.read[text(1)])
            await once(scene, many(2))
            await server.until(lambda: not scene.discord.missed_messages.on_hold)


@pytest.mark.parametrize("fault", [500, 502, 503, "reset", "429", 403])
async def test_history_that_fails_for_a_while(tmp_path: Path, fault: Any) -> None:
    """Every page once: all is read in the end, once."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.ann, text(0))
            await scene.settled()
        for number in range(1, 150):
            server.remembers(scene.lounge, scene.ann, text(number))
        server.faults.fail_rest("GET", rf"/channels/{scene.lounge.id}/messages$", fault, times=1 if fault == 403 else 2)
        async with serving(scene, tmp_path):
            await scene.heard()
            await scene.discord.missed_messages.catch_up(list(scene.discord.guilds))
            await once(scene, many(150))


async def test_a_server_that_is_away_at_the_start(tmp_path: Path) -> None:
    """The others are served; what was said there is read when it comes back, and a new one is then greeted."""
    async with DiscordServer() as server:
        scene = Scene(server)
        other = server.add_guild("Others")
        hall = other.add_channel("hall")
        async with serving(scene, tmp_path):
            for room in (scene.lounge, hall):
                await server.says(room, room.guild.owner, text(0, room.name))  # type: ignore[union-attr]
            await scene.settled()
        server.remembers(hall, other.owner, text(1, "hall"))
        new = server.add_guild("New")
        for guild in (other, new):
            await server.goes_unavailable(guild)
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.owner, text(1, "lounge"))
            await scene.settled()
            assert not scene.read[text(1, "hall")] and not server.dm(new.owner).messages
            assert await scene.store.communities.setup(community_of(new.id)) is None
            for guild in (other, new):
                await server.comes_back(guild)
            await server.until(lambda: scene.read[text(1, "hall")] and server.dm(new.owner).messages)
            await once(scene, [text(n, name) for n in range(2) for name in ("hall", "lounge")])


async def test_a_server_that_goes_away_and_comes_back(scene: Scene) -> None:
    """What waits for it waits; nothing is lost or done twice."""
    await scene.server.says(scene.lounge, scene.ann, text(0))
    await scene.settled()
    await scene.server.goes_unavailable(scene.guild)
    scene.server.remembers(scene.lounge, scene.ann, text(1))
    await scene.heard()
    await scene.server.comes_back(scene.guild)
    await scene.server.says(scene.lounge, scene.ann, text(2))
    await scene.heard()
    await asyncio.sleep(0.6)  # a change is looked at half a second later
    await once(scene, [text(0), text(2)])


async def test_let_in_again(tmp_path: Path) -> None:
    """What was said while the bot was not on the server is not read, neither then nor after the next start."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.ann, text(0))
            await scene.settled()
            await server.removes_bot(scene.guild)
            server.remembers(scene.lounge, scene.ann, text(1))
            await scene.heard()
            await server.adds_bot(scene.guild)
            await scene.heard()
            await server.says(scene.lounge, scene.ann, text(2))
            await scene.settled()
        async with serving(scene, tmp_path):
            await once(scene, [text(0), text(2)])
            assert not scene.read[text(1)]
