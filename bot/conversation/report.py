"""Takes a member's report of a message: moderators get a card, whatever the model thinks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.cases.service import CaseService
from bot.conversation.context import RequestContext
from bot.conversation.explain import Silence
from bot.domain.event import Message
from bot.pipeline.question_lane import SILENT
from bot.pipeline.rate_limit import RateLimit

REPORTS, REPORTS_WITHIN_S = 3, 600.0


@dataclass(frozen=True, slots=True)
class Reported:
    """A reported message: its author as the platform numbers them, whether this bot wrote it, whether it stands where
    cards go. `read` makes an event of it, also without words; None where it shows nothing."""

    author: str
    read: Callable[[], Awaitable[Message | None]]
    is_bots_own: bool = False
    is_in_moderators_room: bool = False


class Report:
    """/report. At most `REPORTS` of one member within `REPORTS_WITHIN_S`."""

    def __init__(self, cases: CaseService, silence: Silence) -> None:
        self._cases = cases
        self._silence = silence
        self._rate_limit = RateLimit(REPORTS, REPORTS_WITHIN_S)

    async def message(self, context: RequestContext, reported: Reported | None) -> None:
        """Handles a report; None is a message that is not there, or was not named."""
        if reported is None:
            await context.tell(context.say("how-report"))
        elif reported.is_in_moderators_room:
            await context.tell(context.say("report-board"))
        elif reported.author == context.person:
            await context.tell(context.say("report-own"))
        elif reported.is_bots_own or (event := await reported.read()) is None:
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
