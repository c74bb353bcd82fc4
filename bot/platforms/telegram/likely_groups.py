"""Guesses in which groups a user is: a bot cannot ask Telegram for a user's groups, only whether a user is in one
group."""

from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.events import PLATFORM

KEPT = 50_000
"""The most users that are remembered; for others the journal is asked."""
FEW = 3
"""Where the bot is in so few groups, Telegram is asked about each group of which nothing is known."""


class LikelyGroups:
    """Learns from what users wrote, did and administer. It is kept in memory, and found again in the journal."""

    def __init__(self, bot: TelegramBot) -> None:
        self._bot = bot
        self._met: dict[int, set[int]] = {}

    def met(self, user: object, chat: int) -> None:
        """A user wrote in this group, or put the bot into it."""
        if not isinstance(user, int):
            return
        self._met.setdefault(user, set()).add(chat)
        while len(self._met) > KEPT:
            del self._met[next(iter(self._met))]

    async def groups_of(self, user: int) -> list[tuple[int, str]]:
        """(chat, title) of each, in the order of their titles. They may have left since: ask `is_with` before that
        counts."""
        groups, seal = self._bot.groups, self._bot.store.sealer.author
        chats = dict(groups.chats)
        likely = {groups.now_at(chat) for chat in self._met.get(user, ())} | set(self._bot.admins.of_whom(user))
        communities = {groups.community_of(chat) for chat in chats}
        pairs = [(community, seal(PLATFORM, community, str(user))) for community in communities]
        wrote = await self._bot.store.written_in(pairs)
        likely |= {chat for chat in chats if groups.community_of(chat) in wrote}
        if len(chats) <= FEW:
            likely |= {chat for chat in chats.keys() - likely if await self._bot.is_with(chat, user)}
        return sorted(
            ((chat, chats[chat]) for chat in likely & chats.keys()), key=lambda one: (one[1].casefold(), one[0])
        )
