"""Holds what every part of Discord shares: the store, the connection, set-ups, and the parts that answer."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import discord

from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.conversation.link_codes import LinkCodes
from bot.domain.notice import Notice
from bot.domain.policy import Policy
from bot.domain.setup import Setup
from bot.pipeline.circuit_breaker import CircuitBreaker
from bot.pipeline.pipeline import Pipeline
from bot.platforms.discord.authors import Authors
from bot.platforms.discord.events import PLATFORM, community_of, guild_of
from bot.platforms.discord.gateway import Gateway
from bot.platforms.discord.rights import Missing, invite, self_check
from bot.platforms.health import Health
from bot.store import Store


@dataclass(frozen=True, slots=True)
class Access:
    """The settings by which the bot reaches Discord. `api` and `gateway` name another server than Discord's own.

    `permission` names the operator's written permission from Discord to train on messages; "" is none.
    """

    token: str = field(repr=False)
    permission: str = ""
    members_intent: bool = False
    api: str = ""
    gateway: str = ""
    retention_days: int = 30


class DiscordBot(ABC):
    """The object that each part of the platform gets; `bot.platforms.discord.service.Discord` adds the parts."""

    pipeline: Pipeline
    case_service: CaseService
    conversation: Conversation
    circuit_breaker: CircuitBreaker
    health: Health

    def __init__(self, store: Store, access: Access, link_codes: LinkCodes | None = None) -> None:
        self.store = store
        self.access = access
        self.link_codes = link_codes or LinkCodes()
        self.client: Gateway | None = None
        self.authors = Authors()
        self.trouble: Notice | None = Notice("discord-connecting")
        """Why no events arrive at the moment; None while all is well."""
        self.problems: dict[str, list[Missing]] = {}
        """By community: the rights that the bot lacks."""
        self._setups: dict[str, Setup] = {}
        self._greeted = 0
        self._at_work: set[asyncio.Task[Any]] = set()

    @abstractmethod
    async def changed(self, guild: discord.Guild) -> None:
        """Looks again at the rights, a little later: changes come in bursts."""

    def begin_work(self) -> None:
        """The library gives each event and click an unowned task; this one ends when `run` does."""
        if (task := asyncio.current_task()) is not None:
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def setup(self, community: str) -> Setup:
        """The community's set-up, read once and then kept."""
        while community not in self._setups:
            greeted = self._greeted
            saved = await self.store.communities.setup(community)
            if greeted == self._greeted:  # else the saved set-up may be older than the greeting, which saves one
                self._setups.setdefault(community, Setup.model_validate(saved or {}))  # one saved meanwhile is newer
        return self._setups[community]

    async def save_setup(self, guild: discord.Guild, setup: Setup) -> None:
        """Saves the set-up; it is in force from now on."""
        community = community_of(guild.id)
        now = datetime.now(UTC)
        await self.store.communities.save(community, PLATFORM, guild.name, setup.model_dump(mode="json"), now)
        self._setups[community] = setup
        await self.changed(guild)

    def basis(self, setup: Setup) -> str | None:
        """Returns the basis on which corrections teach here: the operator's permission, where the community agreed to
        it."""
        return f"permission:{self.access.permission}" if self.access.permission and setup.learns else None

    def guild(self, community: str) -> discord.Guild | None:
        """The community's server, while it is reachable."""
        guild = self.client.get_guild(guild_of(community)) if self.client is not None else None
        return None if guild is None or guild.unavailable else guild

    def look(self, guild: discord.Guild, setup: Setup, policy: Policy) -> list[Missing]:
        """The self-check: which rights are missing now."""
        self.problems[community_of(guild.id)] = missing = self_check(guild, setup, policy)
        return missing

    @property
    def invite(self) -> str:
        """The link that adds the bot to a server; "" before the first connection."""
        application = self.client.application_id if self.client is not None else None
        return "" if application is None else invite(application)

    @property
    def guilds(self) -> Sequence[discord.Guild]:
        """The servers the bot is on."""
        return self.client.guilds if self.client is not None else []

    @property
    def own(self) -> int:
        """The bot's own id, 0 before the first connection."""
        return self.client.user.id if self.client is not None and self.client.user is not None else 0
