"""Discord as a platform: keeps a connection, passes events on, performs actions, shows cards."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import structlog
import yarl
from discord import gateway as library
from discord import http

from bot.cases.delivery import CardDelivery, Pace
from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.conversation.link_codes import LinkCodes
from bot.domain.action import Action
from bot.domain.case import Case
from bot.domain.event import Author, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable, Unreadable
from bot.domain.restriction import Unchanged
from bot.domain.role import Person, Standing
from bot.domain.setup import Setup
from bot.pipeline.circuit_breaker import CircuitBreaker
from bot.pipeline.pipeline import Pipeline
from bot.platforms.discord import page_rights as standings
from bot.platforms.discord.actions import ActionCalls, refusals
from bot.platforms.discord.board import DiscordBoard
from bot.platforms.discord.bot import Access, DiscordBot
from bot.platforms.discord.buttons import CaseButton, DigestButton, ResumeButton
from bot.platforms.discord.clicks import Clicks
from bot.platforms.discord.commands import add_commands
from bot.platforms.discord.events import (
    PLATFORM,
    community_of,
    event_of,
    name_event,
    renamed_title,
    room_of,
    unreadable_event,
)
from bot.platforms.discord.gateway import Gateway, supervise
from bot.platforms.discord.history import Room
from bot.platforms.discord.inert_markdown import inline
from bot.platforms.discord.missed_messages import MissedMessages
from bot.platforms.discord.rate_limits import RateLimits
from bot.platforms.discord.rights import shows_cards
from bot.platforms.discord.titles import Titles
from bot.platforms.discord.translations import Translations
from bot.platforms.health import Health
from bot.platforms.protocol import Overview, Place
from bot.platforms.unreadable_answers import PARSE_ERRORS, error_place, raised_in
from bot.store import Store
from bot.text.language import language_of, say

log = structlog.get_logger()
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # no voice here: nothing to install for it

STUCK_AFTER_S = 120.0
EVERY_S = 10.0
SYNC_AGAIN_S = 30.0
A_LITTLE = timedelta(minutes=1)
MOST_MISSING = 10
RECEIVED_AT_ONCE = 200
"""The most messages that are being journalled at once. A burst of thousands arrives in one turn of the loop; the rest
waits, so that the heartbeat gets its turn."""
NAMES_KEPT = 50_000
"""The most names that are remembered as read; the oldest are read again, and the journal knows them."""


class Discord(DiscordBot):
    """The platform. Make it, give it to a `Pipeline`, then `serve` and `run`."""

    name = PLATFORM

    def __init__(self, store: Store, access: Access, link_codes: LinkCodes | None = None, **options: Any) -> None:
        super().__init__(store, access, link_codes)
        self._options = options
        self._names: dict[tuple[str, str], str] = {}
        self._group: asyncio.TaskGroup | None = None
        self._checking: set[int] = set()
        self._at_once = asyncio.Semaphore(RECEIVED_AT_ONCE)
        self.circuit_breaker = CircuitBreaker(told=self.notify)
        self._rate_limits = RateLimits(self.circuit_breaker.refused)
        self._action_calls = ActionCalls(
            lambda: self.client, self.setup, store.timed_bans, store.restrictions, self.circuit_breaker
        )
        self.titles = Titles(self)
        self.missed_messages = MissedMessages(store, self._receive, self.titles.found, self._skipped)
        self.health = Health(lambda: len(self.missed_messages.on_hold))
        self.delivery = CardDelivery(store, DiscordBoard(self), Pace(), self.health.cards_wait)

    def serve(self, pipeline: Pipeline, case_service: CaseService, conversation: Conversation) -> None:
        """Names who takes events and questions."""
        self.pipeline, self.case_service, self.conversation = pipeline, case_service, conversation
        pipeline.leave_alone[self.name] = self._is_left_alone
        case_service.basis_of[self.name] = self._basis_of

    async def run(self) -> None:
        """Serves until cancelled."""
        if self.access.api:
            http.Route.BASE = self.access.api.rstrip("/")
        if self.access.gateway:
            library.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(self.access.gateway)
        await self.missed_messages.open()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self.delivery.run())
                group.create_task(self._now_and_then())
                await supervise(self._make, self._start, self._failed, stuck_after_s=STUCK_AFTER_S)
        finally:
            for task in (at_work := list(self._at_work)):
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """See `Platform`."""
        with self.circuit_breaker.asking_for(key.community):
            return await self._action_calls.perform(action, key, author)

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """See `Platform`."""
        with self.circuit_breaker.asking_for(key.community):
            return await self._action_calls.undo(action, key, author)

    def show(self, case: Case) -> None:
        """Posts the case's card, or brings it up to date. Never waits."""
        if case.message.key.platform == self.name:
            self.delivery.show(case.id)

    def notify(self, notice: Notice) -> None:
        """Shows the notice where cards go: in one community, or in all. Never waits."""
        self.delivery.notify(notice)

    async def _basis_of(self, community: str) -> str | None:
        return self.basis(await self.setup(community))

    async def overview(self) -> Overview:
        """For the page."""
        places = []
        for guild in self.guilds:
            community = community_of(guild.id)
            setup, policy = await self.setup(community), await self.pipeline.policy(community)
            problems = [missing.why for missing in self.problems.get(community, [])]
            if (resting := self.circuit_breaker.trouble(community)) is not None:
                problems.insert(0, resting)
            shown = shows_cards(guild, setup)
            places.append(Place(community, guild.name, policy.mode, shown, tuple(problems)))
        trouble = self.trouble or self.circuit_breaker.trouble()
        return Overview(PLATFORM, trouble, self.invite, tuple(places), self.health.notices())

    async def communities(self, person: Person) -> list[str]:
        """See `Remote.communities`: the servers that Discord named when the account signed in."""
        served = {community_of(guild.id) for guild in self.guilds}
        return [community for community in person.places if community in served]

    async def standing(self, community: str, person: str) -> Standing:
        """See `standings`."""
        return await standings.standing(self, community, int(person))

    async def may_read(self, key: MessageKey, person: str) -> bool:
        """See `standings`."""
        return await standings.may_read_message(self, key, int(person))

    # Events of the connection.

    async def connected(self, client: Gateway, *, resumed: bool) -> None:
        """Reads the messages of the outage and greets new servers."""
        self.begin_work()
        self.trouble = None
        self.health.well("outage")
        log.info("connected to Discord", servers=len(client.guilds), resumed=resumed)
        for guild in client.guilds:
            if guild.unavailable:
                continue
            if await self.store.communities.setup(community_of(guild.id)) is None:
                await self.missed_messages.begin(guild)
            await self._greet(guild)
        await self.missed_messages.catch_up(list(client.guilds))
        if not resumed:
            await self.delivery.resume()
        for guild in client.guilds:
            await self._check(guild)
        await self._lift_bans()

    async def disconnected(self) -> None:
        """The connection is lost; events are missed from now on."""
        self.begin_work()
        self.health.fails("outage")
        await self.missed_messages.open()

    async def written(self, message: discord.Message) -> None:
        """Commits the message to the journal; one that the store refuses is read again later."""
        self.begin_work()
        try:
            async with self._at_once:
                await self._receive(message)
                if message.guild is not None:
                    await self.missed_messages.heard(message)
        except Exception:
            log.exception("message not journalled, to be read again", message=message.id)
            await self.missed_messages.missed(message)

    async def called(self, member: discord.Member) -> None:
        """A name is read once for each author until it changes."""
        self.begin_work()
        community = community_of(member.guild.id)
        member_key = (community, str(member.id))
        if self._names.get(member_key) == member.display_name or member.id == self.own:
            return
        setup = await self.setup(community)
        await self.pipeline.receive(name_event(member, setup.moderator_roles))
        self._names[member_key] = member.display_name
        while len(self._names) > NAMES_KEPT:
            del self._names[next(iter(self._names))]

    def skipped(self, event: str, data: Any) -> None:
        """Counts an unreadable event. If it was about a message, the room is read again from there, or from shortly
        before now."""
        self.health.fails("events")
        fields = data if isinstance(data, dict) and event.startswith("MESSAGE_") else {}
        channel = str(fields.get("channel_id"))
        if self.client is None or not channel.isdecimal():
            return
        room, number = self.client.get_channel(int(channel)), str(fields.get("id"))
        if room is None:
            return
        recent = discord.utils.time_snowflake(datetime.now(UTC) - A_LITTLE)
        after = int(number) if number.isdecimal() and int(number) < recent else recent
        self.missed_messages.read_again(room_of(int(channel), getattr(room, "parent_id", None)), after)

    async def joined(self, guild: discord.Guild) -> None:
        """From now on all messages of the server are read."""
        self.begin_work()
        log.info("added to a server", server=guild.id)
        await self.missed_messages.begin(guild)
        await self._greet(guild)
        await self._check(guild)

    async def returned(self, guild: discord.Guild) -> None:
        """Reads the messages of the server's absence; a new server is greeted."""
        if await self.store.communities.setup(community_of(guild.id)) is None:
            await self.joined(guild)
        else:
            await self.changed(guild)

    async def changed(self, guild: discord.Guild) -> None:
        """Looks again at the rights, a little later: changes come in bursts."""
        if guild.id in self._checking or self._group is None:
            return
        self._checking.add(guild.id)

        async def look() -> None:
            await asyncio.sleep(0.5)
            self._checking.discard(guild.id)
            await self._check(guild)
            await self.missed_messages.catch_up([guild])
            await self.delivery.resume()  # the channel for cards may be there again

        looking = look()
        try:
            self._group.create_task(looking)
        except RuntimeError:  # it stops
            looking.close()

    def _make(self) -> Gateway:
        client = Gateway(self, members_intent=self.access.members_intent, waits=self._rate_limits, **self._options)
        client.clicks = Clicks(self)
        client.add_dynamic_items(CaseButton, DigestButton, ResumeButton)
        add_commands(client.tree, self)
        self.client = client
        return client

    async def _start(self, client: Gateway) -> None:
        await client.login(self.access.token)
        await client.tree.set_translator(Translations())
        async with asyncio.TaskGroup() as group:
            syncing = None if await self._synced(client) else group.create_task(self._sync(client))
            await client.connect(reconnect=True)
            if syncing is not None:
                syncing.cancel()

    async def _synced(self, client: Gateway) -> bool:
        """Registers the commands with Discord; until that works the old commands stay, and messages are read."""
        try:
            async with refusals(None, None, 0):
                await client.tree.sync()
        except (Gone, MissingPermission, RateLimited, Unreachable) as error:
            log.warning("commands not told to Discord", error=str(error))
            self.health.fails("commands")
            return False
        self.health.well("commands")
        return True

    async def _sync(self, client: Gateway) -> None:
        """Tries again until it works."""
        wait_s = SYNC_AGAIN_S
        while True:
            await asyncio.sleep(wait_s)
            if await self._synced(client):
                return
            wait_s = min(2 * wait_s, 3600.0)

    def _failed(self, error: BaseException) -> float | None:
        """Returns how many seconds to wait, and sets what the operator is told."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        log.warning("connection to Discord ended", error=str(error), kind=type(error).__name__, at=error_place(error))
        self.health.fails("outage")
        match error:
            case discord.LoginFailure():
                self.trouble = Notice("discord-token")
                return 300.0
            case discord.PrivilegedIntentsRequired():
                self.trouble = Notice("discord-intent")
                return 60.0
            case discord.RateLimited():
                self.trouble = Notice("discord-lost", {"error": str(error)})
                return error.retry_after
            case _:
                unread = isinstance(error, PARSE_ERRORS) and raised_in("discord", error)
                why = f"what it answers cannot be read, {error_place(error)}" if unread else str(error)
                self.trouble = Notice("discord-lost", {"error": why or type(error).__name__})
                return None

    async def _skipped(self, channel: Room, numbers: Sequence[int]) -> None:
        """Messages of which nothing could be read: counted, and journalled where there is a number."""
        self.health.fails("messages", len(numbers))
        for number in filter(None, numbers):
            await self.pipeline.receive(unreadable_event(channel, number))

    async def _receive(self, message: discord.Message) -> None:
        if message.guild is None or message.author.id == self.own:
            return
        setup = await self.setup(community_of(message.guild.id))
        if setup.shows_cards_in(room_of(message.channel.id, getattr(message.channel, "parent_id", None))):
            return
        await self.authors.complete(message)
        for event in (event_of(message, setup.moderator_roles), renamed_title(message, setup.moderator_roles)):
            if event is not None:
                await self.pipeline.receive(event)
        if isinstance(message.author, discord.Member) and not message.author.bot:
            await self.called(message.author)

    async def _is_left_alone(self, key: MessageKey) -> bool:
        return (await self.setup(key.community)).shows_cards_in(key.room)

    async def _now_and_then(self) -> None:
        """Rooms that could not be read before, and bans that are over."""
        while True:
            await asyncio.sleep(EVERY_S)
            if self.client is None or not self.client.sound:
                continue
            try:
                if self.missed_messages.on_hold:
                    await self.missed_messages.catch_up(list(self.client.guilds))
                await self._lift_bans()
            except Exception:
                log.exception("what is done now and then failed")

    async def _lift_bans(self) -> None:
        """Lets in again whose ban is over."""
        for lift in await self.store.timed_bans.due(PLATFORM, datetime.now(UTC)):
            try:
                with self.circuit_breaker.asking_for(lift.community):
                    await self._action_calls.lift(lift)
            except MissingPermission as error:
                self.notify(Notice("notice-lift", {"member": lift.member, "why": error.why}, lift.community))
                await self.store.timed_bans.forget(PLATFORM, lift.community, lift.member)
            except (RateLimited, Unreachable) as error:
                log.info("a ban is lifted later", error=str(error))

    async def _greet(self, guild: discord.Guild) -> None:
        """Greets the server's owner in private; where the owner takes no private messages, in a channel."""
        community = community_of(guild.id)
        language = language_of(str(guild.preferred_locale))
        setup, now = Setup(language=language).model_dump(mode="json"), datetime.now(UTC)
        if not await self.store.communities.greet(community, PLATFORM, guild.name, now, setup):
            return
        self._greeted += 1
        self._setups.pop(community, None)
        text = say(language, "welcome", server=inline(guild.name))
        try:
            async with refusals(guild, None, 0):
                owner = guild.owner or await guild.fetch_member(guild.owner_id or 0)
                await owner.send(text)
            return
        except Unreadable as error:  # it has probably arrived
            log.warning("whether the owner was greeted is not known", server=guild.id, error=str(error))
            return
        except (Gone, MissingPermission, RateLimited, Unreachable) as error:
            log.info("the owner takes no private messages", server=guild.id, error=str(error))
        channels = [guild.system_channel, *guild.text_channels]
        for channel in channels:
            if channel is not None and channel.permissions_for(guild.me).send_messages:
                try:
                    async with refusals(guild, None, channel.id):
                        await channel.send(text)
                    return
                except Unreadable:
                    return
                except (Gone, MissingPermission, RateLimited, Unreachable):
                    continue
        log.warning("nobody could be greeted", server=guild.id)

    async def _check(self, guild: discord.Guild) -> None:
        """Tells of rights that went missing since the last look."""
        community = community_of(guild.id)
        if guild.unavailable:
            return
        before = {(missing.right, missing.channel) for missing in self.problems.get(community, [])}
        lacking = self.look(guild, await self.setup(community), await self.pipeline.policy(community))
        fresh = tuple(missing.why for missing in lacking if (missing.right, missing.channel) not in before)
        if fresh:
            listed = fresh[:MOST_MISSING]
            self.notify(Notice("notice-rights", {"count": len(fresh), "list": listed}, community))
