"""Whether all is well: mode, model, the last day, where cards go, what does not work."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from bot.conversation.context import Markup, RequestContext
from bot.domain.policy import Mode, Policy
from bot.pipeline.pipeline import Pipeline
from bot.store import Store
from bot.text.language import Language, say

MOST_MISSING = 10
"""So many missing rights are named; the others are counted."""


class Status:
    """/status."""

    def __init__(self, store: Store, pipeline: Pipeline, languages: Collection[str] = frozenset()) -> None:
        self._store = store
        self._pipeline = pipeline
        self._languages = languages

    async def show(self, context: RequestContext) -> None:
        """Everything a moderator needs to know whether all is well."""
        community, language = context.community, context.language
        policy = await self._pipeline.policy(community)
        counts = await self._store.counts(community, datetime.now(UTC) - timedelta(days=1))
        missing = await context.missing_rights()
        title = context.say("status-title", server=context.reply.title(context.community_name))
        lines = [
            context.reply.bold(title),
            context.reply.ours(mode_line(policy, language, is_paused=self._pipeline.cap.is_paused(community))),
            context.say("status-model", adapter=self._pipeline.adapter_of(community)),
            context.say(
                "status-counts",
                seen=counts.messages,
                cases=counts.opened,
                answered=counts.answered,
                acted=counts.acted,
            ),
            *([context.say("status-not-read", count=counts.not_read)] if counts.not_read else []),
            *self._languages_line(context),
            context.cards_line(),
        ]
        troubles = [trouble for trouble in (self._pipeline.trouble, *context.troubles()) if trouble is not None]
        lines += [context.say("status-trouble", text=trouble.text(language)) for trouble in troubles]
        warnings = [*context.faults(), *missing[:MOST_MISSING]]
        lines += [Markup(f"⚠️ {context.notice(warning)}") for warning in warnings]
        if len(missing) > MOST_MISSING:
            lines.append(context.say("digest-more", count=len(missing) - MOST_MISSING))
        if not missing:
            lines.append(context.say("status-rights-fine"))
        await context.tell(*lines)

    def _languages_line(self, context: RequestContext) -> list[Markup]:
        """Names the languages that are acted on beside English; nothing where the bot reads English only."""
        names = sorted(say(context.language, "language-name", language=one) for one in self._languages)
        return [context.say("status-languages", languages=", ".join(names))] if names else []


def mode_line(policy: Policy, language: Language, *, is_paused: bool = False) -> str:
    """Says whether the bot acts, and whether the hourly cap keeps it from acting."""
    if policy.mode is not Mode.ENFORCE:
        return say(language, "status-mode-shadow")
    return say(language, "status-mode-paused" if is_paused else "status-mode-enforce")
