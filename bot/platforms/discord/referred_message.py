"""The message that a command is about: a link, an id, or the message whose menu was opened."""

import discord

from bot.conversation.explain import Reference
from bot.conversation.report import Reported
from bot.domain.event import Message
from bot.domain.platform import PlatformError
from bot.platforms.discord.actions import refusals
from bot.platforms.discord.events import event_of, room_of, unreadable_event
from bot.platforms.discord.may_read import Readable, can_see_channel
from bot.platforms.discord.request import DiscordRequest, parse_reference


class ReferredMessage(Reference):
    """See `Reference`."""

    def __init__(self, request: DiscordRequest, reference: str, message: discord.Message | None = None) -> None:
        self._request = request
        self._reference = reference
        self._message = message

    @property
    def number(self) -> str:
        """The message's id; "0", which no message has, for an unreadable reference."""
        place = parse_reference(self._reference, self._request.guild.id, self._request.interaction.channel_id)
        return str(place[1]) if place is not None else "0"

    async def fetch(self) -> tuple[Message, bool] | None:
        """Fetches the message, if the asker may see it."""
        message = self._message or await fetched_message(self._request, self._reference)
        if message is None:
            return None
        event = event_of(message, self._request.setup.moderator_roles)
        is_own = message.author.id == self._request.member.id
        if event is None and isinstance(message.channel, Readable):
            event = unreadable_event(message.channel, message.id)
        return None if event is None else (event, is_own)


def reported_message(request: DiscordRequest, message: discord.Message) -> Reported:
    """Describes a message that a member reports."""
    channel, moderators = message.channel, request.setup.moderator_roles

    async def read() -> Message | None:
        return event_of(message, moderators, wordless=True)

    is_bots_own = message.author.id == request.guild.me.id
    room = room_of(channel.id, getattr(channel, "parent_id", None))
    return Reported(str(message.author.id), read, is_bots_own, request.setup.shows_cards_in(room))


async def fetched_message(request: DiscordRequest, reference: str) -> discord.Message | None:
    """Fetches the message, if it exists and the asker may see it."""
    place = parse_reference(reference, request.guild.id, request.interaction.channel_id)
    if place is None or place[0] is None:
        return None
    channel = request.guild.get_channel_or_thread(place[0])
    if not isinstance(channel, Readable) or not await can_see_channel(request.guild, request.member, channel):
        return None
    try:
        async with refusals(request.guild, "read_message_history", channel.id):
            message = await channel.fetch_message(place[1])
            await request.bot.authors.complete(message)
            return message
    except PlatformError:
        return None
