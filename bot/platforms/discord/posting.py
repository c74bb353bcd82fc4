"""Cards and notices on their way into a server's channel: at a pace, in digests when they come in bursts."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import discord
import structlog

from bot.notices import Notice
from bot.platforms.base import Gone, MissingPermission, RateLimited, Unreachable
from bot.platforms.discord.acting import refusals
from bot.platforms.discord.events import PLATFORM, community_of
from bot.platforms.discord.layout import buttons, digest, digest_buttons, embed
from bot.setup import Setup
from bot.store import Case

if TYPE_CHECKING:
    from bot.platforms.discord.service import Discord

log = structlog.get_logger()

GATHER_S = 0.3
"""How long a first card waits for others, so that a burst is seen as one."""
BURST, BURST_WITHIN_S = 5, 30.0
"""More new cards than this within so many seconds become a digest."""
DIGEST_CASES, DIGEST_FOR_S = 40, 600.0
"""A digest takes in so many cases, or for so long; then the next one begins."""
UNPOSTED_WITHIN = timedelta(days=1)
RETRY_S = 5.0
SAID_AGAIN_AFTER_S = 600.0
Room = discord.TextChannel | discord.Thread | discord.VoiceChannel | discord.StageChannel


@dataclass(slots=True)
class Board:
    """One community's card channel: when cards were posted lately, and the digest that is open."""

    posted: deque[float] = field(default_factory=deque)
    digest: int = 0
    digest_began: float = 0.0
    digest_cases: list[int] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    lately: dict[str, float] = field(default_factory=dict)


class Posting:
    """What is to be shown is read from the store when its turn comes, so the newest state is shown, once.

    A card that was posted but not recorded, because the process was killed in between, is asked for again under the
    same nonce: Discord answers with the first one.
    """

    def __init__(self, bot: "Discord") -> None:
        self._bot = bot
        self._wanted: dict[int, None] = {}
        self._told: list[Notice] = []
        self._something = asyncio.Event()
        self._boards: dict[str, Board] = {}

    def show(self, case: int) -> None:
        """This case is new or has changed."""
        self._wanted[case] = None
        self._something.set()

    def notify(self, notice: Notice) -> None:
        """Moderators are to know."""
        self._told.append(notice)
        self._something.set()

    async def resume(self) -> None:
        """Cases whose cards a stop or an outage kept back."""
        for case in await self._bot.store.cards.unposted(PLATFORM, datetime.now(UTC) - UNPOSTED_WITHIN):
            self.show(case)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(GATHER_S)
            self._something.clear()
            wanted, self._wanted = list(self._wanted), {}
            told, self._told = self._told, []
            try:
                await self._notices(told)
                await self._cases(wanted)
            except Exception:
                log.exception("cards could not be shown")

    async def _cases(self, wanted: list[int]) -> None:
        by_community: dict[str, list[Case]] = {}
        for number in wanted:
            if (case := await self._bot.store.case(number)) is not None:
                by_community.setdefault(case.message.key.community, []).append(case)
        for community, cases in by_community.items():
            try:
                await self._community(community, cases)
            except (Unreachable, RateLimited) as error:
                log.warning("cards wait", community=community, error=str(error))
                self._later([case.id for case in cases])
            except (Gone, MissingPermission) as error:
                log.warning("cards cannot be shown", community=community, error=str(error))

    def _later(self, cases: list[int]) -> None:
        """Again in a while; the loop's own timer, so nothing waits for it."""

        def again() -> None:
            for case in cases:
                self.show(case)

        asyncio.get_running_loop().call_later(RETRY_S, again)

    async def _community(self, community: str, cases: list[Case]) -> None:
        setup = await self._bot.setup(community)
        guild = self._bot.guild(community)
        if not setup.alert_room:
            return
        if guild is None:
            raise Unreachable("the server is not reachable")
        room = await self._room(guild, setup)
        board = self._boards.setdefault(community, Board())
        fresh: list[Case] = []
        digests: dict[int, None] = {}
        for case in cases:
            card = await self._bot.store.cards.of(case.id)
            if card is None or card.message is None:
                fresh.append(case)
            elif card.digest:
                digests[int(card.message)] = None
            else:
                await self._edit(guild, card.room, int(card.message), case, setup)
        for message in digests:
            await self._draw_digest(guild, room, message, setup)
        if fresh:
            await self._post(guild, room, board, fresh, setup)

    async def _post(self, guild: discord.Guild, room: Room, board: Board, fresh: list[Case], setup: Setup) -> None:
        now = time.monotonic()
        while board.posted and now - board.posted[0] > BURST_WITHIN_S:
            board.posted.popleft()
        if len(board.posted) + len(fresh) <= BURST:
            for case in fresh:
                board.posted.append(now)
                await self._card(guild, room, case, setup)
            return
        board.posted.extend([now] * len(fresh))
        while fresh:
            open_one = board.digest and now - board.digest_began < DIGEST_FOR_S
            space = DIGEST_CASES - len(board.digest_cases) if open_one else DIGEST_CASES
            if space <= 0:
                board.digest, board.digest_cases = 0, []
                continue
            taken, fresh = fresh[:space], fresh[space:]
            if not open_one:
                async with refusals(guild, "send_messages", room.id):
                    nonce = f"digest-{taken[0].id}"
                    sent = await room.send(
                        embed=digest(taken, setup.language),
                        view=digest_buttons(taken[0].id, setup.language),
                        nonce=nonce,
                    )
                board.digest, board.digest_began, board.digest_cases = sent.id, now, []
            for case in taken:
                await self._bot.store.cards.post(
                    case.id, PLATFORM, str(room.id), str(board.digest), True, datetime.now(UTC)
                )
                board.digest_cases.append(case.id)
            if open_one:
                await self._draw_digest(guild, room, board.digest, setup)

    async def _card(self, guild: discord.Guild, room: Room, case: Case, setup: Setup) -> None:
        card = await self._bot.desk.card(case, setup.language)
        async with refusals(guild, "send_messages", room.id):
            sent = await room.send(embed=embed(card, case, setup.language), view=buttons(card), nonce=f"case-{case.id}")
        await self._bot.store.cards.post(case.id, PLATFORM, str(room.id), str(sent.id), False, datetime.now(UTC))

    async def _edit(self, guild: discord.Guild, room: str, message: int, case: Case, setup: Setup) -> None:
        channel = guild.get_channel_or_thread(int(room))
        if not isinstance(channel, Room):
            return
        card = await self._bot.desk.card(case, setup.language)
        async with refusals(guild, "send_messages", channel.id):
            old = channel.get_partial_message(message)
            await old.edit(embed=embed(card, case, setup.language), view=buttons(card))

    async def _draw_digest(self, guild: discord.Guild, room: Room, message: int, setup: Setup) -> None:
        numbers = await self._bot.store.cards.cases_of(PLATFORM, str(room.id), str(message))
        found = [case for number in numbers if (case := await self._bot.store.case(number)) is not None]
        if not found:
            return
        async with refusals(guild, "send_messages", room.id):
            old = room.get_partial_message(message)
            await old.edit(embed=digest(found, setup.language), view=digest_buttons(found[0].id, setup.language))

    async def _notices(self, told: list[Notice]) -> None:
        now = time.monotonic()
        for guild in self._bot.guilds:
            community = community_of(guild.id)
            setup = await self._bot.setup(community)
            mine = [notice for notice in told if notice.community in ("", community)]
            board = self._boards.setdefault(community, Board())
            board.lately = {text: at for text, at in board.lately.items() if now - at < SAID_AGAIN_AFTER_S}
            texts = dict.fromkeys(notice.text(setup.language) for notice in mine)
            fresh = [text for text in texts if text not in board.lately]
            if not fresh or not setup.alert_room:
                continue
            try:
                room = await self._room(guild, setup)
                async with refusals(guild, "send_messages", room.id):
                    await room.send("\n".join(fresh)[:2000])
            except (Gone, MissingPermission, RateLimited, Unreachable) as error:
                log.warning("notice not shown", community=community, error=str(error))
            else:
                board.lately.update(dict.fromkeys(fresh, now))

    async def _room(self, guild: discord.Guild, setup: Setup) -> Room:
        """Where cards go; raises `Gone` when the channel was deleted, and what the fetch answers."""
        number = int(setup.alert_room)
        room = guild.get_channel_or_thread(number)
        if room is None:
            async with refusals(guild, "view_channel", number):
                fetched = await guild.fetch_channel(number)
            room = fetched if isinstance(fetched, Room) else None
        if not isinstance(room, Room):
            raise Gone(setup.alert_room)
        return room
