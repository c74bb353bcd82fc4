"""/setup: everything on one screen, saved at once."""

from typing import Any

import discord

from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.domain.policy import PRESETS, Mode, Policy, preset_of, with_preset
from bot.domain.setup import Setup
from bot.platforms.discord.acting import refusals
from bot.platforms.discord.asking import Asked, ask
from bot.platforms.discord.events import PLATFORM
from bot.platforms.discord.may_read import Readable
from bot.platforms.discord.moderating import preview
from bot.platforms.discord.who_may import COMMANDS, LENT, beyond, lacking
from bot.text.language import LANGUAGES

MOST = 25
"""A select holds so many values."""
CHANNELS = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.voice,
    discord.ChannelType.forum,
    discord.ChannelType.category,
]


class SetupView(discord.ui.View):
    """Nothing is in force before Save; whoever clicks must still manage the server then."""

    def __init__(self, asked: Asked, policy: Policy) -> None:
        super().__init__(timeout=900)
        self._bot = asked.bot
        self._asked = asked
        self._chosen: Setup = asked.setup
        self._policy = policy
        self._draw()

    @classmethod
    async def show(cls, asked: Asked) -> None:
        """As it stands, to be changed."""
        view = cls(asked, await asked.bot.pipeline.policy(asked.community))
        await asked.tell(view.text(), view=view)

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Only whoever opened it chooses."""
        return interaction.user.id == self._asked.member.id

    def text(self) -> str:
        """What is chosen so far, in words."""
        say, setup, policy = self._asked.say, self._chosen, self._policy
        none = say("setup-none")
        alone = [f"<@&{role}>" for role in sorted(policy.exempt_roles)]
        alone += [f"<#{room}>" for room in sorted(policy.exempt_rooms)]
        now = say(
            "setup-now",
            alerts=f"<#{setup.alert_room}>" if setup.alert_room else none,
            moderators=", ".join(f"<@&{role}>" for role in sorted(setup.moderator_roles)) or none,
            exempt=", ".join(alone) or none,
            preset=say(f"preset-{preset_of(policy) or 'own'}"),
            language=setup.language,
            warn=say(f"setup-warn-{setup.warn}"),
        )
        return f"{say('setup-title')}\n{now}"

    def _draw(self) -> None:
        self.clear_items()
        say, setup, policy = self._asked.say, self._chosen, self._policy
        kinds = [discord.ChannelType.text, discord.ChannelType.news]
        alerts: discord.ui.ChannelSelect[SetupView] = discord.ui.ChannelSelect(
            placeholder=say("setup-alerts"), channel_types=kinds, default_values=_channels([setup.alert_room]), row=0
        )
        moderators: discord.ui.RoleSelect[SetupView] = discord.ui.RoleSelect(
            placeholder=say("setup-moderators"),
            min_values=0,
            max_values=MOST,
            default_values=_roles(setup.moderator_roles),
            row=1,
        )
        roles: discord.ui.RoleSelect[SetupView] = discord.ui.RoleSelect(
            placeholder=say("setup-exempt-roles"),
            min_values=0,
            max_values=MOST,
            default_values=_roles(policy.exempt_roles),
            row=2,
        )
        rooms: discord.ui.ChannelSelect[SetupView] = discord.ui.ChannelSelect(
            placeholder=say("setup-exempt-rooms"),
            channel_types=CHANNELS,
            min_values=0,
            max_values=MOST,
            default_values=_channels(policy.exempt_rooms),
            row=3,
        )

        async def choose_alerts(interaction: discord.Interaction[Any]) -> None:
            await self._set(interaction, setup={"alert_room": str(alerts.values[0].id) if alerts.values else ""})

        async def choose_moderators(interaction: discord.Interaction[Any]) -> None:
            await self._set(interaction, setup={"moderator_roles": frozenset(str(r.id) for r in moderators.values)})

        async def choose_roles(interaction: discord.Interaction[Any]) -> None:
            await self._set(interaction, policy={"exempt_roles": frozenset(str(role.id) for role in roles.values)})

        async def choose_rooms(interaction: discord.Interaction[Any]) -> None:
            await self._set(interaction, policy={"exempt_rooms": frozenset(str(room.id) for room in rooms.values)})

        for item, chosen in (
            (alerts, choose_alerts),
            (moderators, choose_moderators),
            (roles, choose_roles),
            (rooms, choose_rooms),
        ):
            item.callback = chosen  # type: ignore[method-assign]
            self.add_item(item)
        preset = say(f"preset-{preset_of(policy) or 'own'}")
        self._button(f"{say('setup-preset')}: {preset}", self._next_preset)
        self._button(say("setup-button-language"), self._next_language)
        self._button(say(f"setup-button-warn-{setup.warn}"), self._next_warn)
        self._button(say("setup-button-preview"), self._preview)
        self._button(say("setup-button-save"), self._save, discord.ButtonStyle.success)

    def _button(self, text: str, click: Any, style: discord.ButtonStyle = discord.ButtonStyle.secondary) -> None:
        button: discord.ui.Button[SetupView] = discord.ui.Button(label=text, style=style, row=4)
        button.callback = click  # type: ignore[method-assign]
        self.add_item(button)

    async def _set(
        self,
        interaction: discord.Interaction[Any],
        setup: dict[str, Any] | None = None,
        policy: dict[str, Any] | None = None,
    ) -> None:
        """Takes a choice in and draws the screen anew."""
        self._chosen = self._chosen.model_copy(update=setup or {})
        self._policy = self._policy.model_copy(update=policy or {})
        self._draw()
        await interaction.response.edit_message(content=self.text(), view=self)

    async def _next_preset(self, interaction: discord.Interaction[Any]) -> None:
        names = list(PRESETS)
        now = preset_of(self._policy)
        following = names[(names.index(now) + 1) % len(names)] if now else "standard"
        self._policy = with_preset(self._policy, following)
        await self._set(interaction)

    async def _next_language(self, interaction: discord.Interaction[Any]) -> None:
        following = LANGUAGES[(LANGUAGES.index(self._chosen.language) + 1) % len(LANGUAGES)]
        self._chosen = self._chosen.model_copy(update={"language": following})
        self._asked = Asked(
            self._bot, interaction, self._asked.guild, self._asked.member, self._chosen, self._asked.level
        )
        await self._set(interaction)

    async def _next_warn(self, interaction: discord.Interaction[Any]) -> None:
        await self._set(interaction, setup={"warn": "place" if self._chosen.warn == "dm" else "dm"})

    async def _preview(self, interaction: discord.Interaction[Any]) -> None:
        if (asked := await ask(self._bot, interaction, COMMANDS["setup"])) is not None:
            await preview(asked, self._policy)

    async def _save(self, interaction: discord.Interaction[Any]) -> None:
        """In force from now on; a first card shows that cards arrive."""
        if (asked := await ask(self._bot, interaction, COMMANDS["setup"])) is None:
            return
        setup = self._chosen.model_copy(update={"done": True, "learns": asked.setup.learns})
        moved = setup.alert_room != asked.setup.alert_room
        now = await self._bot.pipeline.policy(asked.community)
        fields = ("hate", "offensive", "exempt_roles", "exempt_rooms")
        policy = now.model_copy(update={name: getattr(self._policy, name) for name in fields})
        if why_not := await _why_not(asked, setup, policy, now):
            await asked.tell(why_not)
            return
        await self._bot.pipeline.set_policy(asked.community, policy)
        await self._bot.save_setup(asked.guild, setup)
        after = Asked(asked.bot, interaction, asked.guild, asked.member, setup, asked.level)
        mode = "enforce" if policy.mode is Mode.ENFORCE else "shadow"
        text = after.say("setup-saved", mode=mode)
        if setup.alert_room and moved and (why := await _first_card(after)):
            text = after.say("setup-test-failed", room=f"<#{setup.alert_room}>", why=why)
        elif not setup.alert_room:
            text = f"{text} {after.say('status-no-alerts')}"
        await after.tell(text)


async def _why_not(asked: Asked, setup: Setup, policy: Policy, now: Policy) -> str:
    """Why this is not saved; "" where it may be. Nobody gives more than they have, and no channel stops being read
    because cards are to go there: only because somebody said so."""
    acts_otherwise = (policy.hate, policy.offensive) != (now.hate, now.offensive)
    if acts_otherwise and (too_much := asked.is_too_much(beyond(asked.member, policy))):
        return too_much
    gives_away = setup.moderator_roles - asked.setup.moderator_roles
    if gives_away and (too_much := asked.is_too_much(lacking(asked.member, frozenset(LENT)))):
        return too_much
    room, left_alone = setup.alert_room, {"", asked.setup.alert_room, *policy.exempt_rooms}
    if room not in left_alone and await asked.bot.store.has_messages(PLATFORM, asked.community, room):
        return asked.say("setup-room-is-read", room=f"<#{room}>")
    return ""


async def _first_card(asked: Asked) -> str:
    """Says in the chosen channel what will come there; returns why that was not possible."""
    room = asked.guild.get_channel(int(asked.setup.alert_room))
    if not isinstance(room, Readable):
        return asked.say("no-message")
    try:
        async with refusals(asked.guild, "send_messages", room.id):
            await room.send(embed=discord.Embed(description=asked.say("setup-test-card"), colour=0x2E7D32))
    except MissingPermission as error:
        return error.why.text(asked.language)
    except (Gone, RateLimited, Unreachable) as error:
        return str(error)
    return ""


def _channels(ids: Any) -> list[discord.SelectDefaultValue]:
    kind = discord.SelectDefaultValueType.channel
    return [discord.SelectDefaultValue(id=int(one), type=kind) for one in ids if one][:MOST]


def _roles(ids: Any) -> list[discord.SelectDefaultValue]:
    kind = discord.SelectDefaultValueType.role
    return [discord.SelectDefaultValue(id=int(one), type=kind) for one in ids if one][:MOST]
