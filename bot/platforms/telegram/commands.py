"""The commands. Each asks whether it may, then asks the desk."""

import html
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError
from telegram import InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, Forbidden, TelegramError

from bot.cases.card import explained, probabilities
from bot.conversation.my_data import FILE, as_json
from bot.conversation.wording import counts_line, mode_line, policy_lines
from bot.domain.event import Author, Message, MessageKey
from bot.domain.platform import Unreachable
from bot.domain.policy import PRESETS, Mode, with_preset, with_section
from bot.pipeline.question_lane import SILENT, AskLater, why_silent
from bot.pipeline.rate_limit import RateLimit
from bot.platforms.telegram.asking import Asked, Json, ask
from bot.platforms.telegram.clicks import explain, explanation
from bot.platforms.telegram.events import PLATFORM, event_of, in_group, text_of
from bot.platforms.telegram.layout import block, card_text, keyboard
from bot.platforms.telegram.who_may import COMMANDS, DEEDS, Right, beyond
from bot.store.store import decision_json
from bot.text.inert import one_line
from bot.text.validation import first_problem
from model.labels import HARMFUL, LABELS, Label

if TYPE_CHECKING:
    from bot.platforms.telegram.service import Telegram

log = structlog.get_logger()
REPORTS, REPORTS_WITHIN_S = 3, 600.0
REFUSED_AGAIN_S = 10.0
COMMANDS_A_MINUTE = 60
"""Of one person; later ones are not answered, so that the answers are not in the way of everybody else's."""
LONGEST_LIST = 1000
_MARKED = re.compile(r"\*\*([^*`]+)\*\*|`([^`]+)`")
_COMMAND = re.compile(r"/([a-z]+)(?:@(\w+))?(?:\s+(.*))?", re.DOTALL)


def command_of(message: Json, username: str) -> tuple[str, str] | None:
    """(command, what follows it) if the message is one of ours, addressed to nobody else."""
    found = _COMMAND.fullmatch(str(message.get("text") or "").strip())
    if found is None or (found[2] or username).casefold() != username.casefold():
        return None
    return (found[1], (found[3] or "").strip()) if found[1] in COMMANDS else None


class Commands:
    """Carries them out."""

    def __init__(self, bot: "Telegram") -> None:
        self._bot = bot
        self._rate_limit = RateLimit(REPORTS, REPORTS_WITHIN_S)
        self._commands = RateLimit(COMMANDS_A_MINUTE, 60.0)
        self._refusals = RateLimit(1, REFUSED_AGAIN_S)
        self._known: dict[str, Callable[[Asked, str], Awaitable[None]]] = {
            name: getattr(self, f"_{name}") for name in COMMANDS if hasattr(self, f"_{name}")
        }

    async def run(self, name: str, rest: str, message: Json, chat: int | None = None) -> None:
        """A command as it was typed, about `chat` where that is not the chat it stands in."""
        if not self._commands.take(str((message.get("sender_chat") or message.get("from") or {}).get("id"))):
            log.info("a command is not answered: too many of one person", command=name)
            return
        needed = DEEDS.get(f"{name} …" if rest and name == "policy" else name) or COMMANDS.get(name, Right(0))
        asked = await ask(self._bot, message, chat, fresh=needed is Right.MANAGE)
        if asked is None:
            return
        if not asked.may(needed):
            await asked.tell(asked.refusal(needed), payload=f"{name}_{asked.chat}")
            return
        work = self._known.get(name)
        if work is None:
            await self._bot.private.show(asked)
            return
        try:
            await work(asked, rest)
        except (Unreachable, TelegramError):
            raise
        except Exception:
            log.exception("command failed", command=name)
            await asked.tell(asked.say("broken"))

    async def forwarded(self, message: Json) -> None:
        """A message that somebody forwarded to the bot alone: explained from its text."""
        asked = await ask(self._bot, message)
        if asked is None:
            return
        if not asked.may(DEEDS["explain …"]):
            await asked.tell(asked.refusal(DEEDS["explain …"]))
            return
        await self._explain_text(asked, text_of(message))

    async def _explain(self, asked: Asked, rest: str) -> None:
        """The message it answers, or one by its number."""
        # elsewhere the number of the message that is answered names another message of the group, or none
        answered = (asked.message.get("reply_to_message") if asked.where == asked.chat else None) or {}
        number = int(rest) if rest.isdecimal() and len(rest) < 16 else answered.get("message_id")
        if number is None:
            await asked.tell(asked.say("telegram-reply-to-explain"), payload=f"explain_{asked.chat}")
            return
        if number != answered.get("message_id"):
            answered = {}
        address = (PLATFORM, asked.community, f"{asked.chat}:{number}")
        own = bool(asked.user) and (answered.get("from") or {}).get("id") == asked.user
        known = await self._bot.store.journalled(*address)
        own = own or (known is not None and bool(asked.user) and known.author == asked.pseudonym)
        moderates = asked.may(DEEDS["explain …"])
        if not moderates and not own:
            await asked.tell(asked.refusal(DEEDS["explain …"]), payload=f"explain_{asked.chat}_{number}")
            return
        case = await self._bot.store.case_of(*address)
        if case is not None and moderates:
            await explain(asked, case)
        elif text := (known.text if known is not None else "") or text_of(answered):
            await self._explain_text(asked, text)
        else:
            await asked.tell(asked.say("explain-nothing" if answered else "telegram-no-message"))

    async def _test(self, asked: Asked, rest: str) -> None:
        if not rest:
            await asked.tell(asked.say("telegram-test-how"), payload=f"test_{asked.chat}")
            return
        await self._explain_text(asked, rest, quoted=True)

    async def _explain_text(self, asked: Asked, text: str, *, quoted: bool = False) -> None:
        key = MessageKey(PLATFORM, asked.community, str(asked.chat), "test")
        event = Message(key, Author(str(asked.user), asked.name), text, datetime.now(UTC))
        if not text:
            await asked.tell(asked.say("explain-nothing"))
            return
        try:
            others = asked.may(DEEDS["explain …"])
            judged, found = await self._bot.case_service.explain(event, asked.asker, asked.may_read, others=others)
        except SILENT as error:
            await self._silent(asked, error)
            return
        lines, pieces = explained(found, decision_json(judged.decision), asked.language)
        lines.insert(0, probabilities(judged.verdict.probabilities, asked.language) + ".")
        first = block(text, asked.language, 800) + "\n" if quoted else ""
        await asked.tell(first + explanation(lines, pieces))

    async def _silent(self, asked: Asked, error: Exception) -> None:
        """Why there is no answer; said once in a while to who asks again and again."""
        if not isinstance(error, AskLater) or self._refusals.take(asked.asker.person):
            await asked.tell(html.escape(why_silent(asked.language, error)))

    async def _status(self, asked: Asked, _: str) -> None:
        policy = await self._bot.pipeline.policy(asked.community)
        counts = await self._bot.store.counts(asked.community, datetime.now(UTC) - timedelta(days=1))
        missing = await self._bot.check(asked.chat)
        adapter = self._bot.adapter_of(asked.community)
        lines = [
            f"<b>{html.escape(asked.say('status-title', server=self._bot.groups.title(asked.chat)))}</b>",
            bold(mode_line(policy, asked.language, is_paused=self._bot.pipeline.cap.is_paused(asked.community))),
            html.escape(asked.say("status-model", adapter=adapter)),
            counts_line(counts, asked.language),
            asked.say("telegram-alerts" if self._bot.has_cards(asked.setup) else "telegram-no-alerts"),
        ]
        circuit_breaker = self._bot.circuit_breaker
        found = (
            self._bot.pipeline.trouble,
            self._bot.trouble,
            circuit_breaker.trouble(),
            circuit_breaker.trouble(asked.community),
        )
        troubles = [one for one in found if one is not None]
        lines += [html.escape(asked.say("status-trouble", text=one.text(asked.language))) for one in troubles]
        lines += [f"⚠️ {html.escape(one.text(asked.language))}" for one in self._bot.health.notices(asked.community)]
        lines += [f"⚠️ {html.escape(one.text(asked.language))}" for one in missing]
        if not missing:
            lines.append(asked.say("status-rights-fine"))
        await asked.tell("\n".join(lines), payload=f"status_{asked.chat}")

    async def _mode(self, asked: Asked, rest: str) -> None:
        if rest not in list(Mode):
            await asked.tell(asked.say("telegram-mode-how"), payload=f"mode_{asked.chat}")
            return
        policy = await self._bot.pipeline.policy(asked.community)
        if too_much := asked.is_too_much(beyond(asked.rights, policy.model_copy(update={"mode": Mode(rest)}))):
            await asked.tell(too_much)
            return
        await self._bot.pipeline.set_mode(asked.community, Mode(rest))
        await asked.tell(bold(asked.say(f"mode-set-{rest}")), payload=f"status_{asked.chat}")

    async def _policy(self, asked: Asked, rest: str) -> None:
        """`/policy`, `/policy strict`, `/policy hate 60 90 delete, warn`."""
        policy = await self._bot.pipeline.policy(asked.community)
        words = rest.split(maxsplit=3)
        preset = next((name for name in PRESETS if words == [name]), None)
        try:
            if preset is not None:
                policy = with_preset(policy, preset)
            elif words and words[0] in [str(label) for label in HARMFUL]:
                alert, act = (int(word) if word.isdecimal() else -1 for word in [*words[1:3], "", ""][:2])
                if min(alert, act) < 0:
                    raise ValueError
                actions = words[3] if len(words) > 3 else None
                policy = with_section(policy, Label(words[0]), alert, act, actions)
            elif words:
                raise ValueError
        except ValidationError as error:
            why = one_line(first_problem(error), 400)
            await asked.tell(html.escape(asked.say("policy-bad", error=why)))
            return
        except ValueError:
            await asked.tell(asked.say("telegram-policy-how"), payload=f"policy_{asked.chat}")
            return
        if words:
            if too_much := asked.is_too_much(beyond(asked.rights, policy)):
                await asked.tell(too_much)
                return
            await self._bot.pipeline.set_policy(asked.community, policy)
        alone = one_line(", ".join(sorted(policy.exempt_rooms)), LONGEST_LIST)
        lines = policy_lines(policy, asked.language, alone)
        await asked.tell(bold("\n".join(lines)), payload=f"policy_{asked.chat}")

    async def _case(self, asked: Asked, rest: str) -> None:
        case = await self._bot.store.case(int(rest)) if rest.isdecimal() and len(rest) < 16 else None
        if case is None or not await asked.may_read(case.message.key):
            await asked.tell(
                asked.say("no-case", case=html.escape(one_line(rest, 16) or "?")), payload=f"case_{asked.chat}"
            )
            return
        card = await self._bot.case_service.card(case, asked.language)
        await asked.tell(card_text(card, case, asked.language), keyboard(card))

    async def _report(self, asked: Asked, _: str) -> None:
        """The message it answers goes to the moderators."""
        message = asked.message.get("reply_to_message") if in_group(asked.message) else None
        if message is None:
            await asked.tell(asked.say("telegram-reply-to-report"), payload=f"privacy_{asked.chat}")
            return
        if self._bot.groups.is_board(int(asked.message["chat"]["id"])):
            await asked.tell(asked.say("report-board"))
            return
        event = event_of(message, asked.community, await self._bot.moderators(asked.chat, message), wordless=True)
        if (message.get("from") or {}).get("id") in (asked.user, self._bot.api.id):
            await asked.tell(asked.say("report-own"))
        elif event is None:
            await asked.tell(asked.say("report-nothing"))
        elif not self._rate_limit.take(asked.pseudonym):
            await asked.tell(asked.say("report-too-many", count=REPORTS))
        else:
            try:
                case = await self._bot.case_service.report(event, asked.pseudonym, datetime.now(UTC))
            except SILENT as error:
                await self._silent(asked, error)
            else:
                await asked.tell(asked.say("report-thanks", case=case.id))

    async def _privacy(self, asked: Asked, _: str) -> None:
        days = self._bot.access.retention_days
        text = asked.say("privacy", days=days, learning=self._bot.learning_line(asked.setup))
        await asked.tell(bold(text), payload=f"privacy_{asked.chat}")

    async def _mydata(self, asked: Asked, rest: str) -> None:
        """`/mydata export`, `/mydata erase`, or buttons for both."""
        if not asked.user:
            await asked.tell(asked.say("telegram-not-anonymous"), payload=f"mydata_{asked.chat}")
        elif rest == "export":
            await self.export(asked)
        elif rest == "erase":
            await self.erase(asked)
        else:
            rows = [
                [InlineKeyboardButton(asked.say(f"telegram-mydata-{what}"), callback_data=f"mine:{asked.chat}:{what}")]
                for what in ("export", "erase")
            ]
            keyboard = InlineKeyboardMarkup(rows)
            await asked.tell(asked.say("telegram-mydata"), keyboard, payload=f"mydata_{asked.chat}", alone=True)

    async def export(self, asked: Asked) -> None:
        """Every text of whoever asks that is kept, as a file, sent to them alone."""
        rows = [row for own in asked.own for row in await self._bot.store.mine.export(*own)]
        if not rows:
            await asked.tell(asked.say("mydata-none"), payload=f"mydata_{asked.chat}")
            return
        data = as_json(PLATFORM, asked.community, rows)
        caption = asked.say("mydata-export", count=len(rows))
        try:
            await self._bot.api.send_file(asked.user, data, FILE, caption)
        except (Forbidden, BadRequest):  # they never wrote to the bot
            await asked.tell(asked.say("telegram-alone"), payload=f"mydata_{asked.chat}")
        except TelegramError as error:
            log.warning("copy not sent", error=error.message)
            await asked.tell(asked.say("broken"))

    async def erase(self, asked: Asked) -> None:
        """The texts go from the store, and from the cards that quote them."""
        count = 0
        for author, community in asked.own:
            quoted = await self._bot.store.history(community, author, limit=10_000)
            count += await self._bot.store.mine.erase(author, community, datetime.now(UTC))
            for case in quoted:
                self._bot.delivery.show(case.id)
        await asked.tell(asked.say("mydata-erased", count=count), payload=f"mydata_{asked.chat}")

    async def _consent(self, asked: Asked, rest: str) -> None:
        """Each author for their own texts, revocable: `/consent yes`, `/consent no`, or buttons."""
        if not asked.user:
            await asked.tell(asked.say("telegram-not-anonymous"), payload=f"consent_{asked.chat}")
        elif rest in ("yes", "no"):
            await self.consent(asked, rest == "yes")
        else:
            given = await self._bot.store.consents.basis(asked.community, asked.pseudonym) is not None
            what = "no" if given else "yes"
            button = InlineKeyboardButton(
                asked.say(f"telegram-consent-{what}"), callback_data=f"mine:{asked.chat}:{what}"
            )
            text = asked.say("telegram-consent-given" if given else "telegram-consent-none")
            buttons = InlineKeyboardMarkup([[button]])
            await asked.tell(text, buttons, payload=f"consent_{asked.chat}", alone=True)

    async def consent(self, asked: Asked, agreed: bool) -> None:
        """Recorded with its time: of who is in the group or has written there, about their own texts and nobody else's.
        Who has left can still take it back."""
        if agreed and not await self._is_author(asked):
            await asked.tell(asked.say("telegram-consent-stranger"), alone=True)
            return
        if agreed:
            await self._bot.store.consents.give(asked.community, asked.pseudonym, datetime.now(UTC))
        else:
            for author, community in asked.own:
                await self._bot.store.consents.withdraw(community, author, datetime.now(UTC))
        await asked.tell(asked.say("telegram-consent-given" if agreed else "telegram-consent-none"), alone=True)

    async def _is_author(self, asked: Asked) -> bool:
        """Whether there are or can be texts of whoever asks."""
        if asked.where == asked.chat or await self._bot.is_with(asked.chat, asked.user):
            return True
        return bool(await self._bot.store.written_in([(community, author) for author, community in asked.own]))

    async def _learning(self, asked: Asked, _: str) -> None:
        lines = [html.escape(self._bot.learning_line(asked.setup)), asked.say("telegram-learning-examples")]
        await asked.tell("\n".join(lines), payload=f"learning_{asked.chat}")

    async def _example(self, asked: Asked, rest: str) -> None:
        """`/example neutral you walnut`: a text that a moderator wrote to teach with."""
        label, _, text = rest.partition(" ")
        if label not in list(LABELS) or not text.strip() or not asked.user:
            await asked.tell(asked.say("telegram-example-how"), payload=f"learning_{asked.chat}")
            return
        await self._bot.case_service.example(asked.community, PLATFORM, asked.moderator, text.strip(), Label(label))
        await asked.tell(asked.say("learning-example-done", label=asked.say(f"label-{label}")))

    async def _link(self, asked: Asked, rest: str) -> None:
        """The code that Discord's /link showed: from now on both share one policy."""
        community = await self._bot.link_codes.redeem(rest)
        if community is None:
            await asked.tell(asked.say("telegram-link-bad"), payload=f"setup_{asked.chat}")
            return
        await self._bot.groups.link(asked.chat, community)
        await asked.tell(asked.say("telegram-linked"), payload=f"setup_{asked.chat}")

    async def _skip(self, asked: Asked, _: str) -> None:
        """In a topic: it is left alone from now on, or read again."""
        topic = asked.message.get("message_thread_id") if asked.message.get("is_topic_message") else None
        if topic is None:
            await asked.tell(asked.say("telegram-skip-how"), payload=f"policy_{asked.chat}")
            return
        room = f"{asked.chat}/{topic}"
        policy = await self._bot.pipeline.policy(asked.community)
        rooms = policy.exempt_rooms ^ {room}
        await self._bot.pipeline.set_policy(asked.community, policy.model_copy(update={"exempt_rooms": rooms}))
        await asked.tell(asked.say("telegram-skipped" if room in rooms else "telegram-read-again"))


def bold(text: str) -> str:
    """Our own texts mark words with ** and `; the rest is escaped."""
    return _MARKED.sub(
        lambda found: f"<b>{found[1]}</b>" if found[1] else f"<code>{found[2]}</code>", html.escape(text, quote=False)
    )
