"""Answers members about their own data: /privacy, /mydata, /consent."""

from collections.abc import Callable
from datetime import UTC, datetime

from bot.conversation.context import Choice, File, RequestContext
from bot.conversation.my_data import FILE, as_json
from bot.domain.case import Case
from bot.store import Store

ALL_CASES = 10_000


class Privacy:
    """`changed` hears of every case whose card quotes a text that was erased."""

    def __init__(self, store: Store, changed: Callable[[Case], None]) -> None:
        self._store = store
        self._changed = changed

    async def show(self, context: RequestContext) -> None:
        """Says what is kept, for how long, and whether texts teach."""
        await context.tell(
            context.say("privacy", days=context.retention_days, learning=context.reply.ours(context.learning_line()))
        )

    async def mydata(self, context: RequestContext, what: str) -> None:
        """`export`, `erase`, or buttons for both."""
        if not context.person:
            await context.tell(context.say("not-anonymous"))
        elif what == "export":
            await self._export(context)
        elif what == "erase":
            await self._erase(context)
        else:
            choices = [
                Choice("mine", name, context.say(f"mydata-button-{name}"), f"/mydata {name}")
                for name in ("export", "erase")
            ]
            await context.tell(context.say("mydata-how"), choices=choices, alone=True)

    async def consent(self, context: RequestContext, answer: str) -> None:
        """Records an author's consent for their own texts: `yes`, `no`, or how it stands with a button.

        Only a member, or a person who has written there, can consent. A person who has left can still take it back.
        """
        if not context.person:
            await context.tell(context.say("not-anonymous"))
        elif not context.consents:
            learning = context.reply.ours(context.learning_line())
            await context.tell(context.say("consent-not-here", learning=learning), alone=True)
        elif answer == "yes" and not await self._is_author(context):
            await context.tell(context.say("consent-stranger"), alone=True)
        elif answer in ("yes", "no"):
            await self._record(context, is_given=answer == "yes")
        else:
            is_given = await self._store.consents.basis(context.community, context.pseudonym) is not None
            other = "no" if is_given else "yes"
            choice = Choice("mine", other, context.say(f"consent-button-{other}"), f"/consent {other}")
            await context.tell(
                context.say("consent-given" if is_given else "consent-none"), choices=[choice], alone=True
            )

    async def _record(self, context: RequestContext, *, is_given: bool) -> None:
        now = datetime.now(UTC)
        if is_given:
            await self._store.consents.give(context.community, context.pseudonym, now)
        else:
            for author, community in context.own:
                await self._store.consents.withdraw(community, author, now)
        await context.tell(context.say("consent-given" if is_given else "consent-none"), alone=True)

    async def _is_author(self, context: RequestContext) -> bool:
        """Whether there are or can be texts of theirs."""
        if await context.is_author():
            return True
        return bool(await self._store.written_in([(community, author) for author, community in context.own]))

    async def _export(self, context: RequestContext) -> None:
        """Every text of theirs that is kept, as a file, for them alone."""
        rows = [row for own in context.own for row in await self._store.personal_data.export(*own)]
        if not rows:
            await context.tell(context.say("mydata-none"))
            return
        file = File(FILE, as_json(context.platform, context.community, rows))
        await context.reply.send(context.say("mydata-export", count=len(rows)), file=file, alone=True)

    async def _erase(self, context: RequestContext) -> None:
        """The texts go from the store, and from the cards that quote them."""
        count = 0
        for author, community in context.own:
            quoted = await self._store.history(community, author, limit=ALL_CASES)
            count += await self._store.personal_data.erase(author, community, datetime.now(UTC))
            for case in quoted:
                self._changed(case)
        await context.tell(context.say("mydata-erased", count=count))
