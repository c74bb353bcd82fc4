"""What a click on a card does."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import structlog

from bot.cases.card import explained
from bot.cases.service import Outcome
from bot.domain.action import Delete
from bot.domain.case import Case
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.pipeline.question_lane import SILENT, why_silent
from bot.platforms.discord.acting import refusals
from bot.platforms.discord.asking import ALREADY_ANSWERED, Asked, ask
from bot.platforms.discord.buttons import CaseButton, DigestButton
from bot.platforms.discord.events import PLATFORM, channel_of
from bot.platforms.discord.inert import block, inline
from bot.platforms.discord.layout import buttons, embed
from bot.platforms.discord.may_read import Readable
from bot.platforms.discord.who_may import BUTTONS, Level, beyond, beyond_undo
from bot.text.language import Language, language_of, say
from model.labels import LABELS, Label

if TYPE_CHECKING:
    from bot.platforms.discord.service import Discord

log = structlog.get_logger()

STYLE: Mapping[Label, discord.ButtonStyle] = {
    Label.HATE: discord.ButtonStyle.danger,
    Label.OFFENSIVE: discord.ButtonStyle.primary,
    Label.NEUTRAL: discord.ButtonStyle.success,
}


class Clicks:
    """Answers clicks; each is checked anew, whoever the card was posted for."""

    def __init__(self, bot: "Discord") -> None:
        self._bot = bot

    async def case(self, interaction: discord.Interaction[Any], verb: str, number: int, argument: str) -> None:
        """One of a case's buttons."""
        try:
            if (asked := await ask(self._bot, interaction, BUTTONS.get(verb, Level.MANAGER))) is None:
                return
            if (case := await case_of(asked, number)) is None:
                await asked.tell(asked.say("no-case", case=str(number)))
                return
            if not await asked.may_read(case.message.key):
                await asked.tell(asked.say("case-hidden"))
                return
            lifts = verb == "undo" or (verb == "label" and argument == Label.NEUTRAL)
            if lifts and (too_much := asked.is_too_much(beyond_undo(asked.member, case, asked.setup))):
                await asked.tell(too_much)
                return
            await self._answer(asked, case, verb, argument)
        except Exception:
            log.exception("click failed", verb=verb, case=number)
            await broken(interaction)

    async def digest(self, interaction: discord.Interaction[Any], first: int) -> None:
        """The next open case of the digest whose first case this is."""
        try:
            if (asked := await ask(self._bot, interaction, BUTTONS["digest"])) is None:
                return
            card = await self._bot.store.cards.of(first)
            numbers = await self._bot.store.cards.cases_of(PLATFORM, card.room, card.message or "") if card else []
            found = [case for number in numbers if (case := await case_of(asked, number)) is not None]
            waiting = [case for case in found if case.state == "open" and await asked.may_read(case.message.key)]
            if not waiting:
                await asked.tell(asked.say("digest-through"))
                return
            shown = await self._bot.case_service.card(waiting[0], asked.language)
            view = buttons(shown)
            if len(waiting) > 1:
                view.add_item(DigestButton(first, text=asked.say("button-next")))
            text = asked.say("digest-left", count=len(waiting) - 1) if len(waiting) > 1 else ""
            await asked.tell(text, embed=embed(shown, waiting[0], asked.language), view=view)
        except Exception:
            log.exception("click failed", verb="digest")
            await broken(interaction)

    async def resume(self, interaction: discord.Interaction[Any]) -> None:
        """A moderator tells the bot to go on although the hourly cap was reached."""
        try:
            if (asked := await ask(self._bot, interaction, BUTTONS["resume"])) is None:
                return
            policy = await self._bot.pipeline.policy(asked.community)
            if too_much := asked.is_too_much(beyond(asked.member, policy, asked.setup)):
                await asked.tell(too_much)
                return
            resumed = await self._bot.pipeline.resume(asked.community)
            await asked.tell(asked.say("notice-cap-resumed" if resumed else "resume-not-paused"))
        except Exception:
            log.exception("click failed", verb="resume")
            await broken(interaction)

    async def _answer(self, asked: Asked, case: Case, verb: str, argument: str) -> None:
        case_service = self._bot.case_service
        match verb:
            case "right":
                await self._outcome(asked, await case_service.confirm(case, asked.moderator))
            case "wrong":
                view = discord.ui.View(timeout=None)
                for label in LABELS:
                    if label != case.message.decision["label"]:
                        text = asked.say(f"label-{label}")
                        view.add_item(CaseButton("label", case.id, str(label), text=text, style=STYLE[label]))
                view.stop()
                await asked.tell(asked.say("which-label"), view=view)
            case "label" if argument in list(LABELS):
                await self._outcome(asked, await case_service.correct(case, asked.moderator, Label(argument)))
            case "undo":
                await self._outcome(asked, await case_service.undo(case, asked.moderator))
            case "explain":
                await explain(asked, case)
            case "back":
                await self._post_back(asked, case)
            case _:
                await asked.tell(asked.say("no-case", case=str(case.id)))

    async def _outcome(self, asked: Asked, outcome: Outcome) -> None:
        """What came of it; where a deletion cannot be undone, the text can be posted back."""
        text = outcome.text(asked.language)
        if any(isinstance(action, Delete) for action in outcome.back.kept) and outcome.case.message.text:
            view = discord.ui.View(timeout=None)
            view.add_item(CaseButton("back", outcome.case.id, text=asked.say("button-back")))
            view.stop()
            await asked.tell(text, view=view)
        else:
            await asked.tell(text)

    async def _post_back(self, asked: Asked, case: Case) -> None:
        """The removed text as a quote in its channel, once."""
        channel = asked.guild.get_channel_or_thread(channel_of(case.message.key.room))
        if not isinstance(channel, Readable) or not case.message.text:
            await asked.tell(asked.say("text-forgotten"))
            return
        if not await self._bot.store.record_posted_back(case.id):
            await asked.tell(asked.say("outcome-posted-before"))
            return
        author = f"<@{case.author.id}>" if case.author.id.isdecimal() else inline(case.author.name)
        text = f"{asked.say('posted-back', author=author)}\n{block(case.message.text, asked.language, 1700)}"
        try:
            async with refusals(asked.guild, "send_messages", channel.id):
                await channel.send(text, nonce=f"back-{case.id}")
        except (MissingPermission, Gone, RateLimited, Unreachable) as error:  # asked again it is not posted twice
            await self._bot.store.record_not_posted_back(case.id)
            why = error.why.text(asked.language) if isinstance(error, MissingPermission) else str(error)
            await asked.tell(asked.say("outcome-not-posted-back", error=why))
        else:
            await asked.tell(asked.say("outcome-posted-back"))


async def case_of(asked: Asked, number: int) -> Case | None:
    """A case of this server; another server's is as good as none, and so is one from a linked group elsewhere."""
    case = await asked.bot.store.case(number)
    if case is None or (case.message.key.platform, case.message.key.community) != (PLATFORM, asked.community):
        return None
    return case


async def explain(asked: Asked, case: Case) -> None:
    """Why the message of a case got its label."""
    if not (case.message.text or case.message.quoted):
        await asked.tell(asked.say("text-forgotten"))
        return
    try:
        found = await asked.bot.case_service.explain_case(case, asked.asker, asked.may_read)
    except SILENT as error:
        await asked.tell(why_silent(asked.language, error))
        return
    lines, quoted = explained(found, case.message.decision, asked.language)
    await asked.tell(explanation(lines, quoted))


def explanation(lines: list[str], quoted: list[tuple[str, str]]) -> str:
    """As one message: our sentences, then each quoted piece inert."""
    return "\n".join([*lines, *(f"{said} {inline(text, 120)}" for said, text in quoted)])


async def broken(interaction: discord.Interaction[Any], language: Language | None = None) -> None:
    """The last word when something of ours failed; never raises."""
    text = say(language or language_of(str(interaction.guild_locale or interaction.locale)), "broken")
    try:
        if not interaction.response.is_done():
            try:
                await interaction.response.send_message(text, ephemeral=True)
                return
            except discord.HTTPException as error:
                if error.code != ALREADY_ANSWERED:
                    raise
        await interaction.edit_original_response(content=text)
    except (discord.DiscordException, OSError, aiohttp.ClientError) as error:
        log.warning("nothing could be answered", error=str(error))
