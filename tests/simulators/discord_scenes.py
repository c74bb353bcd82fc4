"""What people do on the simulated Discord, one method per deed; mixed into `DiscordServer`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from . import discord_permissions as perms
from .discord_channels import Channel, Message, Thread
from .discord_guild import Guild
from .discord_interactions import (
    APPLICATION_COMMAND,
    AUTOCOMPLETE,
    COMPONENT,
    MODAL_SUBMIT,
    SELECTS,
    Answer,
    Resolved,
)
from .discord_state import GUILDS, SCHEDULED_EVENTS, Author, Json, Member, Person, Role, User

ANSWER_WITHIN_S = 5.0


class Scenes:
    """Deeds of users. Those that reach the bot as interactions wait for its answer."""

    # people

    async def says(self, channel: Channel, author: Author, content: str = "", **fields: Any) -> Message:
        """Somebody writes (MESSAGE_CREATE). `fields` as for `write`."""
        message = self.publish(self.write(channel, author, content, **fields))
        await asyncio.sleep(0)
        return message

    def remembers(
        self, channel: Channel, author: Author, content: str = "", *, at: datetime | None = None, **fields: Any
    ) -> Message:
        """A message in the history that no event announced."""
        message = self.write(channel, author, content, at=at, **fields)
        self.keep(message)
        return message

    async def edits(self, message: Message, content: str | None = None, **fields: Any) -> None:
        """The author edits a message (MESSAGE_UPDATE, with a new `edited_timestamp`)."""
        self.update(message, **(fields if content is None else fields | {"content": content}))
        await asyncio.sleep(0)

    async def unfurls(self, message: Message, *embeds: Json) -> None:
        """Discord adds a link's preview: MESSAGE_UPDATE that is not an edit."""
        self.update(message, edited=False, embeds=message.embeds + list(embeds))
        await asyncio.sleep(0)

    async def deletes(self, message: Message) -> None:
        """Somebody deletes a message (MESSAGE_DELETE)."""
        self.erase([message])
        await asyncio.sleep(0)

    async def posts(
        self, forum: Channel, author: Person, title: str, content: str = "", tags: Iterable[Json] = (), **fields: Any
    ) -> Thread:
        """A new post in a forum: THREAD_CREATE, then the first message, which has the thread's id."""
        thread = forum.add_thread(title, author, tags=tags)
        self.publish(self.write(thread, author, content, id=thread.id, **fields))
        await asyncio.sleep(0)
        return thread

    async def opens(self, channel: Channel, owner: Person, title: str) -> Thread:
        """A thread of its own in a channel: THREAD_CREATE, and Discord's message of type 18 in the channel."""
        thread = channel.add_thread(title, owner)
        reference = {"channel_id": str(thread.id), "guild_id": str(channel.guild.id if channel.guild else 0)}
        await self.says(channel, owner, title, type=18, message_reference=reference)
        return thread

    async def renames(self, thread: Thread, person: Person, title: str, *, told: bool = True) -> None:
        """Somebody gives a thread another title: THREAD_UPDATE, and `told` by Discord's message of type 4 in it."""
        thread.change(name=title)
        if told:
            await self.says(thread, person, title, type=4)

    async def describes(self, channel: Channel, status: str | None) -> None:
        """Somebody sets a voice channel's status; Discord does not say who."""
        assert channel.guild is not None
        data = {"id": str(channel.id), "guild_id": str(channel.guild.id), "status": status}
        self.dispatch("VOICE_CHANNEL_STATUS_UPDATE", data, guild=channel.guild, channel=channel, intent=GUILDS)
        await asyncio.sleep(0)

    async def plans(self, guild: Guild, creator: Person, occasion: Json | None = None, **fields: Any) -> Json:
        """Somebody makes a scheduled event, or changes `occasion`."""
        data: Json = occasion or {
            "id": str(self.snowflake()),
            "guild_id": str(guild.id),
            "channel_id": None,
            "creator_id": str(creator.id),
            "name": "an evening",
            "description": None,
            "scheduled_start_time": "2030-01-01T20:00:00+00:00",
            "scheduled_end_time": "2030-01-01T22:00:00+00:00",
            "privacy_level": 2,
            "status": 1,
            "entity_type": 3,
            "entity_id": None,
            "entity_metadata": {"location": "somewhere"},
        }
        data |= fields
        guild.occasions[data["id"]] = data
        event = f"GUILD_SCHEDULED_EVENT_{'CREATE' if occasion is None else 'UPDATE'}"
        self.dispatch(event, data, guild=guild, intent=SCHEDULED_EVENTS)
        await asyncio.sleep(0)
        return data

    async def joins(self, guild: Guild, user: Person | str, roles: Iterable[Role] = ()) -> Member:
        """Somebody joins a guild (GUILD_MEMBER_ADD)."""
        member = guild.add_member(user, roles)
        await asyncio.sleep(0)
        return member

    async def leaves(self, guild: Guild, person: Person) -> None:
        """Somebody leaves a guild (GUILD_MEMBER_REMOVE)."""
        guild.remove_member(person)
        await asyncio.sleep(0)

    async def adds_bot(self, guild: Guild, *, permissions: perms.Given = perms.BOT, by: User | None = None) -> None:
        """Somebody adds the bot to a guild just now: GUILD_CREATE of a joined guild, and audit log entry 28."""
        self._seat_bot(guild, permissions, by)
        self._announce(guild)
        await asyncio.sleep(0)

    async def removes_bot(self, guild: Guild) -> None:
        """The bot is thrown out: GUILD_DELETE."""
        self.dispatch("GUILD_DELETE", {"id": str(guild.id)}, guild=guild, intent=GUILDS)
        del guild.members[self.bot.id]
        guild.roles.remove(guild.bot_role)
        guild.changed()
        await asyncio.sleep(0)

    async def goes_unavailable(self, guild: Guild) -> None:
        """An outage of one guild: GUILD_DELETE with `unavailable`; REST does not know it either."""
        self.dispatch("GUILD_DELETE", {"id": str(guild.id), "unavailable": True}, guild=guild, intent=GUILDS)
        guild.unavailable = True
        await asyncio.sleep(0)

    async def comes_back(self, guild: Guild) -> None:
        """The outage ends: GUILD_CREATE."""
        guild.unavailable = False
        self._announce(guild, unavailable=False)
        await asyncio.sleep(0)

    # interactions

    async def runs(
        self,
        user: Person,
        channel: Channel | None,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = ANSWER_WITHIN_S,
    ) -> Answer:
        """Somebody runs a slash command as the bot registered it; `name` with subcommands: "log set". In direct
        messages without a channel. Users, roles and channels are given as objects. LookupError: no such command."""
        channel = channel or self.dm(user)
        data = self.interactions.command_data(name, options or {}, user, channel)
        return await self.interactions.ask(APPLICATION_COMMAND, user, channel, data, timeout_s=timeout_s)

    async def autocompletes(
        self,
        user: Person,
        channel: Channel,
        name: str,
        options: Mapping[str, Any],
        focused: str,
        *,
        timeout_s: float = ANSWER_WITHIN_S,
    ) -> Answer:
        """Somebody types into the option `focused`; the answer's `choices` are what is offered."""
        data = self.interactions.command_data(name, options, user, channel, focused)
        return await self.interactions.ask(AUTOCOMPLETE, user, channel, data, timeout_s=timeout_s)

    async def clicks(
        self, user: Person, message: Message | Answer, button: str, *, timeout_s: float = ANSWER_WITHIN_S
    ) -> Answer:
        """Somebody presses a button, named by custom id or label."""
        source = self._shown_message(message)
        component = self.interactions.component(source, (2,), button)
        data = {"custom_id": component["custom_id"], "component_type": 2, "id": component["id"]}
        return await self.interactions.ask(COMPONENT, user, source.channel, data, source=source, timeout_s=timeout_s)

    async def selects(
        self,
        user: Person,
        message: Message | Answer,
        select: str,
        *values: Any,
        timeout_s: float = ANSWER_WITHIN_S,
    ) -> Answer:
        """Somebody picks from a select, named by custom id or placeholder: labels or values, or users, roles,
        channels as objects."""
        source = self._shown_message(message)
        component = self.interactions.component(source, SELECTS, select)
        guild = source.channel.guild
        resolved = Resolved(guild, guild.members.get(user.id) if guild else None)
        data = {
            "custom_id": component["custom_id"],
            "component_type": component["type"],
            "id": component["id"],
            "values": self.interactions.picked(component, values, resolved),
        }
        data |= {"resolved": resolved.data} if resolved.data else {}
        return await self.interactions.ask(COMPONENT, user, source.channel, data, source=source, timeout_s=timeout_s)

    async def submits(
        self, user: Person, modal: Answer, values: Mapping[str, Any], *, timeout_s: float = ANSWER_WITHIN_S
    ) -> Answer:
        """Somebody submits the modal that an answer opened; fields by custom id or label."""
        assert modal.modal is not None and modal.interaction is not None, "the answer opened no modal"
        opened = modal.interaction
        guild = opened.channel.guild
        resolved = Resolved(guild, guild.members.get(user.id) if guild else None)
        data = self.interactions.modal_data(modal.modal, values, resolved)
        return await self.interactions.ask(
            MODAL_SUBMIT, user, opened.channel, data, source=opened.source, timeout_s=timeout_s
        )

    async def uses_message_command(
        self, user: Person, message: Message, name: str, *, timeout_s: float = ANSWER_WITHIN_S
    ) -> Answer:
        """Somebody picks a command from a message's context menu."""
        return await self._uses(user, message.channel, 3, name, message, timeout_s)

    async def uses_user_command(
        self, user: Person, channel: Channel, target: Person, name: str, *, timeout_s: float = ANSWER_WITHIN_S
    ) -> Answer:
        """Somebody picks a command from a user's context menu."""
        return await self._uses(user, channel, 2, name, target, timeout_s)

    async def _uses(
        self, user: Person, channel: Channel, type: int, name: str, target: Any, timeout_s: float
    ) -> Answer:
        command = self.interactions.command(name, type, channel.guild)
        guild = channel.guild
        resolved = Resolved(guild, guild.members.get(user.id) if guild else None)
        data = {"id": command["id"], "name": name, "type": type, "target_id": resolved.add(target)}
        data |= {"resolved": resolved.data}
        if command.get("guild_id"):
            data["guild_id"] = command["guild_id"]
        return await self.interactions.ask(APPLICATION_COMMAND, user, channel, data, timeout_s=timeout_s)

    def offers(self, user: Person, channel: Channel, name: str) -> bool:
        """Whether Discord lists this command for this member: its default permissions are a hint, no more, and `runs`
        does not look at them."""
        guild = channel.guild
        for type in (1, 2, 3):
            with contextlib.suppress(LookupError):
                needed = self.interactions.command(name, type, guild).get("default_member_permissions")
                if guild is None or needed is None:
                    return True
                allowed = guild.members[user.id].permissions(channel)
                return allowed & int(needed) == int(needed) and (int(needed) > 0 or bool(allowed & perms.ADMIN))
        return False

    @staticmethod
    def _shown_message(message: Message | Answer) -> Message:
        shown = message.message if isinstance(message, Answer) else message
        assert shown is not None, "the answer has no message"
        assert not shown.deleted, "the message is deleted"
        return shown
