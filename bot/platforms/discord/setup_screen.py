"""/setup: everything on one screen, saved at once."""

from typing import Any

import discord

from bot.conversation.context import Markup
from bot.conversation.setup import preset_name, setup_line, with_next_language, with_next_preset, with_other_warning
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.domain.policy import Mode, Policy
from bot.domain.setup import Setup
from bot.platforms.discord.actions import refusals
from bot.platforms.discord.events import PLATFORM
from bot.platforms.discord.may_read import Readable
from bot.platforms.discord.request import DiscordRequest, checked_request
from bot.platforms.discord.who_may import COMMANDS, LENT

MOST = 25
"""A select holds so many values."""
CHANNELS = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.voice,
    discord.ChannelType.forum,
    discord.ChannelType.category,
]


class SetupScreen(discord.ui.View):
    """Choices are in force once they are saved; the person who saves must still manage the server."""

    def __init__(self, request: DiscordRequest, policy: Policy) -> None:
        super().__init__(timeout=900)
        self._bot = request.bot
        self._request = request
        self._chosen: Setup = request.setup
        self._policy = policy
        self._draw()

    @classmethod
    async def show(cls, request: DiscordRequest) -> None:
        """Shows the set-up, to be changed."""
        view = cls(request, await request.bot.pipeline.policy(request.community))
        await request.reply.show(view.text(), view=view)

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Only the person who opened the screen chooses."""
        return interaction.user.id == self._request.member.id

    def text(self) -> str:
        """Returns the choices so far, in words."""
        request, setup = self._request, self._chosen
        alerts = request.reply.room(setup.alert_room) if setup.alert_room else Markup("")
        moderators = Markup(", ".join(f"<@&{role}>" for role in sorted(setup.moderator_roles)))
        now = setup_line(request, setup, self._policy, alerts=alerts, moderators=moderators)
        return f"{request.say('setup-title')}\n{now}"

    def _draw(self) -> None:
        self.clear_items()
        say, setup, policy = self._request.say, self._chosen, self._policy
        kinds = [discord.ChannelType.text, discord.ChannelType.news]
        alerts: discord.ui.ChannelSelect[SetupScreen] = discord.ui.ChannelSelect(
            placeholder=say("setup-alerts"), channel_types=kinds, default_values=_channels([setup.alert_room]), row=0
        )
        moderators: discord.ui.RoleSelect[SetupScreen] = discord.ui.RoleSelect(
            placeholder=say("setup-moderators"),
            min_values=0,
            max_values=MOST,
            default_values=_roles(setup.moderator_roles),
            row=1,
        )
        roles: discord.ui.RoleSelect[SetupScreen] = discord.ui.RoleSelect(
            placeholder=say("setup-exempt-roles"),
            min_values=0,
            max_values=MOST,
            default_values=_roles(policy.exempt_roles),
            row=2,
        )
        rooms: discord.ui.ChannelSelect[SetupScreen] = discord.ui.ChannelSelect(
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
        self._button(f"{say('setup-preset')}: {preset_name(self._request, policy)}", self._next_preset)
        self._button(say("setup-button-language"), self._next_language)
        self._button(say(f"setup-button-warn-{setup.warn}"), self._next_warn)
        self._button(say("setup-button-preview"), self._preview)
        self._button(say("setup-button-save"), self._save, discord.ButtonStyle.success)

    def _button(self, text: str, click: Any, style: discord.ButtonStyle = discord.ButtonStyle.secondary) -> None:
        button: discord.ui.Button[SetupScreen] = discord.ui.Button(label=text, style=style, row=4)
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
        self._policy = with_next_preset(self._policy)
        await self._set(interaction)

    async def _next_language(self, interaction: discord.Interaction[Any]) -> None:
        self._chosen = with_next_language(self._chosen)
        self._request = self._request.after(self._chosen)
        await self._set(interaction)

    async def _next_warn(self, interaction: discord.Interaction[Any]) -> None:
        self._chosen = with_other_warning(self._chosen)
        await self._set(interaction)

    async def _preview(self, interaction: discord.Interaction[Any]) -> None:
        if (request := await checked_request(self._bot, interaction, COMMANDS["setup"])) is not None:
            await self._bot.conversation.explain.preview(request, self._policy)

    async def _save(self, interaction: discord.Interaction[Any]) -> None:
        """Saves the choices and posts a first card, so that the manager sees that cards arrive."""
        if (request := await checked_request(self._bot, interaction, COMMANDS["setup"])) is None:
            return
        setup = self._chosen.model_copy(update={"done": True, "learns": request.setup.learns})
        moved = setup.alert_room != request.setup.alert_room
        now = await self._bot.pipeline.policy(request.community)
        fields = ("hate", "offensive", "exempt_roles", "exempt_rooms")
        policy = now.model_copy(update={name: getattr(self._policy, name) for name in fields})
        if why_not := await _why_not(request, setup, policy, now):
            await request.tell(why_not)
            return
        await self._bot.pipeline.set_policy(request.community, policy)
        await self._bot.save_setup(request.guild, setup)
        after = request.after(setup)
        mode = "enforce" if policy.mode is Mode.ENFORCE else "shadow"
        text = after.say("setup-saved", mode=mode)
        if setup.alert_room and moved and (why := await _first_card(after)):
            text = after.say("setup-test-failed", room=after.reply.room(setup.alert_room), why=why)
        elif not setup.alert_room:
            text = Markup(f"{text} {after.say('status-no-alerts')}")
        await after.tell(text)


async def _why_not(request: DiscordRequest, setup: Setup, policy: Policy, now: Policy) -> Markup | None:
    """Returns why the choices cannot be saved; None where they can. A manager cannot give more rights than they have,
    and a channel in which members write does not silently become the channel for cards, which is not read."""
    acts_otherwise = (policy.hate, policy.offensive) != (now.hate, now.offensive)
    if acts_otherwise and (too_much := request.beyond(request.lacks(policy))):
        return too_much
    gives_away = setup.moderator_roles - request.setup.moderator_roles
    if gives_away and (too_much := request.beyond(request.lacks_rights(frozenset(LENT)))):
        return too_much
    room, left_alone = setup.alert_room, {"", request.setup.alert_room, *policy.exempt_rooms}
    if room not in left_alone and await request.bot.store.has_messages(PLATFORM, request.community, room):
        return request.say("setup-room-is-read", room=request.reply.room(room))
    return None


async def _first_card(request: DiscordRequest) -> str:
    """Posts a first card into the chosen channel; returns why that was not possible."""
    room = request.guild.get_channel(int(request.setup.alert_room))
    if not isinstance(room, Readable):
        return request.say("no-message")
    try:
        async with refusals(request.guild, "send_messages", room.id):
            await room.send(embed=discord.Embed(description=request.say("setup-test-card"), colour=0x2E7D32))
    except MissingPermission as error:
        return error.why.text(request.language)
    except (Gone, RateLimited, Unreachable) as error:
        return str(error)
    return ""


def _channels(ids: Any) -> list[discord.SelectDefaultValue]:
    kind = discord.SelectDefaultValueType.channel
    return [discord.SelectDefaultValue(id=int(one), type=kind) for one in ids if one][:MOST]


def _roles(ids: Any) -> list[discord.SelectDefaultValue]:
    kind = discord.SelectDefaultValueType.role
    return [discord.SelectDefaultValue(id=int(one), type=kind) for one in ids if one][:MOST]
