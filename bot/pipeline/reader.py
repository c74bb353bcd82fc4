"""What the model says of a message: its views, asked for in one call, and whether the model answers at all."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from bot.domain.event import Message
from bot.domain.notice import Notice
from bot.domain.policy import Policy
from model.classifier import TRIAL, Classifier, ClassifierError, Item, Overloaded, Verdict
from model.labels import LABELS, Label
from model.normalize import views

LONG_TEXT = 2000
"""Characters; longer texts are normalised beside the event loop."""
_NOTHING = {label: float(label is Label.NEUTRAL) for label in LABELS}
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Read:
    """What the model says of a message: of its author's words, of them once their disguise is undone (None where that
    changes nothing), and of what is quoted in it."""

    verdict: Verdict
    disguised: Verdict | None = None
    quoted: Verdict | None = None


class Reader:
    """Asks the classifier about messages; `adapter_of` names the adapter that serves a community.

    `silent` is what moderators were told when the classifier stopped to answer, None while it answers; `on_notice`
    hears of that once, and once when it answers again.
    """

    def __init__(
        self, classifier: Classifier, adapter_of: Callable[[str], str], on_notice: Callable[[Notice], None]
    ) -> None:
        self._classifier = classifier
        self.adapter_of = adapter_of
        self._on_notice = on_notice
        self._one_long_text = asyncio.Lock()
        self.silent: Notice | None = None

    async def read(
        self, event: Message, policy: Policy, *, alone: bool = False, classifier: Classifier | None = None
    ) -> Read:
        """The conservative view's verdict, the aggressive view's where the views differ, and that on what is quoted.
        Where the author wrote nothing the first speaks for nothing.

        `classifier` is asked instead of the pipeline's own. Raises what a classifier raises.
        """
        adapter = self.adapter_of(event.key.community)
        plain, undisguised = await self._views(event.text)
        items = [Item(plain, adapter, policy.asked, event.key.community, alone)]
        if differs := undisguised.casefold() != plain.replace("\n", " ").casefold():
            items.append(Item(undisguised, adapter, community=event.key.community, alone=alone))
        if event.quoted:
            quoted_view, _ = await self._views(event.quoted)
            items.append(Item(quoted_view, adapter, community=event.key.community, alone=alone))
        if not event.text:
            items = items[-1:]
        verdicts = await (classifier or self._classifier).classify(items)
        if self.silent:
            self.silent = None
            self._on_notice(Notice("notice-classifier-back"))
        quoted = verdicts[-1] if event.quoted else None
        if quoted is not None and not event.text:
            return Read(replace(quoted, probabilities=_NOTHING, categories={}), None, quoted)
        return Read(verdicts[0], verdicts[1] if differs else None, quoted)

    async def answers(self, community: str) -> bool:
        """Whether the model reads a text that harms nobody."""
        try:
            await self._classifier.classify([Item(TRIAL, self.adapter_of(community), alone=True)])
        except ClassifierError:
            return False
        return True

    def has_failed(self, error: Exception) -> None:
        """The classifier did not answer; too many waiting tokens are no silence."""
        if not self.silent and not isinstance(error, Overloaded):
            self.silent = Notice("notice-classifier-silent", {"error": str(error)})
            log.error("classifier unavailable", error=str(error))
            self._on_notice(self.silent)

    async def _views(self, text: str) -> tuple[str, str]:
        """Both views. Long texts one at a time, in a thread, so that many of them do not take turns with the loop."""
        if len(text) <= LONG_TEXT:
            return views(text)
        async with self._one_long_text:
            return await asyncio.to_thread(views, text)
