"""A member reports a message: moderators get a card, whatever the model thinks."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime

from bot.cases.service import CaseService
from bot.conversation.context import RequestContext
from bot.conversation.explain import Silence
from bot.domain.event import Message
from bot.pipeline.question_lane import SILENT
from bot.pipeline.rate_limit import RateLimit

REPORTS, REPORTS_WITHIN_S = 3, 600.0


class Reported(ABC):
    """The message that somebody reports."""

    @property
    @abstractmethod
    def is_in_moderators_room(self) -> bool:
        """Whether it stands where cards go."""

    @property
    @abstractmethod
    def author(self) -> str:
        """Who wrote it, as the platform numbers them."""

    @property
    @abstractmethod
    def is_bots_own(self) -> bool:
        """Whether this bot wrote it."""

    @abstractmethod
    async def event(self) -> Message | None:
        """It as a message, also where there is no word in it; None where there is nothing to show."""


class Report:
    """/report. At most `REPORTS` of one member within `REPORTS_WITHIN_S`."""

    def __init__(self, cases: CaseService, silence: Silence) -> None:
        self._cases = cases
        self._silence = silence
        self._rate_limit = RateLimit(REPORTS, REPORTS_WITHIN_S)

    async def message(self, context: RequestContext, reported: Reported | None) -> None:
        """None: it is not there, or nothing was named."""
        if reported is None:
            await context.tell(context.say("how-report"))
        elif reported.is_in_moderators_room:
            await context.tell(context.say("report-board"))
        elif reported.author == context.person:
            await context.tell(context.say("report-own"))
        elif reported.is_bots_own or (event := await reported.event()) is None:
            await context.tell(context.say("report-nothing"))
        elif not self._rate_limit.take(context.pseudonym):
            await context.tell(context.say("report-too-many", count=REPORTS))
        else:
            try:
                case = await self._cases.report(event, context.pseudonym, datetime.now(UTC))
            except SILENT as error:
                await self._silence.tell(context, error)
            else:
                await context.tell(context.say("report-thanks", case=case.id))
