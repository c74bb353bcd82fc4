"""Everything that people can ask: one object that each platform passes its questions to."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from bot.cases.service import CaseService
from bot.conversation.case_answers import CaseAnswers
from bot.conversation.context import Markup, RequestContext
from bot.conversation.explain import Explain, Silence
from bot.conversation.learning import LearningAnswers
from bot.conversation.policy import PolicyAnswers, typed_change
from bot.conversation.privacy import Privacy
from bot.conversation.report import Report
from bot.conversation.status import Status
from bot.pipeline.pipeline import Pipeline
from bot.store import Store

Typed = Callable[[RequestContext, str], Awaitable[None]]
HELP = (
    "explain",
    "report",
    "privacy",
    "mydata",
    "consent",
    "learning",
    "status",
    "policy",
    "test",
    "preview",
    "case",
    "history",
    "setup",
    "mode",
    "skip",
    "example",
    "link",
)
"""The commands in the order in which /help names them."""


class Conversation:
    """The answers by subject, and `typed`: commands by name that need nothing of the platform but what was typed.

    `languages` are those that are acted on beside English.
    """

    def __init__(
        self, store: Store, cases: CaseService, pipeline: Pipeline, languages: Collection[str] = frozenset()
    ) -> None:
        silence = Silence()
        self.explain = Explain(store, cases, silence)
        self.cases = CaseAnswers(store, cases, pipeline, self.explain)
        self.status = Status(store, pipeline, languages)
        self.policy = PolicyAnswers(pipeline)
        self.report = Report(cases, silence)
        self.privacy = Privacy(store, cases.changed)
        self.learning = LearningAnswers(cases)
        self.typed: Mapping[str, Typed] = {
            "help": lambda context, _: self.help(context),
            "test": self.explain.text,
            "preview": lambda context, _: self.explain.preview(context),
            "status": lambda context, _: self.status.show(context),
            "mode": self.policy.mode,
            "policy": lambda context, typed: self.policy.policy(context, typed_change(typed)),
            "case": self.cases.show,
            "privacy": lambda context, _: self.privacy.show(context),
            "mydata": self.privacy.mydata,
            "consent": self.privacy.consent,
            "learning": lambda context, _: self.learning.show(context),
            "example": self.learning.example,
        }

    async def help(self, context: RequestContext) -> None:
        """Lists every command that the asker may use, with what it does."""
        names = [name for name in HELP if context.may(name)]
        lines = [Markup(f"{context.reply.ours(f'`/{name}`')}: {context.say(f'command-{name}')}") for name in names]
        await context.tell(context.say("help-title"), *lines)
