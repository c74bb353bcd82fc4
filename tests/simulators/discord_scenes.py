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
from .discord_state import GUILDS, Author, Json, Member, Person, Role, User

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
