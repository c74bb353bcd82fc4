"""The simulated Discord, driven by the unmodified client library."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import aiohttp
import pytest

from . import discord_permissions as perms
from .discord_server import DiscordServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # discord.player imports audioop
    import discord
    from discord import app_commands

FAST = 0.02


class Verdict(discord.ui.DynamicItem[discord.ui.Button], template=r"verdict:(?P<case>\d+)"):
    """A button that outlives a restart: its case stands in its custom id."""

    def __init__(self, case: int) -> None:
        super().__init__(discord.ui.Button(label="Correct", custom_id=f"verdict:{case}"))
        self.case = case

    @classmethod
    async def from_custom_id(cls, interaction: Any, item: Any, match: re.Match[str]) -> Verdict:
        return cls(int(match["case"]))

    async def callback(self, interaction: discord.Interaction) -> None:
        embed = discord.Embed(title=f"case {self.case} confirmed by {interaction.user.name}")
        await interaction.response.edit_message(embed=embed, view=None)


class Client(discord.Client):
    """Remembers what it was told."""

    def __init__(self, **options: Any) -> None:
        intents = discord.Intents.all() ^ discord.Intents(presences=True)
        super().__init__(intents=intents, guild_ready_timeout=0.1, **options)
        self.tree = app_commands.CommandTree(self)
        self.seen: list[tuple[str, Any]] = []
        self.add_dynamic_items(Verdict)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Not the five seconds that the library waits before every IDENTIFY but the first."""

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        self.seen.append((event, args))
        super().dispatch(event, *args, **kwargs)

    def of(self, event: str) -> list[Any]:
        """The first argument of every such event."""
        return [args[0] if args else None for name, args in self.seen if name == event]

    def texts(self) -> list[str]:
        return [message.content for message in self.of("message")]


@asynccontextmanager
async def connected(server: DiscordServer, client: Client | None = None) -> AsyncIterator[Client]:
    """A client that is ready, and is closed afterwards."""
    client = client or Client()
    async with asyncio.TaskGroup() as tasks, client:
        running = tasks.create_task(client.start(server.token))
        await asyncio.wait_for(client.wait_until_ready(), 5)
        yield client
        await client.close()
        await running


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    """A running server that clients in this test connect to."""
    async with DiscordServer() as running:
        running.point_client_here(monkeypatch)
        yield running


async def test_a_client_gets_ready_and_knows_its_guilds(server: DiscordServer) -> None:
    """Guild, channel, roles and members are in the client's cache when it is ready."""
    guild = server.add_guild("Friends")
    guild.add_channel("general")
    guild.add_member("ann")
    async with connected(server) as client:
        [seen] = client.guilds
        assert (seen.name, [channel.name for channel in seen.text_channels]) == ("Friends", ["general"])
        assert sorted(member.name for member in seen.members) == ["ann", "domovoi", "owner-of-friends"]
        assert client.user is not None and client.user.id == server.bot.id
    assert server.unknown_routes == []


async def test_a_message_arrives(server: DiscordServer) -> None:
    """What somebody says reaches on_message with its author as a member."""
    guild = server.add_guild("Friends")
    channel, ann = guild.add_channel("general"), guild.add_member("ann", nick="Annie")
    async with connected(server) as client:
        await server.says(channel, ann, "hello")
        await server.until(lambda: client.texts() == ["hello"])
        [message] = client.of("message")
        assert (message.author.nick, message.channel.name, message.guild.name) == ("Annie", "general", "Friends")


@pytest.fixture
def place(server: DiscordServer) -> tuple[Any, Any, Any]:
    """A guild, a channel in it and somebody who writes there."""
    guild = server.add_guild("Friends")
    return guild, guild.add_channel("general"), guild.add_member("ann")


Place = tuple[Any, Any, Any]


def channel_in(client: Client, channel: Any) -> discord.TextChannel:
    found = client.get_channel(channel.id)
    assert isinstance(found, discord.TextChannel)
    return found


async def test_an_edit_and_an_unfurled_link_differ_in_the_edited_timestamp(server: DiscordServer, place: Place) -> None:
    """Both are MESSAGE_UPDATE with the whole message; only the edit has a time of editing."""
    _, channel, ann = place
    async with connected(server) as client:
        message = await server.says(channel, ann, "see http://example.com")
        await server.unfurls(message, {"type": "link", "title": "Example"})
        await server.edits(message, "never mind")
        await server.until(lambda: len(client.of("raw_message_edit")) == 2)
        unfurled, edited = client.of("raw_message_edit")
        assert unfurled.message.edited_at is None and unfurled.message.embeds[0].title == "Example"
        assert edited.message.edited_at is not None and edited.message.content == "never mind"


async def test_history_has_what_no_event_announced(server: DiscordServer, place: Place) -> None:
    """Messages of an outage are found after the last one known, page by page, at their own times."""
    _, channel, ann = place
    start = datetime.now(UTC) - timedelta(hours=1)
    for minute in range(5):
        server.remembers(channel, ann, str(minute), at=start + timedelta(minutes=minute))
    async with connected(server) as client:
        there = channel_in(client, channel)
        newest = [message async for message in there.history(limit=2)]
        assert [message.content for message in newest] == ["4", "3"]
        later = [message.content async for message in there.history(after=start + timedelta(seconds=90), limit=None)]
        assert later == ["2", "3", "4"]
        around = [message.content async for message in there.history(around=newest[1], limit=3)]
        assert sorted(around) == ["2", "3", "4"]
        assert abs(newest[1].created_at - start - timedelta(minutes=3)) < timedelta(milliseconds=2)
        assert client.texts() == []


class Card(discord.ui.View):
    """A verdict button and a link."""

    def __init__(self, case: int) -> None:
        super().__init__(timeout=None)
        self.add_item(Verdict(case))
        self.add_item(discord.ui.Button(label="Guide", url="https://example.com"))


async def test_a_click_on_a_persistent_button_updates_the_card(server: DiscordServer, place: Place) -> None:
    """Embed and buttons arrive; the DynamicItem answers with an edit of the same message."""
    _, channel, ann = place
    async with connected(server) as client:
        sent = await channel_in(client, channel).send(embed=discord.Embed(title="case 7"), view=Card(7))
        card = channel.messages[sent.id]
        assert (card.embeds[0]["title"], card.components[0]["components"][0]["label"]) == ("case 7", "Correct")
        answer = await server.clicks(ann, card, "Correct")
        assert (answer.kind, answer.message) == ("update", card)
        assert (card.embeds[0]["title"], card.components) == ("case 7 confirmed by ann", [])
        assert answer.answered_after_s is not None and answer.answered_after_s < 1
        with pytest.raises(LookupError):
            await server.clicks(ann, card, "Correct")


class Selector(discord.ui.View):
    """Answers with what was picked."""

    @discord.ui.select(placeholder="Label", options=[discord.SelectOption(label="Hate", value="hate")])
    async def label(self, interaction: discord.Interaction, select: Any) -> None:
        await interaction.response.send_message(select.values[0], ephemeral=True)

    @discord.ui.select(cls=discord.ui.RoleSelect, placeholder="Role", max_values=2)
    async def role(self, interaction: discord.Interaction, select: Any) -> None:
        await interaction.response.send_message(",".join(role.name for role in select.values))

    @discord.ui.select(cls=discord.ui.UserSelect, placeholder="User")
    async def user(self, interaction: discord.Interaction, select: Any) -> None:
        await interaction.response.send_message(select.values[0].display_name)

    @discord.ui.select(cls=discord.ui.ChannelSelect, placeholder="Channel")
    async def channel(self, interaction: discord.Interaction, select: Any) -> None:
        await interaction.response.send_message(select.values[0].name)


async def test_selects_resolve_roles_users_and_channels(server: DiscordServer, place: Place) -> None:
    """Each kind of select hands the client real objects."""
    guild, channel, ann = place
    roles = [guild.add_role("helpers"), guild.add_role("elders")]
    async with connected(server) as client:
        sent = await channel_in(client, channel).send(view=Selector())
        menu = channel.messages[sent.id]
        assert (await server.selects(ann, menu, "Label", "Hate")).content == "hate"
        assert sorted((await server.selects(ann, menu, "Role", *roles)).content.split(",")) == ["elders", "helpers"]
        assert (await server.selects(ann, menu, "User", ann)).content == "Ann"
        assert (await server.selects(ann, menu, "Channel", channel)).content == "general"


def commands_of(client: Client) -> None:
    """Some commands of every kind."""
    tree = client.tree

    @tree.command(description="Says what it was given")
    async def explain(interaction: discord.Interaction, message: str, who: discord.Member, times: int = 1) -> None:
        rights = interaction.permissions.manage_messages
        await interaction.response.send_message(f"{message} {who.name} {times} {rights}", ephemeral=True)

    log = app_commands.Group(name="log", description="The log")

    @log.command(name="set", description="Where it goes")
    async def log_set(
        interaction: discord.Interaction, where: discord.TextChannel, mode: Literal["brief", "full"]
    ) -> None:
        await interaction.response.send_message(f"{where.name} {mode}")

    tree.add_command(log)

    @tree.command(description="Takes its time")
    async def slow(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await asyncio.sleep(FAST)
        await interaction.followup.send("first")
        await interaction.followup.send("second", ephemeral=True)

    @tree.command(description="Edits its answer")
    async def edited(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content="ready")

    @tree.command(description="Asks back")
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Question())

    @tree.command(description="Never answers")
    async def silent(interaction: discord.Interaction) -> None:
        await asyncio.sleep(2 * FAST)
        with contextlib.suppress(discord.NotFound):
            await interaction.response.send_message("too late")
            client.dispatch("in_time")

    @tree.context_menu(name="Report")
    async def report(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"reported {message.content} by {message.author.name}", ephemeral=True)

    @tree.context_menu(name="Standing")
    async def standing(interaction: discord.Interaction, user: discord.Member) -> None:
        await interaction.response.send_message(f"{user.name} is fine", ephemeral=True)

    @tree.command(description="Completes")
    async def pick(interaction: discord.Interaction, colour: str) -> None:
        await interaction.response.send_message(colour)

    @pick.autocomplete("colour")
    async def colours(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=c, value=c) for c in ("red", "green") if c.startswith(current)]


class Question(discord.ui.Modal, title="Why?"):
    """One line."""

    reason = discord.ui.TextInput(label="Reason", max_length=20)

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"because {self.reason.value}", ephemeral=True)


@asynccontextmanager
async def with_commands(server: DiscordServer) -> AsyncIterator[Client]:
    """A client whose commands are registered."""
    client = Client()
    commands_of(client)
    async with connected(server, client):
        await client.tree.sync()
        yield client


async def test_a_slash_command_is_run_with_its_options(server: DiscordServer, place: Place) -> None:
    """Options are typed by the registration, users resolved, and the invoker's permissions computed."""
    guild, channel, ann = place
    boss = guild.add_member("boss", [guild.add_role("mods", "manage_messages")])
    async with with_commands(server):
        answer = await server.runs(ann, channel, "explain", {"message": "hi", "who": boss})
        assert (answer.kind, answer.content, answer.ephemeral) == ("message", "hi boss 1 False", True)
        answer = await server.runs(boss, channel, "explain", {"message": "hi", "who": ann, "times": 3})
        assert answer.content == "hi ann 3 True"
        assert channel.messages == {}
        assert (
            await server.runs(ann, channel, "log set", {"where": channel, "mode": "full"})
        ).content == "general full"
        assert [message.content for message in channel.messages.values()] == ["general full"]
        with pytest.raises(LookupError, match="registered"):
            await server.runs(ann, channel, "unheard")
        with pytest.raises(ValueError, match="required"):
            await server.runs(ann, channel, "explain", {"message": "hi"})


async def test_a_deferred_answer_is_waited_for(server: DiscordServer, place: Place) -> None:
    """The first followup fills the waiting message, as on Discord; an edit of @original does, too."""
    _, channel, ann = place
    async with with_commands(server):
        answer = await server.runs(ann, channel, "slow")
        assert (answer.kind, answer.content, answer.ephemeral) == ("deferred", "first", True)
        assert answer.finished_after_s > answer.answered_after_s
        await server.until(lambda: len(answer.followups) == 2)
        assert [one.content for one in answer.followups] == ["first", "second"]
        answer = await server.runs(ann, channel, "edited")
        assert (answer.content, answer.ephemeral) == ("ready", False)


async def test_a_modal_is_opened_and_submitted(server: DiscordServer, place: Place) -> None:
    """Fields are named by their label; what is missing is refused as the form would."""
    _, channel, ann = place
    async with with_commands(server):
        opened = await server.runs(ann, channel, "ask")
        assert opened.kind == "modal" and opened.modal["title"] == "Why?"
        with pytest.raises(ValueError, match="required"):
            await server.submits(ann, opened, {})
        answer = await server.submits(ann, opened, {"Reason": "of irony"})
        assert (answer.kind, answer.content, answer.ephemeral) == ("message", "because of irony", True)


async def test_context_menus_get_the_message_or_the_user(server: DiscordServer, place: Place) -> None:
    """A message command resolves the message, a user command the member."""
    _, channel, ann = place
    async with with_commands(server):
        message = await server.says(channel, ann, "hm")
        assert (await server.uses_message_command(ann, message, "Report")).content == "reported hm by ann"
        assert (await server.uses_user_command(ann, channel, ann, "Standing")).content == "ann is fine"


async def test_autocomplete_offers_choices(server: DiscordServer, place: Place) -> None:
    """What the bot suggests for what is typed so far."""
    _, channel, ann = place
    async with with_commands(server):
        answer = await server.autocompletes(ann, channel, "pick", {"colour": "r"}, "colour")
        assert (answer.kind, [one["value"] for one in answer.choices]) == ("autocomplete", ["red"])


async def test_commands_work_in_direct_messages(server: DiscordServer, place: Place) -> None:
    """Without a channel a command is run in direct messages."""
    _, _, ann = place
    async with with_commands(server):
        answer = await server.runs(ann, None, "pick", {"colour": "blue"})
        assert (answer.content, answer.message.channel) == ("blue", server.dm(ann))


async def test_a_late_callback_is_unknown(server: DiscordServer, place: Place) -> None:
    """After the deadline Discord does not know the interaction any more (10062), and the user saw nothing."""
    _, channel, ann = place
    server.callback_deadline_s = FAST
    async with with_commands(server) as client:
        answer = await server.runs(ann, channel, "silent", timeout_s=8 * FAST)
        await server.until(lambda: [call.status for call in server.called("POST", "/callback")] == [404])
        assert (answer.kind, answer.answered_after_s, client.of("in_time")) == ("none", None, [])


async def test_a_whisper_has_buttons_too(server: DiscordServer, place: Place) -> None:
    """An ephemeral answer is in no history and no event, yet its buttons work."""
    _, channel, ann = place
    client = Client()

    @client.tree.command(description="Shows a case")
    async def case(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("case", view=Card(3), ephemeral=True)

    async with connected(server, client):
        await client.tree.sync()
        shown = await server.runs(ann, channel, "case")
        assert shown.ephemeral and channel.messages == {}
        answer = await server.clicks(ann, shown, "verdict:3")
        assert answer.embeds[0]["title"] == "case 3 confirmed by ann"
        assert client.texts() == []


async def test_a_dropped_socket_is_resumed_and_nothing_is_lost(server: DiscordServer, place: Place) -> None:
    """The event in whose place the connection broke, and those after it, are replayed once."""
    _, channel, ann = place
    async with connected(server) as client:
        server.faults.drop_socket_after(3)
        for number in range(6):
            await server.says(channel, ann, str(number))
        await server.until(lambda: len(client.texts()) == 6)
        assert client.texts() == list("012345")
        assert (server.identified, server.resumed) == (1, 1)


async def test_an_invalid_session_leads_to_a_fresh_identify(
    server: DiscordServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Op 9 false: the client identifies anew and is not told what it missed; the history knows."""
    _, channel, ann = place
    without_backoff(monkeypatch)
    async with connected(server) as client:
        server.faults.invalid_session(False)
        await server.says(channel, ann, "missed")
        await server.until(lambda: server.identified == 2 and len(client.of("ready")) == 2)
        await server.says(channel, ann, "heard")
        await server.until(lambda: client.texts() == ["heard"])
        assert [message.content for message in channel.messages.values()] == ["missed", "heard"]


async def test_invalid_but_resumable_and_reconnect_are_resumed(
    server: DiscordServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Op 9 true, op 7 and a close code 4000 all end in a RESUME of the same session."""
    _, channel, ann = place
    without_backoff(monkeypatch)
    async with connected(server) as client:
        faults = [
            lambda: server.faults.invalid_session(True),
            server.faults.ask_reconnect,
            lambda: server.faults.close_socket(4000),
        ]
        for count, fault in enumerate(faults, start=1):
            fault()
            await server.says(channel, ann, str(count))
            await server.until(lambda count=count: server.resumed == count and len(client.texts()) == count)
        assert (client.texts(), server.identified) == (["1", "2", "3"], 1)


def without_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits a random time before it connects again; tests do not."""
    monkeypatch.setattr(discord.backoff.ExponentialBackoff, "delay", lambda self: FAST)


async def test_duplicates_and_disorder_are_delivered_as_ordered(server: DiscordServer, place: Place) -> None:
    """The next events come twice; a window of them comes in another order, the same for the same seed."""
    _, channel, ann = place
    async with connected(server) as client:
        server.faults.duplicate(1)
        await server.says(channel, ann, "twice")
        await server.says(channel, ann, "once")
        await server.until(lambda: client.texts() == ["twice", "twice", "once"])
        server.faults.shuffle(5)
        for number in range(5):
            await server.says(channel, ann, str(number))
        await server.until(lambda: len(client.texts()) == 8)
        assert client.texts()[3:] != list("01234") and sorted(client.texts()[3:]) == list("01234")


async def test_a_malformed_event_ends_the_client(server: DiscordServer, place: Place) -> None:
    """discord.py does not survive garbage of a known type: `start` raises."""
    client = Client()
    with pytest.raises(ExceptionGroup):
        async with connected(server, client):
            server.faults.malformed("MESSAGE_CREATE")
            await asyncio.sleep(5)
    assert client.is_closed()


async def test_a_429_is_waited_for_and_retried(server: DiscordServer, place: Place) -> None:
    """Route and global limits: the client waits and the message is sent once."""
    _, channel, _ = place
    async with connected(server) as client:
        for failure in ("429", "429-global"):
            server.faults.fail_rest("POST", "/messages$", failure, retry_after_s=FAST)
            await channel_in(client, channel).send(failure)
        assert [message.content for message in channel.messages.values()] == ["429", "429-global"]
        assert [call.status for call in server.called("POST", "/messages$")] == [429, 200, 429, 200]


async def test_an_answer_lost_after_its_effect_and_a_nonce(server: DiscordServer, place: Place) -> None:
    """The connection is reset after the message was sent; sending again with the same nonce sends nothing new."""
    _, channel, _ = place
    async with connected(server) as client:
        server.faults.fail_rest("POST", "/messages$", "reset", before_effect=False)
        there = channel_in(client, channel)
        with pytest.raises((OSError, aiohttp.ClientError)):
            await there.send("alert", nonce="case-1")
        again = await there.send("alert", nonce="case-1")
        assert list(channel.messages) == [again.id]
        server.faults.fail_rest("POST", "/messages$", 503)
        with pytest.raises(discord.DiscordServerError):
            await there.send("lost")
        assert list(channel.messages) == [again.id]


async def test_permissions_are_needed_and_can_be_lost(server: DiscordServer, place: Place) -> None:
    """50013 without the permission, 50001 without seeing the channel, 10008 for what is gone."""
    guild, channel, ann = place
    async with connected(server) as client:
        first, second = [await server.says(channel, ann, text) for text in ("a", "b")]
        there = channel_in(client, channel)
        await there.get_partial_message(first.id).delete()
        with pytest.raises(discord.NotFound) as gone:
            await there.get_partial_message(first.id).delete()
        guild.bot_role.deny("manage_messages")
        with pytest.raises(discord.Forbidden) as refused:
            await there.get_partial_message(second.id).delete()
        channel.overwrite(guild.bot_role, deny="view_channel")
        with pytest.raises(discord.Forbidden) as blind:
            await there.send("hello?")
        assert (gone.value.code, refused.value.code, blind.value.code) == (10008, 50013, 50001)
        await server.says(channel, ann, "unseen")
        await server.until(lambda: client.of("raw_message_delete"))
        assert client.texts() == ["a", "b"]


async def test_bulk_deletion_refuses_old_messages(server: DiscordServer, place: Place) -> None:
    """Up to a hundred young messages go at once, with one event and the reason in the audit log; old ones do not."""
    guild, channel, ann = place
    old = server.remembers(channel, ann, "old", at=datetime.now(UTC) - timedelta(days=15))
    async with connected(server) as client:
        young = [await server.says(channel, ann, str(number)) for number in range(3)]
        there = channel_in(client, channel)
        await there.delete_messages([discord.Object(one.id) for one in young], reason="raid")
        await server.until(lambda: client.of("raw_bulk_message_delete"))
        assert (list(channel.messages), guild.audit[-1]["reason"]) == ([old.id], "raid")
        another = await server.says(channel, ann, "x")
        with pytest.raises(discord.HTTPException) as refused:
            await there.delete_messages([discord.Object(old.id), discord.Object(another.id)])
        assert refused.value.code == 50034


async def test_sanctions_obey_the_order_of_roles(server: DiscordServer, place: Place) -> None:
    """Time-out, kick, ban and unban work on members below the bot, and on nobody above it."""
    guild, channel, ann = place
    bob, chief = guild.add_member("bob"), guild.add_member("chief", [guild.add_role("chiefs", above_bot=True)])
    spam = await server.says(channel, bob, "spam")
    async with connected(server) as client:
        seen = client.get_guild(guild.id)
        assert seen is not None
        await seen.get_member(ann.id).timeout(timedelta(minutes=5), reason="rude")  # type: ignore[union-attr]
        assert ann.timed_out and server.called("PATCH", f"/members/{ann.id}")[0].reason == "rude"
        for person in (chief, guild.members[guild.owner.id]):
            with pytest.raises(discord.Forbidden):
                await seen.get_member(person.id).timeout(timedelta(minutes=5))  # type: ignore[union-attr]
        with pytest.raises(discord.HTTPException) as too_long:
            await seen.get_member(ann.id).timeout(timedelta(days=29))  # type: ignore[union-attr]
        assert too_long.value.code == 50035
        await seen.ban(discord.Object(bob.id), delete_message_seconds=60, reason="spam")
        assert (bob.id in guild.members, list(guild.bans), spam.deleted) == (False, [bob.id], True)
        await seen.unban(discord.Object(bob.id))
        with pytest.raises(discord.NotFound) as missing:
            await seen.unban(discord.Object(bob.id))
        await seen.kick(discord.Object(ann.id))
        await server.until(lambda: len(client.of("raw_member_remove")) == 2 and client.of("member_unban"))
        assert missing.value.code == 10026
        actions = [entry.action.name async for entry in seen.audit_logs(limit=5)]
        assert actions == ["kick", "unban", "ban", "member_update", "bot_add"]


async def test_direct_messages_can_be_closed(server: DiscordServer, place: Place) -> None:
    """Both ways of a direct message, and 50007 for one who does not want any."""
    guild, _, ann = place
    shy = guild.add_member(server.add_user("shy", dms_closed=True))
    async with connected(server) as client:
        await server.says(server.dm(ann), ann, "psst")
        await server.until(lambda: client.texts() == ["psst"])
        await client.of("message")[0].reply("yes?")
        assert [message.content for message in server.dm(ann).messages.values()] == ["psst", "yes?"]
        with pytest.raises(discord.Forbidden) as refused:
            await (await client.fetch_user(shy.id)).send("hello")
        assert refused.value.code == 50007


async def test_forum_posts_and_threads(server: DiscordServer, place: Place) -> None:
    """A post is a thread whose first message has its id; active and archived ones are found."""
    guild, channel, ann = place
    forum = guild.add_channel("help", "forum")
    old = channel.add_thread("old", ann, archived=True)
    async with connected(server) as client:
        post = await server.posts(forum, ann, "My title", "my text", tags=[forum.add_tag("new")])
        await server.says(post, ann, "more")
        await server.until(lambda: client.texts() == ["my text", "more"])
        first, _ = client.of("message")
        assert (first.id, first.channel.name, first.channel.parent.name) == (post.id, "My title", "help")
        seen = client.get_guild(guild.id)
        assert seen is not None
        assert [thread.id for thread in await seen.active_threads()] == [post.id]
        assert [thread.id async for thread in channel_in(client, channel).archived_threads()] == [old.id]
        post.change(name="Renamed")
        await server.until(lambda: client.of("raw_thread_update"))
        thread, message = await seen.get_channel(forum.id).create_thread(name="By bot", content="x")  # type: ignore
        assert (thread.id, guild.threads[thread.id].messages[message.id].content) == (message.id, "x")


async def test_permissions_are_computed_as_the_client_computes_them(server: DiscordServer) -> None:
    """Random roles and overwrites: the same result as `permissions_for`, voice bits aside."""
    guild = server.add_guild("Maze")
    chance = random.Random(7)
    roles = [guild.add_role(str(n), chance.getrandbits(53) & perms.ALL & ~perms.ADMIN) for n in range(6)]
    people = [guild.add_member(f"m{n}", chance.sample(roles, 3)) for n in range(8)]
    people.append(guild.add_member("admin", [guild.add_role("admins", "administrator")]))
    channels = [guild.add_channel(f"c{n}") for n in range(4)]
    for channel in channels:
        for target in [guild.everyone, *chance.sample(roles, 3), *chance.sample(people, 3)]:
            allow, deny = chance.getrandbits(53) & perms.ALL, chance.getrandbits(53) & perms.ALL
            channel.overwrite(target, allow=allow & ~deny, deny=deny & ~perms.VIEW)
    people[0].communication_disabled_until = datetime.now(UTC) + timedelta(hours=1)
    thread = channels[0].add_thread("t", people[1])
    both = perms.ALL & ~discord.Permissions.voice().value
    async with connected(server) as client:
        seen = client.get_guild(guild.id)
        assert seen is not None
        for person in guild.members.values():
            member = seen.get_member(person.id)
            assert member is not None
            for channel in channels:
                theirs = seen.get_channel(channel.id).permissions_for(member).value  # type: ignore[union-attr]
                assert person.permissions(channel) & both == theirs & both, (person.user.name, channel.name)
            theirs = seen.get_thread(thread.id).permissions_for(member).value  # type: ignore[union-attr]
            assert person.permissions(thread) & both & perms.VIEW == theirs & perms.VIEW


async def test_the_bot_is_added_removed_and_a_guild_goes_away(server: DiscordServer) -> None:
    """A guild joined now is told apart from one that came back; the audit log names who added the bot."""
    new = server.add_guild("New", bot=False)
    new.add_channel("general")
    by = new.add_member("recruiter").user
    async with connected(server) as client:
        assert len(client.guilds) == 0
        await server.adds_bot(new, by=by)
        await server.until(lambda: client.of("guild_join"))
        [seen] = client.guilds
        [entry] = [one async for one in seen.audit_logs(action=discord.AuditLogAction.bot_add)]
        assert (entry.user.id, entry.target.id) == (by.id, server.bot.id)
        await server.goes_unavailable(new)
        await server.comes_back(new)
        await server.until(lambda: client.of("guild_unavailable") and client.of("guild_available"))
        await server.removes_bot(new)
        await server.until(lambda: client.of("guild_remove"))
        assert len(client.guilds) == 0


async def test_without_the_intent_content_is_empty(server: DiscordServer, place: Place) -> None:
    """Other people's words are hidden unless they mention the bot."""
    _, channel, ann = place
    client = Client()
    client._connection._intents.message_content = False
    async with connected(server, client):
        await server.says(channel, ann, "secret")
        await server.says(channel, ann, f"hey {server.bot.mention}")
        await server.until(lambda: len(client.texts()) == 2)
        assert client.texts() == ["", f"hey {server.bot.mention}"]


async def test_wrong_token_and_forbidden_intents_end_the_client(server: DiscordServer) -> None:
    """401 at login, and close code 4014."""
    async with Client() as client:
        with pytest.raises(discord.LoginFailure):
            await client.start("wrong")
    server.privileged_allowed = False
    async with Client() as client:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await client.start(server.token)


async def test_heartbeats_are_recorded_and_silence_is_noticed(server: DiscordServer, place: Place) -> None:
    """Every heartbeat is on record; while nothing is sent, events wait."""
    _, channel, ann = place
    server.heartbeat_ms = 250
    async with connected(server) as client:
        await server.until(lambda: len(server.heartbeats) >= 3)
        assert server.missed_heartbeats() == 0 and all(beat.acked for beat in server.heartbeats)
        server.faults.silence("all")
        await server.says(channel, ann, "held")
        await server.until(lambda: not server.heartbeats[-1].acked)
        assert client.texts() == []
        server.faults.speak()
        await server.until(lambda: client.texts() == ["held"])


async def test_refused_connections_are_tried_again(
    server: DiscordServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway is down for a while; the session is resumed once it is back."""
    _, channel, ann = place
    without_backoff(monkeypatch)
    async with connected(server) as client:
        server.faults.refuse_connections(times=2)
        server.faults.drop_socket()
        await server.says(channel, ann, "meanwhile")
        await server.until(lambda: client.texts() == ["meanwhile"])
        assert (server.identified, server.resumed) == (1, 1)


async def test_everything_a_message_can_hold(server: DiscordServer, place: Place) -> None:
    """Forwards, polls, stickers, attachments, replies and webhooks are what the client takes them for."""
    _, channel, ann = place
    async with connected(server) as client:
        first = await server.says(channel, ann, "original", attachments=[server.attachment("a.png", b"x")])
        await server.says(channel, ann, forward=first)
        await server.says(channel, ann, poll=server.poll("Who?", ["me", "you"]))
        await server.says(channel, ann, sticker_items=[{"id": "1", "name": "wave", "format_type": 1}])
        await server.says(channel, ann, "re", reply_to=first)
        await server.says(channel, server.add_webhook(channel, "feed"), "news", username="Feed")
        await server.until(lambda: len(client.of("message")) == 6)
        original, forwarded, polled, stuck, reply, hooked = client.of("message")
        assert original.attachments[0].filename == "a.png"
        assert forwarded.message_snapshots[0].content == "original"
        assert (polled.poll.question, [one.text for one in polled.poll.answers]) == ("Who?", ["me", "you"])
        assert (stuck.stickers[0].name, reply.reference.resolved.id) == ("wave", first.id)
        assert (hooked.webhook_id is not None, hooked.author.name) == (True, "Feed")


async def test_forms_are_checked(server: DiscordServer, place: Place) -> None:
    """Too long, empty or overfull messages are refused with 50035 or 50006."""
    _, channel, _ = place
    async with connected(server) as client:
        there = channel_in(client, channel)
        long = discord.Embed(description="x" * 4096)
        crowded = discord.Embed()
        for number in range(26):
            crowded.add_field(name=str(number), value="v")
        bad: list[dict[str, Any]] = [{"content": "x" * 2001}, {"embeds": [long, long]}, {"embed": crowded}, {}]
        codes = []
        for form in bad:
            with pytest.raises(discord.HTTPException) as refused:
                await there.send(**form)
            codes.append(refused.value.code)
        assert codes == [50035, 50035, 50035, 50006]
        sent = await there.send("with a file", file=discord.File(io.BytesIO(b"data"), "log.txt"))
        assert sent.attachments[0].filename == "log.txt" and server.calls[-1].files == [("log.txt", b"data")]
        guarded = await there.send("@everyone", allowed_mentions=discord.AllowedMentions.none())
        assert not channel.messages[guarded.id].data["mention_everyone"]
        await sent.edit(content="edited", attachments=[])
        assert (channel.messages[sent.id].content, channel.messages[sent.id].data["attachments"]) == ("edited", [])


async def test_names_and_nicks_change(server: DiscordServer, place: Place) -> None:
    """A changed nick reaches the client, and the client can change one."""
    guild, _, ann = place
    async with connected(server) as client:
        ann.change(nick="rude name")
        await server.until(lambda: client.of("member_update"))
        seen = client.get_guild(guild.id)
        assert seen is not None
        member = seen.get_member(ann.id)
        assert member is not None and member.nick == "rude name"
        await member.edit(nick=None, reason="nick")
        assert ann.nick is None


async def test_a_flood_reaches_the_client_in_order(server: DiscordServer, place: Place) -> None:
    """Thousands of messages in one go, without starving the client in the same loop."""
    _, channel, ann = place
    async with connected(server) as client:
        messages = [server.write(channel, ann, str(number)) for number in range(2000)]
        assert await server.flood(messages) == 2000
        await server.until(lambda: len(client.texts()) == 2000)
        assert client.texts() == [message.content for message in messages]
        assert channel.messages == {}


async def test_a_click_that_is_only_acknowledged_is_answered_by_the_edit(server: DiscordServer, place: Place) -> None:
    """`defer` on a button, then an edit of the message by its ordinary route."""
    _, channel, ann = place

    class Later(discord.ui.View):
        @discord.ui.button(label="Later")
        async def later(self, interaction: discord.Interaction, button: Any) -> None:
            await interaction.response.defer()
            assert interaction.message is not None
            await interaction.followup.send("seen", ephemeral=True)
            await channel_in(client, channel).get_partial_message(interaction.message.id).edit(content="done")

    async with connected(server) as client:
        sent = await channel_in(client, channel).send("open", view=Later())
        answer = await server.clicks(ann, channel.messages[sent.id], "Later")
        assert (answer.kind, answer.message.id, answer.followups[0].content) == ("update", sent.id, "seen")
        await server.until(lambda: answer.content == "done")


async def test_people_can_do_only_what_their_app_lets_them(server: DiscordServer, place: Place) -> None:
    """Default permissions hide a command without forbidding it; time-outs and hidden channels forbid."""
    guild, channel, ann = place
    client = Client()

    @client.tree.command(description="For moderators")
    @app_commands.default_permissions(manage_guild=True)
    async def rule(interaction: discord.Interaction) -> None:
        await interaction.response.send_message(str(interaction.permissions.manage_guild))

    async with connected(server, client):
        await client.tree.sync()
        assert not server.offers(ann, channel, "rule")
        assert (await server.runs(ann, channel, "rule")).content == "False"
        assert server.offers(guild.members[guild.owner.id], channel, "rule")
        channel.overwrite(guild.everyone, deny="use_application_commands")
        with pytest.raises(PermissionError, match="may not use commands"):
            await server.runs(ann, channel, "rule")
        ann.change(communication_disabled_until=datetime.now(UTC) + timedelta(minutes=1))
        with pytest.raises(PermissionError, match="timed out"):
            await server.runs(ann, channel, "rule")


async def test_a_real_rate_limit_counts_down(server: DiscordServer, place: Place) -> None:
    """A bucket of two: the client paces itself by the headers, one that does not is answered 429."""
    _, channel, _ = place
    server.faults.limit_rest("POST", "/messages$", 2, 5 * FAST)
    async with connected(server) as client:
        for number in range(4):
            await channel_in(client, channel).send(str(number))
        times = [call.at_s for call in server.called("POST", "/messages$")]
        assert len(channel.messages) == 4 and times[2] - times[0] >= 4 * FAST
        assert server.invalid_requests() == 0
        await asyncio.sleep(5 * FAST)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bot {server.token}"}) as session:
            url = f"{server.api}/channels/{channel.id}/messages"
            answers = [await session.post(url, json={"content": "x"}) for _ in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 429]
            assert answers[0].headers["Content-Type"] == "application/json"
            assert 0 < (await answers[2].json())["retry_after"] <= 5 * FAST


async def test_answers_can_fail_by_path_before_or_after_the_effect(server: DiscordServer, place: Place) -> None:
    """A 500 is tried again by the client, so a lost answer to a deletion turns into "unknown message"."""
    _, channel, ann = place
    async with connected(server) as client:
        message = await server.says(channel, ann, "x")
        server.faults.fail_rest("DELETE", f"/messages/{message.id}$", 403)
        there = channel_in(client, channel).get_partial_message(message.id)
        with pytest.raises(discord.Forbidden):
            await there.delete()
        assert not message.deleted
        server.faults.fail_rest("*", "/messages/", 503, before_effect=False)
        with pytest.raises(discord.DiscordServerError):
            await there.delete()
        assert message.deleted
        server.faults.fail_rest("GET", "/users/", "hang")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.fetch_user(ann.id), 2 * FAST)


async def test_a_silent_gateway_is_left_by_the_client(
    server: DiscordServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes for longer than the client's time-out: it connects anew and resumes."""
    _, channel, ann = place
    without_backoff(monkeypatch)
    server.heartbeat_ms = 50
    async with connected(server, Client(heartbeat_timeout=0.2)) as client:
        server.faults.silence("all")
        await server.says(channel, ann, "held")
        await server.until(lambda: not server.live_sessions())
        server.faults.speak()
        await server.until(lambda: client.texts() == ["held"])
        assert (server.identified, server.resumed) == (1, 1)


async def test_a_session_discord_forgot_cannot_be_resumed(server: DiscordServer, place: Place) -> None:
    """RESUME of an unknown session is answered with op 9 false, and the client identifies."""
    async with connected(server) as client:
        server.sessions.clear()
        for connection in server.connections:
            connection.cut()
        await server.until(lambda: server.identified == 2 and len(client.of("ready")) == 2)
        assert server.resumed == 0


async def test_shards_get_their_own_guilds(server: DiscordServer) -> None:
    """Two shards: each session is told of its guilds and no others."""
    server.shards = 2
    guilds = [server.add_guild(f"g{number}") for number in range(3)]
    sharded = Sharded(intents=discord.Intents.default(), guild_ready_timeout=0.1)
    async with asyncio.TaskGroup() as tasks, sharded:
        running = tasks.create_task(sharded.start(server.token))
        await asyncio.wait_for(sharded.wait_until_ready(), 5)
        assert {guild.id for guild in sharded.guilds} == {guild.id for guild in guilds}
        assert len(server.sessions) == 2
        await sharded.close()
        await running


class Sharded(discord.AutoShardedClient):
    """Without the pause before IDENTIFY."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """At once."""


async def test_an_uncompressed_gateway_for_other_clients(server: DiscordServer, place: Place) -> None:
    """Without `compress` in the query the frames are text; closing with 1000 ends the session."""
    _, channel, ann = place
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway) as socket:
        hello = await socket.receive_json()
        await socket.send_json({"op": 2, "d": {"token": server.token, "intents": 1 << 9}})
        ready = await socket.receive_json()
        await server.says(channel, ann, "hello")
        event = await socket.receive_json()
        assert (hello["op"], ready["t"], event["t"], event["s"]) == (10, "READY", "MESSAGE_CREATE", 2)
        assert event["d"]["content"] == ""
        await socket.close()
        await server.until(lambda: not server.sessions)


async def test_requests_it_cannot_handle_are_told_at_the_end() -> None:
    """An unknown route is on record; a form that no handler understands fails the test."""
    with pytest.raises(ExceptionGroup):
        async with DiscordServer() as server, aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bot {server.token}"}
            assert (await session.get(f"{server.api}/nowhere", headers=headers)).status == 404
            assert server.unknown_routes == ["GET /nowhere"]
            url = f"{server.api}/users/@me/channels"
            assert (await session.post(url, json={}, headers=headers)).status == 400


async def test_answers_can_be_read_changed_and_deleted_while_the_token_lives(
    server: DiscordServer, place: Place
) -> None:
    """The original answer and followups by the interaction's token; after its time the token is invalid (50027)."""
    _, channel, ann = place
    client = Client()
    held: list[discord.Interaction] = []

    @client.tree.command(description="Is kept")
    async def keep(interaction: discord.Interaction) -> None:
        held.append(interaction)
        await interaction.response.send_message("first")

    async with connected(server, client):
        await client.tree.sync()
        answer = await server.runs(ann, channel, "keep")
        [interaction] = held
        assert (await interaction.original_response()).content == "first"
        extra = await interaction.followup.send("extra", wait=True)
        await extra.edit(content="changed")
        assert answer.followups[0].content == "changed"
        await extra.delete()
        await interaction.delete_original_response()
        assert answer.message is not None and answer.message.deleted and channel.messages == {}
        server.token_lifetime_s = 0
        with pytest.raises(discord.HTTPException) as expired:
            await interaction.followup.send("late")
        assert expired.value.code == 50027


async def test_roles_channels_and_commands_change_in_mid_flight(server: DiscordServer, place: Place) -> None:
    """The client's cache follows roles and channels; commands are registered for one guild or for all."""
    guild, channel, ann = place
    client = Client()
    commands_of(client)
    async with connected(server, client):
        seen = client.get_guild(guild.id)
        assert seen is not None
        role = guild.add_role("new", "kick_members")
        ann.change(roles=[role])
        channel.change(name="renamed", topic="quiet")
        other = guild.add_channel("other")
        await server.until(lambda: seen.get_channel(other.id) is not None)
        member = seen.get_member(ann.id)
        assert member is not None and member.guild_permissions.kick_members
        assert (channel_in(client, channel).name, channel_in(client, channel).topic) == ("renamed", "quiet")
        other.remove()
        role.remove()
        await server.until(lambda: client.of("guild_role_delete"))
        assert not member.guild_permissions.kick_members and seen.get_channel(other.id) is None
        client.tree.copy_global_to(guild=seen)
        first = await client.tree.sync(guild=seen)
        again = await client.tree.sync(guild=seen)
        assert [one.id for one in first] == [one.id for one in again]
        assert (await server.runs(ann, channel, "pick", {"colour": "red"})).content == "red"
        await again[0].delete()
        assert len(await client.tree.fetch_commands(guild=seen)) == len(first) - 1
