"""The slash commands and the entries in a message's menu. Each asks whether it may, then asks the conversation."""

from collections.abc import Iterable
from typing import Any

import discord
import structlog
from discord import app_commands

from bot.conversation.policy import RULES, PolicyChange
from bot.domain.policy import Mode
from bot.platforms.discord.bot import DiscordBot
from bot.platforms.discord.learning_screen import show_learning
from bot.platforms.discord.referred_message import ReferredMessage, fetched_message, reported_message
from bot.platforms.discord.reply import send_broken
from bot.platforms.discord.request import DiscordRequest, checked_request, still_manages
from bot.platforms.discord.setup_screen import SetupScreen
from bot.platforms.discord.translations import described
from bot.platforms.discord.who_may import COMMANDS, DEEDS
from model.kinds import KINDS
from model.labels import HARMFUL, LABELS
from model.presets import Preset

Click = discord.Interaction[Any]
log = structlog.get_logger()


def add_commands(tree: app_commands.CommandTree[Any], bot: DiscordBot) -> None:
    """All of them, on servers only."""
    _commands_about_messages(tree, bot)
    _moderators_commands(tree, bot)
    _managers_commands(tree, bot)
    _members_commands(tree, bot)
    for command in tree.get_commands():
        command.allowed_contexts = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
        command.allowed_installs = app_commands.AppInstallationType(guild=True, user=False)

    @tree.error
    async def failed(interaction: Click, error: app_commands.AppCommandError) -> None:
        log.error("command failed", command=interaction.command and interaction.command.name, exc_info=error)
        await send_broken(interaction)


def _commands_about_messages(tree: app_commands.CommandTree[Any], bot: DiscordBot) -> None:
    @tree.command(name="explain", description=described("command-explain"))
    @app_commands.describe(message=described("command-explain-message"))
    async def explain_command(interaction: Click, message: str) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["explain"])) is not None:
            await bot.conversation.explain.message(request, ReferredMessage(request, message))

    @tree.context_menu(name=described("command-context-explain"))
    async def explain_menu(interaction: Click, message: discord.Message) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["Explain"])) is not None:
            await bot.conversation.explain.message(request, ReferredMessage(request, str(message.id), message))

    @tree.command(name="report", description=described("command-report"))
    @app_commands.describe(message=described("command-report-message"))
    async def report_command(interaction: Click, message: str) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["report"])) is not None:
            await _report(request, await fetched_message(request, message))

    @tree.context_menu(name=described("command-context-report"))
    async def report_menu(interaction: Click, message: discord.Message) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["Report to moderators"])) is not None:
            await _report(request, message)


async def _report(request: DiscordRequest, message: discord.Message | None) -> None:
    if message is None:
        await request.tell(request.say("no-message"))
    else:
        await request.bot.conversation.report.message(request, reported_message(request, message))


def _moderators_commands(tree: app_commands.CommandTree[Any], bot: DiscordBot) -> None:
    @tree.command(name="test", description=described("command-test"))
    @app_commands.describe(text=described("command-test-text"))
    async def test_command(interaction: Click, text: app_commands.Range[str, 1, 4000]) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["test"])) is not None:
            await bot.conversation.explain.text(request, text)

    @tree.command(name="preview", description=described("command-preview"))
    async def preview_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["preview"])) is not None:
            await bot.conversation.explain.preview(request)

    @tree.command(name="status", description=described("command-status"))
    async def status_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["status"])) is not None:
            await bot.conversation.status.show(request)

    @tree.command(name="case", description=described("command-case"))
    @app_commands.describe(number=described("command-case-number"))
    async def case_command(interaction: Click, number: app_commands.Range[int, 1, 10**15]) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["case"])) is not None:
            await bot.conversation.cases.show(request, str(number))

    @tree.command(name="history", description=described("command-history"))
    @app_commands.describe(member=described("command-history-member"))
    async def history_command(interaction: Click, member: discord.User) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["history"])) is not None:
            await bot.conversation.cases.history(request, str(member.id))


def _choices(names: Iterable[str]) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=str(name), value=str(name)) for name in names]


def _managers_commands(tree: app_commands.CommandTree[Any], bot: DiscordBot) -> None:
    hint = app_commands.default_permissions(manage_guild=True)

    @tree.command(name="setup", description=described("command-setup"))
    @hint
    async def setup_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["setup"])) is not None:
            await SetupScreen.show(request)

    @tree.command(name="mode", description=described("command-mode"))
    @app_commands.describe(mode=described("command-mode-mode"))
    @hint
    async def mode_command(interaction: Click, mode: Mode) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["mode"])) is not None:
            await bot.conversation.policy.mode(request, mode)
            await bot.changed(request.guild)

    @tree.command(name="policy", description=described("command-policy"))
    @app_commands.describe(
        preset=described("command-policy-preset"),
        label=described("command-policy-label"),
        alert=described("command-policy-alert"),
        act=described("command-policy-act"),
        actions=described("command-policy-actions"),
        kind=described("command-policy-kind"),
        rule=described("command-policy-rule"),
    )
    @app_commands.choices(label=_choices(HARMFUL), kind=_choices(KINDS), rule=_choices(RULES))
    async def policy_command(
        interaction: Click,
        preset: Preset | None = None,
        label: str | None = None,
        alert: app_commands.Range[int, 1, 100] | None = None,
        act: app_commands.Range[int, 1, 100] | None = None,
        actions: str | None = None,
        kind: str | None = None,
        rule: str | None = None,
    ) -> None:
        change = PolicyChange(preset, label, alert, act, actions, kind, rule)
        is_change = change or (label, kind, rule) != (None, None, None)
        needed = DEEDS["policy …"] if is_change else COMMANDS["policy"]
        if (request := await checked_request(bot, interaction, needed)) is not None:
            await bot.conversation.policy.policy(request, change)
            await bot.changed(request.guild)

    @tree.command(name="skip", description=described("command-skip"))
    @hint
    async def skip_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["skip"])) is not None:
            await bot.conversation.policy.skip(request, request.room.rpartition("/")[2])

    @tree.command(name="example", description=described("command-example"))
    @app_commands.describe(label=described("command-example-label"), text=described("command-example-text"))
    @app_commands.choices(label=[app_commands.Choice(name=str(label), value=str(label)) for label in LABELS])
    @hint
    async def example_command(interaction: Click, label: str, text: app_commands.Range[str, 1, 2000]) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["example"])) is not None:
            await bot.conversation.learning.example(request, f"{label} {text}")

    @tree.command(name="link", description=described("command-link"))
    @hint
    async def link_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["link"])) is not None:
            still_allowed = lambda: still_manages(bot, request.guild.id, request.member.id)  # noqa: E731
            await request.tell(request.say("link-code", code=bot.link_codes.code(request.community, still_allowed)))


def _members_commands(tree: app_commands.CommandTree[Any], bot: DiscordBot) -> None:
    @tree.command(name="help", description=described("command-help"))
    async def help_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["help"])) is not None:
            await bot.conversation.help(request)

    @tree.command(name="learning", description=described("command-learning"))
    async def learning_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["learning"])) is not None:
            await show_learning(request)

    @tree.command(name="privacy", description=described("command-privacy"))
    async def privacy_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["privacy"])) is not None:
            await bot.conversation.privacy.show(request)

    @tree.command(name="consent", description=described("command-consent"))
    async def consent_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["consent"])) is not None:
            await bot.conversation.privacy.consent(request, "")

    mydata = app_commands.Group(name="mydata", description=described("command-mydata"))

    @mydata.command(name="export", description=described("command-mydata-export"))
    async def export_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["mydata export"])) is not None:
            await bot.conversation.privacy.mydata(request, "export")

    @mydata.command(name="erase", description=described("command-mydata-erase"))
    async def erase_command(interaction: Click) -> None:
        if (request := await checked_request(bot, interaction, COMMANDS["mydata erase"])) is not None:
            await bot.conversation.privacy.mydata(request, "erase")

    tree.add_command(mydata)
