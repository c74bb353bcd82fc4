"""A question asked on a server: who asks, whether they may, and how the answer reaches them."""

import contextlib
import re
from dataclasses import dataclass, replace
from typing import Any

import discord
import structlog

from bot.conversation.context import Markup, RequestContext
from bot.domain.case import Case
from bot.domain.event import Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Gone, PlatformError, Unreadable
from bot.domain.policy import Policy
from bot.domain.setup import Setup
from bot.pipeline.question_lane import Asker, Rank
from bot.platforms.discord.actions import refusals
from bot.platforms.discord.bot import DiscordBot
from bot.platforms.discord.events import PLATFORM, channel_of, community_of, event_of, room_of
from bot.platforms.discord.may_read import Readable, can_see_channel, may_read
from bot.platforms.discord.reply import ALREADY_ANSWERED, DiscordReply
from bot.platforms.discord.rights import shows_cards
from bot.platforms.discord.who_may import (
    COMMANDS,
    DEEDS,
    Level,
    lacking_rights,
    level_of,
    rights_beyond,
    rights_beyond_undo,
)
from bot.platforms.unreadable_answers import read_by
from bot.text.language import language_of, say

log = structlog.get_logger()

_LINK = re.compile(r"channels/(\d{15,20})/(\d{15,20})/(\d{15,20})")
_PAIR = re.compile(r"(\d{15,20})-(\d{15,20})")


@dataclass(frozen=True)
class DiscordRequest(RequestContext):
    """A question that may be asked."""

    bot: DiscordBot
    interaction: discord.Interaction[Any]
    guild: discord.Guild
    member: discord.Member
    setup: Setup
    level: Level
    platform = PLATFORM
    posts_once = True
    """Each post has a nonce."""
    consents = False

    @property
    def reply(self) -> DiscordReply:
        """Answers the asker alone."""
        return DiscordReply(self.interaction, self.language)

    @property
    def community(self) -> str:
        """The server's."""
        return community_of(self.guild.id)

    @property
    def community_name(self) -> str:
        """The server's name."""
        return self.guild.name

    @property
    def room(self) -> str:
        """The channel's id, behind its parent's for a thread."""
        channel = self.interaction.channel
        return room_of(self.interaction.channel_id or 0, getattr(channel, "parent_id", None))

    @property
    def person(self) -> str:
        """The member's id."""
        return str(self.member.id)

    @property
    def name(self) -> str:
        """Their name on the server."""
        return self.member.display_name

    @property
    def asker(self) -> Asker:
        """Counts the asker as a member or a moderator."""
        rank = Rank.MEMBER if self.level is Level.MEMBER else Rank.MODERATOR
        return Asker(self.community, self.moderator, rank)

    @property
    def pseudonym(self) -> str:
        """Sealed with the server's key."""
        return self.bot.store.sealer.author(PLATFORM, self.community, self.person)

    def may(self, deed: str) -> bool:
        """See `who_may`."""
        return self.level >= _needed(deed)

    def refusal(self, deed: str) -> str:
        """See `who_may`."""
        return refusal(_needed(deed), self.setup)

    def lacks(self, policy: Policy, *, with_lent: bool = False) -> list[str]:
        """See `who_may.beyond`."""
        return rights_beyond(self.member, policy, self.setup if with_lent else None)

    def lacks_rights(self, rights: frozenset[str]) -> list[str]:
        """Those of these rights that the member has not."""
        return lacking_rights(self.member, rights)

    def lacks_to_undo(self, case: Case) -> list[str]:
        """See `who_may.beyond_undo`."""
        return rights_beyond_undo(self.member, case, self.setup)

    async def may_read(self, key: MessageKey) -> bool:
        """See `may_read`."""
        return await may_read(self.guild, self.member, key)

    async def recent_messages(self, limit: int) -> tuple[Markup, list[Message]]:
        """The channel's."""
        channel, events = self.interaction.channel, list[Message]()
        if not isinstance(channel, Readable) or not await can_see_channel(self.guild, self.member, channel):
            return Markup("?"), []
        async with refusals(self.guild, "read_message_history", channel.id):
            async for message in channel.history(limit=limit):
                is_own = message.author.id == self.guild.me.id
                if not is_own and (event := event_of(message, self.setup.moderator_roles)) is not None:
                    events.append(event)
        return Markup(f"<#{channel.id}>"), events

    async def post_back(self, case: Case, text: Markup) -> None:
        """Into the channel where it was written."""
        channel = self.guild.get_channel_or_thread(channel_of(case.message.key.room))
        if not isinstance(channel, Readable):
            raise Gone(case.message.key.room)
        async with refusals(self.guild, "send_messages", channel.id):
            await channel.send(text, nonce=f"back-{case.id}")

    async def missing_rights(self) -> list[Notice]:
        """Runs the self-check on the server as it is now."""
        await self.bot.changed(self.guild)
        policy = await self.bot.pipeline.policy(self.community)
        return [missing.why for missing in self.bot.look(self.guild, self.setup, policy)]

    def troubles(self) -> list[Notice]:
        """Names troubles of the connection and of refused calls."""
        breaker = self.bot.circuit_breaker
        return [
            one for one in (self.bot.trouble, breaker.trouble(), breaker.trouble(self.community)) if one is not None
        ]

    def faults(self) -> list[Notice]:
        """See `health`."""
        return list(self.bot.health.notices(self.community))

    def cards_line(self) -> Markup:
        """The channel, where one was chosen and is there."""
        if not shows_cards(self.guild, self.setup):
            return self.say("status-no-alerts")
        return self.say("status-alerts", room=self.reply.room(self.setup.alert_room))

    def learning_line(self) -> str:
        """Names the operator's permission, where the server agreed to it."""
        if self.bot.basis(self.setup):
            return self.say("learning-on", reference=self.bot.access.permission)
        why = "learning-why-server" if self.bot.access.permission else "learning-why-operator"
        return self.say("learning-off", why=self.say(why))

    def left_alone(self, policy: Policy) -> Markup:
        """Roles and channels."""
        alone = [f"<@&{role}>" for role in sorted(policy.exempt_roles)]
        alone += [self.reply.room(room) for room in sorted(policy.exempt_rooms)]
        return Markup(", ".join(alone))

    @property
    def retention_days(self) -> int:
        """Comes from config.toml."""
        return self.bot.access.retention_days

    def after(self, setup: Setup) -> "DiscordRequest":
        """The same once this set-up is in force."""
        return replace(self, setup=setup)


async def checked_request(
    bot: DiscordBot, interaction: discord.Interaction[Any], needed: Level
) -> DiscordRequest | None:
    """Answers within the three seconds that Discord gives, then checks rights; None after a refusal."""
    bot.begin_work()
    try:
        with contextlib.suppress(Unreadable), read_by("discord", "Discord"):
            await interaction.response.defer(ephemeral=True, thinking=True)
    except discord.HTTPException as error:
        if error.code != ALREADY_ANSWERED:  # by a first try whose answer was lost
            raise
    guild, member = interaction.guild, interaction.user
    if guild is None or not isinstance(member, discord.Member):
        text = say(language_of(str(interaction.locale)), "not-here")
        await interaction.edit_original_response(content=text)
        return None
    setup = await bot.setup(community_of(guild.id))
    level = level_of(interaction.permissions, member, setup)
    if level < needed:
        await interaction.edit_original_response(content=refusal(needed, setup))
        return None
    return DiscordRequest(bot, interaction, guild, member, setup, level)


def refusal(needed: Level, setup: Setup) -> str:
    """Returns the sentence that says who may."""
    return say(setup.language, "not-allowed-manager" if needed is Level.MANAGER else "not-allowed-moderator")


async def still_manages(bot: DiscordBot, guild: int, member: int) -> bool:
    """Asks Discord now whether a member manages the server; False where it does not answer."""
    server = bot.guild(community_of(guild))
    if server is None:
        return False
    try:
        async with refusals(server, None, 0):
            current = await server.fetch_member(member)
    except PlatformError:
        return False
    return level_of(current.guild_permissions, current, await bot.setup(community_of(guild))) >= Level.MANAGER


def parse_reference(text: str, guild: int, channel: int | None) -> tuple[int | None, int] | None:
    """Returns (channel, message) of a link or an id; None for a foreign link and for anything else."""
    text = text.strip().strip("<>")
    if match := _LINK.search(text):
        return (int(match[2]), int(match[3])) if int(match[1]) == guild else None
    if match := _PAIR.fullmatch(text):
        return int(match[1]), int(match[2])
    return (channel, int(text)) if text.isdecimal() and 15 <= len(text) <= 20 else None


def _needed(deed: str) -> Level:
    if deed in DEEDS or deed in COMMANDS:
        return DEEDS[deed] if deed in DEEDS else COMMANDS[deed]
    parts = [level for name, level in COMMANDS.items() if name.startswith(f"{deed} ")]  # such as "mydata export"
    return min(parts, default=Level.MANAGER)
