"""Interactions: application commands as registered, and what users do with them and with components.

`Interactions` is the user's side: it builds INTERACTION_CREATE as Discord does and waits for the bot's answer.
The bot's side (callbacks, followups) is in `discord_routes_interactions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import discord_permissions as perms
from .discord_channels import Channel, Message
from .discord_gateway import dumps
from .discord_guild import Guild
from .discord_state import Json, Member, Person, Role, User

if TYPE_CHECKING:
    from .discord_server import DiscordServer

APPLICATION_COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
SELECTS = (3, 5, 6, 7, 8)
ATTACHMENT_LIMIT_BYTES = 10 * 1024 * 1024


@dataclass
class Answer:
    """What the bot answered to an interaction; live, so later edits and followups appear in it.

    kind: "message", "deferred" (thinking; `content` is what followed), "update" (of the message with the component),
    "modal", "autocomplete", or "none" when no answer came in time."""

    kind: str = "none"
    message: Message | None = None
    """The answering message, or for an update the message that was changed."""
    followups: list[Message] = field(default_factory=list)
    modal: Json | None = None
    choices: list[Json] = field(default_factory=list)
    answered_after_s: float | None = None
    finished_after_s: float | None = None
    """When a deferred answer got its content."""
    interaction: Interaction | None = None

    @property
    def content(self) -> str:
        return self.message.content if self.message else ""

    @property
    def embeds(self) -> list[Json]:
        return self.message.embeds if self.message else []

    @property
    def components(self) -> list[Json]:
        return self.message.components if self.message else []

    @property
    def ephemeral(self) -> bool:
        return self.message is not None and self.message.ephemeral


@dataclass
class Interaction:
    """One interaction, with what the bot's side needs to check its answers."""

    id: int
    token: str
    type: int
    user: User
    channel: Channel
    data: Json
    source: Message | None
    started_s: float
    answer: Answer = field(default_factory=Answer)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    original: Message | None = None
    loading: bool = False

    def age_s(self) -> float:
        return time.monotonic() - self.started_s

    def finish(self) -> None:
        """The user has seen an answer."""
        if self.answer.finished_after_s is None:
            self.answer.finished_after_s = self.age_s()
        self.done.set()

    def metadata(self) -> Json:
        guild = self.channel.guild
        data: Json = {
            "id": str(self.id),
            "type": self.type,
            "user": self.user.payload(),
            "authorizing_integration_owners": {"0": str(guild.id) if guild else "0"},
        }
        if self.type == COMPONENT and self.source is not None:
            data["interacted_message_id"] = str(self.source.id)
        return data


def walk(components: Sequence[Json]) -> Iterator[Json]:
    """Every component, at any depth."""
    for one in components:
        yield one
        yield from walk(one.get("components") or [])
        for key in ("accessory", "component"):
            if key in one:
                yield from walk([one[key]])


class Resolved:
    """The `resolved` part of interaction data, gathered while options are built."""

    def __init__(self, guild: Guild | None, invoker: Member | None) -> None:
        self.guild, self.invoker = guild, invoker
        self.data: dict[str, Json] = {}

    def add(self, value: Any) -> str:
        """Resolve one object and give its id."""
        number = str(value.id)
        if isinstance(value, User | Member):
            user = value.user if isinstance(value, Member) else value
            self.data.setdefault("users", {})[number] = user.payload()
            member = self.guild.members.get(user.id) if self.guild else None
            if member is not None:
                permissions = {"permissions": str(member.permissions())}
                self.data.setdefault("members", {})[number] = member.partial() | permissions
        elif isinstance(value, Role):
            self.data.setdefault("roles", {})[number] = value.payload()
        elif isinstance(value, Channel):
            allowed = self.invoker.permissions(value) if self.invoker else 0
            self.data.setdefault("channels", {})[number] = value.payload() | {"permissions": str(allowed)}
        elif isinstance(value, Message):
            self.data.setdefault("messages", {})[number] = value.data
        else:
            raise TypeError(f"cannot resolve {value!r}")
        return number


class Interactions:
    """What users do with the bot."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.by_token: dict[str, Interaction] = {}
        self.by_id: dict[int, Interaction] = {}
        self.waiting: list[Interaction] = []  # acknowledged without a change of the message yet

    def start(
        self, type: int, person: Person, channel: Channel, data: Json, *, source: Message | None = None
    ) -> Interaction:
        """Dispatch INTERACTION_CREATE."""
        server, guild = self.server, channel.guild
        user = person.user if isinstance(person, Member) else person
        self._check_reach(type, user, channel)
        number = server.snowflake()
        one = Interaction(number, secrets.token_urlsafe(48), type, user, channel, data, source, time.monotonic())
        one.answer.interaction = one
        self.by_token[one.token] = self.by_id[one.id] = one
        event: Json = {
            "id": str(number),
            "application_id": str(server.application_id),
            "type": type,
            "token": one.token,
            "version": 1,
            "data": data,
            "channel_id": str(channel.id),
            "channel": channel.payload(),
            "locale": user.locale,
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(guild.id) if guild else "0"},
            "context": 0 if guild else 1,
            "attachment_size_limit": ATTACHMENT_LIMIT_BYTES,
        }
        if source is not None:
            event["message"] = source.data
        if guild is None:
            event |= {"user": user.payload(), "app_permissions": str(perms.bits(["view_channel", "send_messages"]))}
        else:
            member = guild.members[user.id]
            allowed = member.permissions(channel)
            event["channel"] = event["channel"] | {"permissions": str(allowed)}
            event |= {
                "guild_id": str(guild.id),
                "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
                "guild_locale": guild.locale,
                "member": member.payload() | {"permissions": str(allowed)},
                "app_permissions": str(channel.bot_permissions()),
            }
        text = dumps(event)
        for session in server.sessions.values():
            if session.serves(guild):
                server.faults.deliver(session, "INTERACTION_CREATE", text)
        return one

    @staticmethod
    def _check_reach(type: int, user: User, channel: Channel) -> None:
        """What Discord's own apps would not let this user do."""
        guild = channel.guild
        if guild is None:
            return
        if user.id not in guild.members:
            raise LookupError(f"{user.name} is not in {guild.name}")
        member = guild.members[user.id]
        if member.timed_out:
            raise PermissionError(f"{user.name} is timed out")
        if not guild.sees(member, channel):
            raise PermissionError(f"{user.name} does not see #{channel.name}")
        allowed = member.permissions(channel) & perms.BIT["use_application_commands"]
        if type in (APPLICATION_COMMAND, AUTOCOMPLETE) and not allowed:
            raise PermissionError(f"{user.name} may not use commands in #{channel.name}")

    def source_changed(self, message: Message) -> None:
        """A message was edited or deleted: clicks on it that were only acknowledged are answered now."""
        for one in [one for one in self.waiting if one.source is message]:
            self.waiting.remove(one)
            one.finish()

    async def ask(
        self,
        type: int,
        person: Person,
        channel: Channel,
        data: Json,
        *,
        timeout_s: float,
        source: Message | None = None,
    ) -> Answer:
        """Start an interaction and give the bot's answer, or what there is of it after the time-out."""
        one = self.start(type, person, channel, data, source=source)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await one.done.wait()
        return one.answer

    # commands

    def command(self, name: str, type: int, guild: Guild | None) -> Json:
        """A registered command as offered here, the guild's own before the global one."""
        for scope in ([guild.id] if guild else []) + [None]:
            for command in self.server.commands.get(scope, {}).values():
                if command["name"] == name and command["type"] == type:
                    if guild is None and 1 not in (command.get("contexts") or [0, 1, 2]):
                        raise LookupError(f"/{name} is not offered in direct messages")
                    if guild is None and command.get("dm_permission") is False:
                        raise LookupError(f"/{name} is not offered in direct messages")
                    return command
        registered = sorted({c["name"] for scope in self.server.commands.values() for c in scope.values()})
        raise LookupError(f"no command {name!r} here; registered: {registered}")

    def command_data(
        self, name: str, options: Mapping[str, Any], person: Person, channel: Channel, focused: str | None = None
    ) -> Json:
        """Data of a slash command. `name` may go on with subcommands: "log set"."""
        guild = channel.guild
        first, *rest = name.split()
        command = self.command(first, 1, guild)
        resolved = Resolved(guild, guild.members.get(person.id) if guild else None)
        level, path = command, []
        for word in rest:
            found = [one for one in level.get("options", []) if one["name"] == word and one["type"] in (1, 2)]
            if not found:
                raise LookupError(f"no subcommand {word!r} in /{name}")
            level = found[0]
            path.append((level["type"], word))
        values = self._options(level, options, resolved, focused)
        for type, word in reversed(path):
            values = [{"type": type, "name": word, "options": values}]
        data: Json = {"id": command["id"], "name": command["name"], "type": 1, "options": values}
        if command.get("guild_id"):
            data["guild_id"] = command["guild_id"]
        return data | ({"resolved": resolved.data} if resolved.data else {})

    @staticmethod
    def _options(level: Json, given: Mapping[str, Any], resolved: Resolved, focused: str | None) -> list[Json]:
        known = {one["name"]: one for one in level.get("options", [])}
        if any(one["type"] in (1, 2) for one in known.values()):
            raise LookupError(f"{level['name']} has subcommands: {sorted(known)}")
        for name, option in known.items():
            if option.get("required") and name not in given and focused is None:
                raise ValueError(f"option {name!r} is required")
        values: list[Json] = []
        for name, value in given.items():
            if name not in known:
                raise LookupError(f"no option {name!r}; known: {sorted(known)}")
            option = known[name]
            if option["type"] in (6, 7, 8, 9):
                value = resolved.add(value)
            elif option["type"] in (3, 4, 10) and option.get("choices") and focused != name:
                choices = option["choices"]
                picked = [one["value"] for one in choices if value in (one["value"], one["name"])]
                if not picked:
                    raise ValueError(f"{value!r} is not among the choices of {name!r}")
                value = picked[0]
            value = {3: str, 4: int, 5: bool, 10: float}.get(option["type"], str)(value)
            if option["type"] == 3 and not option.get("min_length", 0) <= len(value) <= option.get("max_length", 6000):
                raise ValueError(f"{name!r} has a wrong length")
            if option["type"] in (4, 10) and not (
                option.get("min_value", value) <= value <= option.get("max_value", value)
            ):
                raise ValueError(f"{name!r} is out of range")
            values.append({"name": name, "type": option["type"], "value": value})
            if focused == name:
                values[-1]["focused"] = True
        return values

    # components

    @staticmethod
    def component(message: Message, types: Sequence[int], wanted: str) -> Json:
        """A component by custom id, label or placeholder."""
        there = [one for one in walk(message.components) if one["type"] in types]
        for one in there:
            if wanted in (one.get("custom_id"), one.get("label"), one.get("placeholder")):
                if one.get("disabled"):
                    raise ValueError(f"{wanted!r} is disabled")
                if not one.get("custom_id"):
                    raise ValueError(f"{wanted!r} is a link")
                return one
        names = [one.get("label") or one.get("placeholder") or one.get("custom_id") for one in there]
        raise LookupError(f"no component {wanted!r}; there are {names}")

    @staticmethod
    def picked(component: Json, values: Sequence[Any], resolved: Resolved) -> list[str]:
        """The values of a select: labels or values of a string select, objects for the others."""
        least, most = component.get("min_values", 1), component.get("max_values", 1)
        if not least <= len(values) <= most:
            raise ValueError(f"between {least} and {most} values are wanted")
        if component["type"] != 3:
            return [resolved.add(value) for value in values]
        chosen = []
        for value in values:
            hits = [one["value"] for one in component["options"] if value in (one["value"], one["label"])]
            if not hits:
                raise LookupError(f"no option {value!r}")
            chosen.append(hits[0])
        return chosen

    def modal_data(self, modal: Json, values: Mapping[str, Any], resolved: Resolved) -> Json:
        """Data of a submitted modal. Fields are named by custom id or label; what is not named keeps its default."""
        left = dict(values)

        def fill(item: Json, label: str | None) -> Json:
            number = {"id": item["id"]} if "id" in item else {}
            if item["type"] == 1:
                return number | {"type": 1, "components": [fill(child, None) for child in item["components"]]}
            if item["type"] == 18:
                return number | {"type": 18, "component": fill(item["component"], item.get("label"))}
            if "custom_id" not in item:
                return number | {"type": item["type"]}
            names = [name for name in (item["custom_id"], item.get("label"), label) if name in left]
            given = left.pop(names[0]) if names else None
            base = number | {"type": item["type"], "custom_id": item["custom_id"]}
            if item["type"] == 4:
                text = str(given) if given is not None else item.get("value") or ""
                if item.get("required", True) and not text:
                    raise ValueError(f"{label or item.get('label')!r} is required")
                if len(text) > (item.get("max_length") or 4000) or (text and len(text) < (item.get("min_length") or 0)):
                    raise ValueError(f"{label or item.get('label')!r} has a wrong length")
                return base | {"value": text}
            if item["type"] in SELECTS:
                if given is None:
                    defaults = [one["value"] for one in item.get("options", []) if one.get("default")]
                    return base | {"values": defaults}
                many = given if isinstance(given, list | tuple) else [given]
                return base | {"values": self.picked(item, many, resolved)}
            if item["type"] in (19, 22):
                return base | {"values": given or []}
            return base | {"value": given}

        components = [fill(item, None) for item in modal["components"]]
        if left:
            raise LookupError(f"no fields {sorted(left)} in the modal")
        data: Json = {"custom_id": modal["custom_id"], "components": components}
        return data | ({"resolved": resolved.data} if resolved.data else {})
