"""Ends the bot's restrictions on Telegram: by time, when an earlier restriction comes back, or by a person's hand."""

import asyncio
from datetime import UTC, datetime

import structlog

from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.events import PLATFORM, Json, chat_named, community_of
from bot.platforms.telegram.member_restrictions import restriction_of
from bot.platforms.telegram.moments import moment
from bot.store.timed_bans import TimedBan

log = structlog.get_logger()
LOOK_EVERY_S = 10.0


class RestrictionEnds:
    """Telegram frees a member at the end of a restriction, also from an older and longer one that it covered."""

    def __init__(self, bot: TelegramBot) -> None:
        self._bot = bot

    async def run(self) -> None:
        """Puts back what stood before restrictions that are over, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if not self._bot.is_connected:
                continue
            try:
                for lift in await self._bot.store.timed_bans.due(PLATFORM, datetime.now(UTC)):
                    await self._lift(lift)
            except Exception:
                log.exception("ended restrictions could not be looked at")

    async def decided(self, change: Json) -> None:
        """Handles a `chat_member` update. A person's decision about a member stands: the bot's earlier restriction is
        no longer its own. Changes that restrict nobody, such as titles, do not count."""
        chat, now = int(change["chat"]["id"]), change.get("new_chat_member") or {}
        member, by = (now.get("user") or {}).get("id"), (change.get("from") or {}).get("id")
        if member is None or by in (self._bot.api.id, member):
            return
        restriction = restriction_of(now)
        if restriction.kind == "ban" or restriction != restriction_of(change.get("old_chat_member") or {}):
            decided = moment(change.get("date"))
            await self._bot.store.restrictions.forget_before(PLATFORM, community_of(chat), str(member), decided)

    async def _lift(self, lift: TimedBan) -> None:
        try:
            with self._bot.circuit_breaker.asking_for(self._bot.groups.community_of(chat_named(lift.community))):
                await self._bot.action_calls.lift(lift)
        except (Gone, MissingPermission) as error:
            log.warning("what stood before a restriction is not put back", error=str(error))
            await self._bot.store.timed_bans.forget(PLATFORM, lift.community, lift.member)
        except (RateLimited, Unreachable) as error:
            log.info("what stood before a restriction is put back later", error=str(error))
