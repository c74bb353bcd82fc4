"""Whether corrections teach in a community, and examples that moderators write."""

from bot.cases.service import CaseService
from bot.conversation.context import RequestContext
from model.labels import LABELS, Label


class LearningAnswers:
    """/learning and /example."""

    def __init__(self, cases: CaseService) -> None:
        self._cases = cases

    async def show(self, context: RequestContext) -> None:
        """Whether corrections teach here, and why."""
        await context.tell(context.reply.ours(context.learning_line()), context.say("learning-examples"))

    async def example(self, context: RequestContext, typed: str) -> None:
        """A text that a moderator wrote to teach with: `neutral you walnut`."""
        label, _, text = typed.partition(" ")
        if label not in list(LABELS) or not text.strip() or not context.person:
            await context.tell(context.say("how-example"))
            return
        await self._cases.example(context.community, context.platform, context.moderator, text.strip(), Label(label))
        await context.tell(context.say("learning-example-done", label=context.say(f"label-{label}")))
