"""Knows the groups that the bot is in: their titles, set-ups and links, and where they moved."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.domain.policy import Policy
from bot.domain.setup import Setup
from bot.platforms.telegram.events import PLATFORM, community_of
from bot.store import Store
from bot.text.inert import one_line

CHOICES_KEPT = 50_000
LONGEST_TITLE = 128


def own_chat(key: str) -> int:
    """The chat whose own community this is."""
    return int(key.removeprefix(f"{PLATFORM}-"))


class Groups:
    """Groups are kept in the store, read at the start and then held in memory. A group's *key* is the community that it
    is by itself; a linked group belongs to another community."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._setups: dict[str, Setup] = {}
        self._titles: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._moves: dict[int, int] = {}
        self._moved_from: dict[int, int] = {}
        self._chosen: dict[int, int] = {}
        self._changing = asyncio.Lock()
        self.loaded = asyncio.Event()
        """Set once it is known what earlier runs knew."""

    async def load(self) -> None:
        """Reads what earlier runs knew."""
        self._links = await self._store.chats.all(PLATFORM)
        for chat, community in self._links.items():
            if community.startswith(f"{PLATFORM}-") and own_chat(community) != int(chat):
                self._moves[own_chat(community)], self._moved_from[int(chat)] = int(chat), own_chat(community)
        for to_chat, from_chat in (await self._store.chats.moves(PLATFORM)).items():
            self._moves[int(from_chat)], self._moved_from[int(to_chat)] = int(to_chat), int(from_chat)
        for one in await self._store.communities.all(PLATFORM):
            self._titles[one.community] = one.name
            self._setups[one.community] = Setup.model_validate(one.setup)
        self.loaded.set()

    @property
    def chats(self) -> Mapping[int, str]:
        """Every group as it is numbered now, and its title."""
        return {self.now_at(own_chat(key)): self._titles.get(key, "") for key in sorted(self._setups)}

    @property
    def communities(self) -> list[str]:
        """Theirs."""
        return [self.community_of(chat) for chat in self.chats]

    def knows(self, chat: int) -> bool:
        """Whether a group was greeted or set up."""
        return community_of(chat) in self._setups or str(chat) in self._links

    def community_of(self, chat: int) -> str:
        """The community a chat is, was before it moved, or was linked with."""
        return self._links.get(str(chat)) or community_of(chat)

    def now_at(self, chat: int) -> int:
        """Returns the chat's current number: a group that became a supergroup has another one."""
        while chat in self._moves:
            chat = self._moves[chat]
        return chat

    def chat_of(self, community: str) -> int | None:
        """Returns a community's chat: its own, or the first one linked with it; None where there is none."""
        if community.startswith(f"{PLATFORM}-"):
            return self.now_at(own_chat(community))
        return next((self.now_at(int(chat)) for chat, other in self._links.items() if other == community), None)

    def title(self, chat: int) -> str:
        """Returns a chat's title; "" where it is not known."""
        return self._titles.get(community_of(chat)) or self._titles.get(self._key(chat), "")

    def title_of(self, community: str) -> str:
        """The same of a community's own chat."""
        return self._titles.get(community, "")

    async def greet(self, chat: int, title: str, setup: Setup) -> bool:
        """Returns True the first time a group is seen; the group begins with this set-up."""
        key, title, now = community_of(chat), one_line(title, LONGEST_TITLE), datetime.now(UTC)
        self._titles[key] = title
        first = await self._store.communities.greet(key, PLATFORM, title, now, setup.model_dump(mode="json"))
        if key not in self._setups:
            saved = Setup.model_validate(await self._store.communities.setup(key) or {})
            self._setups.setdefault(key, saved)  # one saved meanwhile is newer
        return first

    async def setup(self, community: str) -> Setup:
        """The set-up of a community's chat: of its own, or of the first one linked with it."""
        if community.startswith(f"{PLATFORM}-"):
            return self._setups.get(community, Setup())
        linked = self.chat_of(community)
        return Setup() if linked is None else self.setup_of_chat(linked)

    def setup_of_chat(self, chat: int) -> Setup:
        """A chat's own set-up, also where it is linked with another community."""
        return self._setups.get(self._key(chat), Setup())

    async def change_setup(self, chat: int, **changes: Any) -> None:
        """These fields of `Setup`, in force from now on. Of two people who change it at once both get what they said.

        Raises ValueError for what a set-up cannot be.
        """
        async with self._changing:
            await self._save(self._key(chat), {**self.setup_of_chat(chat).model_dump(), **changes})

    async def _save(self, key: str, changed: Mapping[str, Any]) -> None:
        setup, now = Setup.model_validate(changed), datetime.now(UTC)
        saved = setup.model_dump(mode="json")
        await self._store.communities.save(key, PLATFORM, self._titles.get(key, ""), saved, now)
        self._setups[key] = setup

    async def link(self, chat: int, community: str) -> None:
        """Links the chat with another platform's community; the chat's own set-up stays."""
        async with self._changing:
            await self._store.chats.link(PLATFORM, str(chat), community, self._old(chat))
            setup = self.setup_of_chat(chat)
            self._links[str(chat)] = community
            await self._save(self._key(chat), setup.model_dump())

    async def moved(self, old: int, new: int) -> bool:
        """A group became a supergroup: same community, same set-up, another number. False where that was known."""
        if self.now_at(old) == new:
            return False
        community = self.community_of(old)
        await self._store.chats.link(PLATFORM, str(new), community, str(old))
        self._links[str(new)], self._moves[old], self._moved_from[new] = community, new, old
        for key, setup in list(self._setups.items()):
            if setup.alert_room == str(old):
                await self.change_setup(own_chat(key), alert_room=str(new))
        return True

    def watched_from(self, where: int) -> list[int]:
        """Returns the groups whose moderators' chat this is; [] for a group that is moderated itself."""
        own = self._setups.get(self._key(where))
        if own and own.done:
            return []
        return [self.now_at(own_chat(key)) for key, setup in self._setups.items() if setup.alert_room == str(where)]

    def is_board(self, where: int) -> bool:
        """Whether another group's cards go there: moderators quote in it what they talk about, so it is not read, even
        if it was set up itself."""
        own = self._key(where)
        return any(setup.alert_room == str(where) for key, setup in self._setups.items() if key != own)

    async def is_moderated(self, where: int) -> bool:
        """Whether members are moderated there, or ever were: it was set up, linked, given a policy, or read. Its name
        and those of its members are read before anybody can say that it is a moderators' chat, and do not count."""
        own = self._key(where)
        setup = self._setups.get(own, Setup())
        if setup.done or setup.alert_room or self.community_of(where) != own:
            return True
        if await self._store.policy(own) != Policy():
            return True
        return await self._store.has_messages(PLATFORM, own, str(where))

    def communities_of(self, chat: int) -> list[str]:
        """Those that texts from this chat belong to: the one it is linked with, and its own from before."""
        return list(dict.fromkeys([self.community_of(chat), self._key(chat)]))

    def chosen(self, user: int) -> int | None:
        """Returns the group that a user chose for private questions, if any."""
        return self._chosen.get(user)

    def choose(self, user: int, chat: int) -> None:
        """Sets the group that a user's private questions are about; forgotten at the next start."""
        self._chosen[user] = chat
        while len(self._chosen) > CHOICES_KEPT:
            del self._chosen[next(iter(self._chosen))]

    def _key(self, chat: int) -> str:
        """Stays the same when the group moves, and when it is linked."""
        community = self.community_of(chat)
        if community.startswith(f"{PLATFORM}-"):
            return community
        while chat in self._moved_from:
            chat = self._moved_from[chat]
        return community_of(chat)

    def _old(self, chat: int) -> str | None:
        return str(self._moved_from[chat]) if chat in self._moved_from else None
