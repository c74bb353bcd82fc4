"""Explains why a text got its label: of a case, of a message, of a typed text; and previews a policy."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime

from bot.cases.card import explanation_lines, probabilities
from bot.cases.service import CaseService
from bot.conversation.context import Markup, RequestContext
from bot.domain.action import action_text
from bot.domain.case import Case
from bot.domain.decision import Band
from bot.domain.event import Author, Message, MessageKey
from bot.domain.platform import MissingPermission, PlatformError
from bot.domain.policy import Policy
from bot.pipeline.question_lane import SILENT, AskLater, why_silent
from bot.pipeline.rate_limit import RateLimit
from bot.store import Store

PREVIEWED, PREVIEW_LINES = 200, 12
REFUSED_AGAIN_S = 10.0
OTHERS = "explain …"
"""The name of the right to explain others' messages in the platforms' tables."""


class Reference(ABC):
    """A message that a question is about, before it was fetched."""

    finds_all = True
    """Whether `fetch` finds every message that the asker may see."""

    @property
    @abstractmethod
    def number(self) -> str:
        """The platform's number of the message, as a message's key has it; "" where none was named."""

    @abstractmethod
    async def fetch(self) -> tuple[Message, bool] | None:
        """Returns (the message, whether the asker wrote it) as far as the asker may see it; None where it is not there.

        Its text is "" where it holds no words.
        """


class Silence:
    """Says why there is no answer; only once in a while to a person who asks again and again."""

    def __init__(self) -> None:
        self._refusals = RateLimit(1, REFUSED_AGAIN_S)

    async def tell(self, context: RequestContext, error: Exception) -> None:
        """One sentence."""
        is_first = context.shows_waiting or not isinstance(error, AskLater)
        if is_first or self._refusals.take(context.asker.person):
            await context.tell(context.reply.ours(why_silent(context.language, error)))


class Explain:
    """/explain, /test, /preview, and a card's own button."""

    def __init__(self, store: Store, cases: CaseService, silence: Silence) -> None:
        self._store = store
        self._cases = cases
        self._silence = silence

    async def message(self, context: RequestContext, reference: Reference) -> None:
        """Explains a message by its case where there is one, else reads it now. Members may ask about their own
        messages only."""
        if not reference.number:
            await context.tell(context.say("how-explain"))
            return
        address = (context.platform, context.community, reference.number)
        moderates, again = context.may(OTHERS), reference.number.rpartition(":")[2]
        case = await self._store.case_of(*address) if moderates else None
        if case and (case.message.text or case.message.quoted) and await context.may_read(case.message.key):
            await self.case(context, case)
            return
        journalled = await self._store.journalled(*address)
        fetched = await reference.fetch()
        is_own = (fetched is not None and fetched[1]) or (
            journalled is not None and journalled.author == context.pseudonym
        )
        if not moderates and not is_own:
            is_there = fetched is not None or not reference.finds_all
            is_there = is_there or (journalled is not None and await context.may_read(journalled.key))
            refused = context.reply.ours(context.refusal(OTHERS))
            await context.tell(refused if is_there else context.say("no-message"), again=again)
        elif fetched is not None and (fetched[0].text or fetched[0].quoted):
            await self._text(
                context, fetched[0], is_stored=journalled is not None and journalled.text == fetched[0].text
            )
        elif journalled is not None and journalled.text and await context.may_read(journalled.key):
            author = Author(context.person if is_own else "", context.name if is_own else "")
            await self._text(
                context, Message(journalled.key, author, journalled.text, journalled.sent_at), is_stored=True
            )
        else:
            await context.tell(context.say("explain-nothing" if fetched else "no-message"), again=again)

    async def text(self, context: RequestContext, text: str) -> None:
        """Explains a typed text; it is not kept."""
        if not text.strip():
            await context.tell(context.say("how-test"))
            return
        await self._text(context, _typed(context, text), is_stored=True, shows=text)

    async def forwarded(self, context: RequestContext, text: str) -> None:
        """Explains a message that a person forwarded to the bot."""
        if not context.may(OTHERS):
            await context.tell(context.reply.ours(context.refusal(OTHERS)))
        elif not text:
            await context.tell(context.say("explain-nothing"))
        else:
            await self._text(context, _typed(context, text), is_stored=True)

    async def case(self, context: RequestContext, case: Case) -> None:
        """Why the message of a case got its label."""
        if not (case.message.text or case.message.quoted):
            await context.tell(context.say("text-forgotten"))
            return
        try:
            explanation = await self._cases.explain_case(case, context.asker, context.may_read)
        except SILENT as error:
            await self._silence.tell(context, error)
            return
        await context.tell(*_lines(context, *explanation_lines(explanation, case.decision, context.language)))

    async def preview(self, context: RequestContext, policy: Policy | None = None) -> None:
        """Shows what the policy in force, or another one, would have made of the room's last messages."""
        try:
            room, events = await context.recent_messages(PREVIEWED)
        except MissingPermission as error:
            await context.tell(context.notice(error.why))
            return
        except PlatformError as error:
            await context.tell(context.say("not-answering", error=str(error)))
            return
        if not events:
            await context.tell(context.say("preview-none", room=room))
            return
        try:
            judged = await self._cases.preview(events, context.asker, policy)
        except SILENT as error:
            await self._silence.tell(context, error)
            return
        shown = [(event, one.decision) for event, one in judged if one.decision.band is not Band.CLEAR]
        acted = sum(decision.band is Band.ACTION for _, decision in shown)
        lines = [context.say("preview-title", count=len(events), room=room, cards=len(shown), acted=acted)]
        for event, decision in sorted(shown, key=lambda pair: -pair[1].score)[:PREVIEW_LINES]:
            actions = ", ".join(action_text(context.language, action) for action in decision.actions)
            label, score = context.say(f"label-{decision.label}"), round(100 * decision.score)
            line = context.say("preview-line", label=label, score=score, actions=actions)
            lines.append(Markup(f"{line} {context.reply.quote(event.text)}"))
        await context.tell(*lines)

    async def _text(self, context: RequestContext, event: Message, *, is_stored: bool, shows: str = "") -> None:
        try:
            judged, explanation = await self._cases.explain(
                event, context.asker, context.may_read, others=context.may(OTHERS)
            )
        except SILENT as error:
            await self._silence.tell(context, error)
            return
        shares = probabilities(judged.verdict.probabilities, context.language)
        lines = [context.reply.block(shows)] if shows else []
        lines += [] if is_stored else [context.say("explain-not-stored")]
        lines += [] if judged.decision.unread_script else [context.say("explain-verdict", probabilities=shares)]
        if language := judged.verdict.language:
            lines.append(context.say("explain-language", language=context.say("language-name", language=language)))
        lines += _lines(context, *explanation_lines(explanation, judged.decision, context.language))
        await context.tell(*lines)


def _lines(context: RequestContext, lines: list[str], quoted: list[tuple[str, str]]) -> list[Markup]:
    """Our sentences, then each quoted piece, inert."""
    pieces = [Markup(f"{context.reply.ours(sentence)} {context.reply.quote(text, 120)}") for sentence, text in quoted]
    return [*map(context.reply.ours, lines), *pieces]


def _typed(context: RequestContext, text: str) -> Message:
    """Makes the event of a text typed into a command, as if it had been written here."""
    key = MessageKey(context.platform, context.community, context.room, "test")
    return Message(key, Author(context.person, context.name), text, datetime.now(UTC))
