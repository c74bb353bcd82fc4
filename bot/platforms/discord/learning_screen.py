"""The screen of /learning: whether corrections teach, a switch for it, and a form for examples."""

from typing import Any

import discord

from bot.platforms.discord.bot import DiscordBot
from bot.platforms.discord.events import community_of
from bot.platforms.discord.request import DiscordRequest, checked_request
from bot.platforms.discord.who_may import DEEDS
from bot.text.language import Language, say
from model.labels import LABELS


async def show_learning(request: DiscordRequest) -> None:
    """Managers may change it and write examples."""
    if not request.may("learning: write an example"):
        await request.bot.conversation.learning.show(request)
        return
    lines = [request.learning_line(), request.say("learning-examples")]
    await request.reply.show("\n".join(lines), view=LearningView(request))


class LearningView(discord.ui.View):
    """Buttons under the answer to /learning, for a quarter of an hour."""

    def __init__(self, request: DiscordRequest) -> None:
        super().__init__(timeout=900)
        self._bot: DiscordBot = request.bot
        if request.may("learning: on, off") and request.bot.access.permission:
            on = not request.setup.learns
            name = "learning-button-on" if on else "learning-button-off"
            toggle: discord.ui.Button[LearningView] = discord.ui.Button(label=request.say(name))
            toggle.callback = self._toggle  # type: ignore[method-assign]
            self.add_item(toggle)
        write: discord.ui.Button[LearningView] = discord.ui.Button(label=request.say("learning-button-example"))
        write.callback = self._write  # type: ignore[method-assign]
        self.add_item(write)

    async def _toggle(self, interaction: discord.Interaction[Any]) -> None:
        if (request := await checked_request(self._bot, interaction, DEEDS["learning: on, off"])) is None:
            return
        setup = request.setup.model_copy(update={"learns": not request.setup.learns})
        await self._bot.save_setup(request.guild, setup)
        await request.tell(request.say("learning-changed-on" if setup.learns else "learning-changed-off"))

    async def _write(self, interaction: discord.Interaction[Any]) -> None:
        setup = await self._bot.setup(community_of(interaction.guild_id or 0))
        await interaction.response.send_modal(ExampleForm(self._bot, setup.language))


class ExampleForm(discord.ui.Modal):
    """A text and what it is, typed by a manager to teach with."""

    def __init__(self, bot: DiscordBot, language: Language) -> None:
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
        if (request := await checked_request(self._bot, interaction, DEEDS["learning: write an example"])) is None:
            return
        await self._bot.conversation.learning.example(request, f"{self.label.values[0]} {self.text.value}")
