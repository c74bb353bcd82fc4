"""Answers about cases: a card, a member's history, the buttons of cards and digests."""

from bot.cases.card import title
from bot.cases.service import CaseService, Outcome
from bot.conversation.context import Markup, RequestContext
from bot.conversation.explain import Explain
from bot.domain.action import Delete, action_text
from bot.domain.case import Case, CaseState
from bot.domain.platform import MissingPermission, PlatformError, Unreachable
from bot.pipeline.pipeline import Pipeline
from bot.store import Store
from model.labels import LABELS, Label

HISTORY_LINES = 12
LONGEST_NUMBER = 15


class CaseAnswers:
    """/case, /history, and every button below a card, a digest or a notice."""

    def __init__(self, store: Store, cases: CaseService, pipeline: Pipeline, explain: Explain) -> None:
        self._store = store
        self._cases = cases
        self._pipeline = pipeline
        self._explain = explain

    async def show(self, context: RequestContext, number: str) -> None:
        """A case's card."""
        case = await self.case(context, int(number)) if number.isdecimal() and len(number) <= LONGEST_NUMBER else None
        if case is None or not await context.may_read(case.message.key):
            named = number if number.isdecimal() else context.reply.quote(number, 16) if number else "?"
            await context.tell(context.say("no-case", case=named))
            return
        await context.reply.send_card(await self._cases.card(case, context.language), case)

    async def history(self, context: RequestContext, member: str, name: str = "") -> None:
        """Lists a member's cases, newest first; `member` is the id on the platform, "" for none."""
        if not member:
            await context.tell(context.say("how-history"))
            return
        cases = []
        for _, community in context.own:
            author = self._store.sealer.author(context.platform, community, member)
            cases += [
                one for one in await self._store.history(community, author) if await context.may_read(one.message.key)
            ]
        lines = [context.say("history-title", author=context.reply.person(member, name), count=len(cases))]
        lines += [self._history_line(context, case) for case in cases[:HISTORY_LINES]]
        await context.tell(*lines)

    async def case(self, context: RequestContext, number: int) -> Case | None:
        """Returns a case of this community on this platform, or None."""
        case = await self._store.case(number)
        if case is None or case.message.key.platform != context.platform:
            return None
        return case if case.message.key.community in [community for _, community in context.own] else None

    async def click(self, context: RequestContext, case: Case, verb: str, argument: str = "") -> None:
        """Handles one of a card's buttons. The platform has checked before whether the person may press it."""
        if not await context.may_read(case.message.key):
            await context.reply.note(context.say("case-hidden"))
            return
        lifts = verb == "undo" or (verb == "label" and argument == Label.NEUTRAL)
        if lifts and (too_much := context.beyond(context.lacks_to_undo(case))):
            await context.reply.note(too_much)
            return
        match verb:
            case "right":
                await self._outcome(context, await self._cases.confirm(case, context.moderator))
            case "wrong":
                await context.reply.send_labels(case)
            case "label" if argument in list(LABELS):
                await self._outcome(context, await self._cases.correct(case, context.moderator, Label(argument)))
            case "undo":
                await self._outcome(context, await self._cases.undo(case, context.moderator))
            case "explain":
                await self._explain.case(context, case)
            case "back":
                await context.reply.note(await self._post_back(context, case))
            case _:
                await context.reply.note(context.say("no-case", case=str(case.id)))

    async def next_of_digest(self, context: RequestContext, first: int) -> None:
        """The next open case of the digest whose first case this is."""
        card = await self._store.cards.of(first)
        numbers = await self._store.cards.cases_of(context.platform, card.room, card.message or "") if card else []
        waiting = [
            case
            for number in numbers
            if (case := await self.case(context, number)) is not None
            and case.state is CaseState.OPEN
            and await context.may_read(case.message.key)
        ]
        if not waiting:
            await context.reply.note(context.say("digest-through"))
            return
        shown = await self._cases.card(waiting[0], context.language)
        await context.reply.send_next(shown, waiting[0], first, len(waiting) - 1)

    async def resume(self, context: RequestContext) -> None:
        """A moderator tells the bot to go on although the hourly cap was reached."""
        policy = await self._pipeline.policy(context.community)
        if too_much := context.beyond(context.lacks(policy, with_lent=True)):
            await context.reply.note(too_much)
            return
        resumed = await self._pipeline.resume(context.community)
        await context.reply.note(context.say("notice-cap-resumed" if resumed else "resume-not-paused"))

    async def _outcome(self, context: RequestContext, outcome: Outcome) -> None:
        """Tells what the click came to; where a deletion cannot be undone, the text can be posted back."""
        keeps_deletion = any(isinstance(action, Delete) for action in outcome.back.kept)
        text = context.reply.ours(outcome.text(context.language))
        offers_back = keeps_deletion and bool(outcome.case.message.text)
        await context.reply.send_outcome(text, outcome.case, offers_back=offers_back)

    async def _post_back(self, context: RequestContext, case: Case) -> Markup:
        """Posts the removed text as a quote in its room, once; returns what came of it."""
        if not case.message.text:
            return context.say("text-forgotten")
        if not await self._store.record_posted_back(case.id):
            return context.say("outcome-posted-before")
        author = context.reply.person(case.author.id, case.author.name)
        quoted = context.reply.block(case.message.text, 1700)
        try:
            await context.post_back(case, Markup(f"{context.say('posted-back', author=author)}\n{quoted}"))
        except PlatformError as error:
            if (
                isinstance(error, Unreachable) and not context.posts_once
            ):  # the post may stand there, so it is not repeated
                return context.say("outcome-perhaps-posted-back", error=str(error))
            await self._store.record_not_posted_back(case.id)
            why = context.notice(error.why) if isinstance(error, MissingPermission) else str(error)
            return context.say("outcome-not-posted-back", error=why)
        return context.say("outcome-posted-back")

    def _history_line(self, context: RequestContext, case: Case) -> Markup:
        todo = case.decision.enforced_actions
        done = ", ".join(action_text(context.language, action) for action in todo)
        state = context.say(f"state-{case.state}") + (f" · {done}" if done else "")
        text = context.say("digest-line", title=title(case, context.language), state=state, case=case.id)
        link = context.reply.link(case)
        return Markup(f"{context.reply.moment(case.message.sent_at)} {text}{f' · {link}' if link else ''}")
