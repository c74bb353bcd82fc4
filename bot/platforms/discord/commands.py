"""The slash commands and the entries in a message's menu. Each asks whether it may, then asks the desk."""

from typing import TYPE_CHECKING, Any

import discord
import structlog
from discord import app_commands

from bot.domain.policy import Mode, Preset
from bot.platforms.discord.asking import ask, still_manages
from bot.platforms.discord.clicks import broken
from bot.platforms.discord.members import add_members_commands
from bot.platforms.discord.moderating import explain_message, history, preview, show_case, status, test
from bot.platforms.discord.setting_up import SetupView
from bot.platforms.discord.settings import change_mode, change_policy, learning
from bot.platforms.discord.translations import described
from bot.platforms.discord.who_may import COMMANDS, DEEDS
from model.labels import Label

if TYPE_CHECKING:
    from bot.platforms.discord.service import Discord

Click = discord.Interaction[Any]
log = structlog.get_logger()


def add_commands(tree: app_commands.CommandTree[Any], bot: "Discord") -> None:
    """All of them, on servers only."""
    _moderators_commands(tree, bot)
    _managers_commands(tree, bot)
    add_members_commands(tree, bot)
    for command in tree.get_commands():
        command.allowed_contexts = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
        command.allowed_installs = app_commands.AppInstallationType(guild=True, user=False)

    @tree.error
    async def failed(interaction: Click, error: app_commands.AppCommandError) -> None:
        log.error("command failed", command=interaction.command and interaction.command.name, exc_info=error)
        await broken(interaction)


def _moderators_commands(tree: app_commands.CommandTree[Any], bot: "Discord") -> None:
    @tree.command(name="explain", description=described("command-explain"))
    @app_commands.describe(message=described("command-explain-message"))
    async def explain_command(interaction: Click, message: str) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["explain"])) is not None:
            await explain_message(asked, message)

    @tree.context_menu(name=described("command-context-explain"))
    async def explain_menu(interaction: Click, message: discord.Message) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["Explain"])) is not None:
            await explain_message(asked, str(message.id), message)

    @tree.command(name="test", description=described("command-test"))
    @app_commands.describe(text=described("command-test-text"))
    async def test_command(interaction: Click, text: app_commands.Range[str, 1, 4000]) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["test"])) is not None:
            await test(asked, text)

    @tree.command(name="preview", description=described("command-preview"))
    async def preview_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["preview"])) is not None:
            await preview(asked)

    @tree.command(name="status", description=described("command-status"))
    async def status_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["status"])) is not None:
            await status(asked)

    @tree.command(name="case", description=described("command-case"))
    @app_commands.describe(number=described("command-case-number"))
    async def case_command(interaction: Click, number: app_commands.Range[int, 1, 10**15]) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["case"])) is not None:
            await show_case(asked, number)

    @tree.command(name="history", description=described("command-history"))
    @app_commands.describe(member=described("command-history-member"))
    async def history_command(interaction: Click, member: discord.User) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["history"])) is not None:
            await history(asked, member)


def _managers_commands(tree: app_commands.CommandTree[Any], bot: "Discord") -> None:
    hint = app_commands.default_permissions(manage_guild=True)

    @tree.command(name="setup", description=described("command-setup"))
    @hint
    async def setup_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["setup"])) is not None:
            await SetupView.show(asked)

    @tree.command(name="mode", description=described("command-mode"))
    @app_commands.describe(mode=described("command-mode-mode"))
    @hint
    async def mode_command(interaction: Click, mode: Mode) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["mode"])) is not None:
            await change_mode(asked, mode)

    @tree.command(name="policy", description=described("command-policy"))
    @app_commands.describe(
        preset=described("command-policy-preset"),
        label=described("command-policy-label"),
        alert=described("command-policy-alert"),
        act=described("command-policy-act"),
        actions=described("command-policy-actions"),
    )
    @app_commands.choices(
        label=[app_commands.Choice(name=str(label), value=str(label)) for label in (Label.HATE, Label.OFFENSIVE)]
    )
    async def policy_command(
        interaction: Click,
        preset: Preset | None = None,
        label: str | None = None,
        alert: app_commands.Range[int, 1, 100] | None = None,
        act: app_commands.Range[int, 1, 100] | None = None,
        actions: str | None = None,
    ) -> None:
        changes = any(value is not None for value in (preset, label, alert, act, actions))
        needed = DEEDS["policy …"] if changes else COMMANDS["policy"]
        if (asked := await ask(bot, interaction, needed)) is not None:
            await change_policy(asked, preset, label, alert, act, actions)

    @tree.command(name="link", description=described("command-link"))
    @hint
    async def link_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["link"])) is not None:
            code = bot.link_codes.code(asked.community, lambda: still_manages(bot, asked.guild.id, asked.member.id))
            await asked.tell(asked.say("link-code", code=code))

    @tree.command(name="learning", description=described("command-learning"))
    async def learning_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["learning"])) is not None:
            await learning(asked)
