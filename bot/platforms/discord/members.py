"""What every member may do: report, and know and decide about their own data."""

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot.conversation.my_data import FILE, as_json
from bot.pipeline.question_lane import SILENT, why_silent
from bot.pipeline.rate_limit import RateLimit
from bot.platforms.discord.asking import Asked, ask, fetched
from bot.platforms.discord.events import PLATFORM, event_of, room_of
from bot.platforms.discord.settings import learning_line
from bot.platforms.discord.translations import described
from bot.platforms.discord.who_may import COMMANDS

if TYPE_CHECKING:
    from bot.platforms.discord.service import Discord

Click = discord.Interaction[Any]
REPORTS, REPORTS_WITHIN_S = 3, 600.0
ALL_CASES = 10_000


def add_members_commands(tree: app_commands.CommandTree[Any], bot: "Discord") -> None:
    """/report, /privacy, /mydata and the menu's entry."""
    rate_limit = RateLimit(REPORTS, REPORTS_WITHIN_S)

    @tree.command(name="report", description=described("command-report"))
    @app_commands.describe(message=described("command-report-message"))
    async def report_command(interaction: Click, message: str) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["report"])) is not None:
            await report(asked, rate_limit, await fetched(asked, message))

    @tree.context_menu(name=described("command-context-report"))
    async def report_menu(interaction: Click, message: discord.Message) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["Report to moderators"])) is not None:
            await report(asked, rate_limit, message)

    @tree.command(name="privacy", description=described("command-privacy"))
    async def privacy_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["privacy"])) is not None:
            await asked.tell(asked.say("privacy", days=bot.access.retention_days, learning=learning_line(asked)))

    mydata = app_commands.Group(name="mydata", description=described("command-mydata"))

    @mydata.command(name="export", description=described("command-mydata-export"))
    async def export_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["mydata export"])) is not None:
            await export(asked)

    @mydata.command(name="erase", description=described("command-mydata-erase"))
    async def erase_command(interaction: Click) -> None:
        if (asked := await ask(bot, interaction, COMMANDS["mydata erase"])) is not None:
            await erase(asked)

    tree.add_command(mydata)


async def report(asked: Asked, rate_limit: RateLimit, message: discord.Message | None) -> None:
    """The moderators get a card, whatever the model thinks."""
    if message is None:
        await asked.tell(asked.say("no-message"))
    elif asked.setup.shows_cards_in(room_of(message.channel.id, getattr(message.channel, "parent_id", None))):
        await asked.tell(asked.say("report-board"))
    elif message.author.id == asked.member.id:
        await asked.tell(asked.say("report-own"))
    elif (
        event := event_of(message, asked.setup.moderator_roles, wordless=True)
    ) is None or message.author.id == asked.guild.me.id:
        await asked.tell(asked.say("report-nothing"))
    elif not rate_limit.take(asked.pseudonym):
        await asked.tell(asked.say("report-too-many", count=REPORTS))
    else:
        try:
            case = await asked.bot.case_service.report(event, asked.pseudonym, datetime.now(UTC))
        except SILENT as error:
            await asked.tell(why_silent(asked.language, error))
        else:
            await asked.tell(asked.say("report-thanks", case=case.id))


async def erase(asked: Asked) -> None:
    """The texts go from the store, and from the cards that quote them."""
    quoted = await asked.bot.store.history(asked.community, asked.pseudonym, limit=ALL_CASES)
    count = await asked.bot.store.mine.erase(asked.pseudonym, asked.community, datetime.now(UTC))
    for case in quoted:
        asked.bot.delivery.show(case.id)
    await asked.tell(asked.say("mydata-erased", count=count))


async def export(asked: Asked) -> None:
    """Every text of whoever asks that is kept, as a file."""
    rows = await asked.bot.store.mine.export(asked.pseudonym, asked.community)
    if not rows:
        await asked.tell(asked.say("mydata-none"))
        return
    data = as_json(PLATFORM, asked.community, rows)
    file = discord.File(io.BytesIO(data), filename=FILE)
    await asked.tell(asked.say("mydata-export", count=len(rows)), attachments=[file])
