"""What managers decide: mode, policy, whether corrections teach."""

from typing import TYPE_CHECKING, Any

import discord
from pydantic import ValidationError

from bot.conversation.wording import policy_lines
from bot.domain.policy import Mode, Policy, Preset, with_preset, with_section
from bot.platforms.discord.asking import Asked, ask
from bot.platforms.discord.events import PLATFORM, community_of
from bot.platforms.discord.who_may import DEEDS, beyond
from bot.text.language import Language, say
from bot.text.validation import first_problem
from model.labels import LABELS, Label

if TYPE_CHECKING:
    from bot.platforms.discord.service import Discord


async def change_mode(asked: Asked, mode: Mode) -> None:
    """Shadow or enforce, from the next decision on."""
    policy = await asked.bot.pipeline.policy(asked.community)
    if too_much := asked.is_too_much(beyond(asked.member, policy.model_copy(update={"mode": mode}))):
        await asked.tell(too_much)
        return
    await asked.bot.pipeline.set_mode(asked.community, mode)
    await asked.bot.changed(asked.guild)
    await asked.tell(asked.say(f"mode-set-{mode}"))


async def change_policy(
    asked: Asked,
    preset: Preset | None,
    label: str | None,
    alert: int | None,
    act: int | None,
    actions: str | None,
) -> None:
    """Changes what is given, then says how it stands."""
    policy = await asked.bot.pipeline.policy(asked.community)
    if preset is not None:
        policy = with_preset(policy, preset)
    if (alert, act, actions) != (None, None, None):
        if label is None:
            await asked.tell(asked.say("policy-which-label"))
            return
        try:
            policy = with_section(policy, Label(label), alert, act, actions)
        except ValidationError as error:
            await asked.tell(asked.say("policy-bad", error=first_problem(error)))
            return
    if (preset, alert, act, actions) != (None, None, None, None):
        if too_much := asked.is_too_much(beyond(asked.member, policy)):
            await asked.tell(too_much)
            return
        await asked.bot.pipeline.set_policy(asked.community, policy)
        await asked.bot.changed(asked.guild)
    await asked.tell("\n".join(policy_lines(policy, asked.language, left_alone(policy))))


def left_alone(policy: Policy) -> str:
    """Exempt roles and channels, as Discord shows them."""
    alone = [f"<@&{role}>" for role in sorted(policy.exempt_roles)]
    return ", ".join([*alone, *(f"<#{room}>" for room in sorted(policy.exempt_rooms))])


async def learning(asked: Asked) -> None:
    """Whether corrections teach here and why; managers may change it and write examples."""
    lines = [learning_line(asked), asked.say("learning-examples")]
    view = None
    if asked.level >= DEEDS["learning: write an example"]:
        view = LearningView(asked)
    await asked.tell("\n".join(lines), **({"view": view} if view else {}))


def learning_line(asked: Asked) -> str:
    """One sentence."""
    if asked.bot.basis(asked.setup):
        return asked.say("learning-on", reference=asked.bot.access.permission)
    why = "learning-why-server" if asked.bot.access.permission else "learning-why-operator"
    return asked.say("learning-off", why=asked.say(why))


class LearningView(discord.ui.View):
    """Buttons under the answer to /learning, for a quarter of an hour."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(timeout=900)
        self._bot: Discord = asked.bot
        if asked.level >= DEEDS["learning: on, off"] and asked.bot.access.permission:
            on = not asked.setup.learns
            name = "learning-button-on" if on else "learning-button-off"
            toggle: discord.ui.Button[LearningView] = discord.ui.Button(label=asked.say(name))
            toggle.callback = self._toggle  # type: ignore[method-assign]
            self.add_item(toggle)
        write: discord.ui.Button[LearningView] = discord.ui.Button(label=asked.say("learning-button-example"))
        write.callback = self._write  # type: ignore[method-assign]
        self.add_item(write)

    async def _toggle(self, interaction: discord.Interaction[Any]) -> None:
        if (asked := await ask(self._bot, interaction, DEEDS["learning: on, off"])) is None:
            return
        setup = asked.setup.model_copy(update={"learns": not asked.setup.learns})
        await self._bot.save_setup(asked.guild, setup)
        await asked.tell(asked.say("learning-changed-on" if setup.learns else "learning-changed-off"))

    async def _write(self, interaction: discord.Interaction[Any]) -> None:
        setup = await self._bot.setup(community_of(interaction.guild_id or 0))
        await interaction.response.send_modal(ExampleForm(self._bot, setup.language))


class ExampleForm(discord.ui.Modal):
    """A text and what it is, typed by a manager to teach with."""

    def __init__(self, bot: "Discord", language: Language) -> None:
        super().__init__(title=say(language, "learning-example-title"), timeout=900)
        self._bot = bot
        style = discord.TextStyle.paragraph
        self.text: discord.ui.TextInput[ExampleForm] = discord.ui.TextInput(
            label=say(language, "learning-example-text"), style=style, max_length=2000, custom_id="text"
        )
        options = [discord.SelectOption(label=say(language, f"label-{label}"), value=label) for label in LABELS]
        self.label: discord.ui.Select[ExampleForm] = discord.ui.Select(options=options, custom_id="label")
        self.add_item(self.text)
        self.add_item(discord.ui.Label(text=say(language, "learning-example-label"), component=self.label))

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Checked again: a form stays open for a while."""
        if (asked := await ask(self._bot, interaction, DEEDS["learning: write an example"])) is None:
            return
        label = Label(self.label.values[0])
        await self._bot.case_service.example(asked.community, PLATFORM, asked.moderator, self.text.value, label)
        await asked.tell(asked.say("learning-example-done", label=asked.say(f"label-{label}")))
