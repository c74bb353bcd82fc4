"""Reads and sets what restricts a member of a Telegram chat. See `bot.platforms.restriction_calls.Member`.

The JSON is read as it came: an older server leaves out fields that are not needed here, and the library would then read
nothing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from telegram import ChatPermissions
from telegram.constants import ChatMemberStatus
from telegram.error import BadRequest

from bot.domain.notice import Notice
from bot.domain.platform import MissingPermission
from bot.domain.restriction import NOTHING, Restriction
from bot.platforms.telegram.bot_api import BotApi
from bot.platforms.telegram.moments import LAST_S

SHORTEST_UNTIL = timedelta(seconds=40)
"""Telegram takes an end that is nearer than 30 seconds for no end at all."""
KICKED_FOR = timedelta(seconds=60)
"""A kick is a ban that ends by itself, so a process that dies in between bans nobody for good."""
_SUPERGROUPS_BELOW = -1_000_000_000_000


def is_basic(chat: int) -> bool:
    """Says whether the chat is a basic group, in which members can only be removed, not silenced or banned."""
    return _SUPERGROUPS_BELOW < chat < 0


class RestrictedMember:
    """A person in a chat. Telegram ends everything by itself."""

    def __init__(self, bot: BotApi, chat: int, user: int) -> None:
        self._bot = bot
        self._chat = chat
        self._user = user

    def ends_by_itself(self, restriction: Restriction) -> bool:
        """Always."""
        return True

    async def standing(self) -> Restriction:
        """Raises `MissingPermission` for an administrator of the chat."""
        try:
            answer = await self._bot.object("getChatMember", chat_id=self._chat, user_id=self._user)
        except BadRequest:  # unknown here: what is done about them will be refused for the same reason
            return NOTHING
        if answer.get("status") in (ChatMemberStatus.OWNER, ChatMemberStatus.ADMINISTRATOR):
            raise MissingPermission(Notice("missing-immune-telegram"))
        return restriction_of(answer)

    async def put(self, restriction: Restriction, instead_of: Restriction) -> None:
        """Lifts a ban only where there is one; freeing gives back every permission that the chat allows."""
        if restriction.kind == "ban":
            await self._bot.ban_chat_member(self._chat, self._user, until_date=restriction.until)
        elif restriction.kind == "none" and instead_of.kind == "ban":
            await self._bot.unban_chat_member(self._chat, self._user, only_if_banned=True)
        elif restriction.kind == "none":
            await self._restrict(ChatPermissions.all_permissions(), None)
        else:
            allowed: dict[str, Any] = dict.fromkeys(ChatPermissions.__slots__, False) | dict(
                restriction.permissions or {}
            )
            await self._restrict(ChatPermissions(**allowed), restriction.until)

    async def lift_kick(self, kick: Restriction) -> None:
        """Ends the ban of a kick, unless a later one has taken its place."""
        if kick.is_same(await self.standing()):
            await self._bot.unban_chat_member(self._chat, self._user, only_if_banned=True)

    async def _restrict(self, permissions: ChatPermissions, until: datetime | None) -> None:
        if until is not None:
            until = max(until, datetime.now(UTC) + SHORTEST_UNTIL)
        await self._bot.restrict_chat_member(
            self._chat, self._user, permissions, until_date=until, use_independent_chat_permissions=True
        )


def restriction_of(member: Mapping[str, Any]) -> Restriction:
    """A ChatMember's restriction: `limits` where they may still write something."""
    until = member.get("until_date") or 0
    ends = datetime.fromtimestamp(until, UTC) if isinstance(until, int) and 0 < until <= LAST_S else None
    if member.get("status") == ChatMemberStatus.BANNED:
        return Restriction("ban", ends)
    if member.get("status") != ChatMemberStatus.RESTRICTED:
        return NOTHING
    may = {name: value for name in ChatPermissions.__slots__ if isinstance(value := member.get(name), bool)}
    writes = any(value for name, value in may.items() if name.startswith("can_send_"))
    return Restriction("limits" if writes else "timeout", ends, permissions=may)
