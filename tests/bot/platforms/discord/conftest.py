"""A server with people, the unmodified discord.py against the simulated Discord, and the real pipeline and store; only
the classifier is a stub."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.domain.case import Case
from bot.domain.notice import Notice
from bot.domain.policy import Mode, Policy
from bot.pipeline.pipeline import Pipeline
from bot.platforms.discord import Access, Discord
from bot.platforms.discord.events import community_of
from bot.process import logs
from bot.store import Sealer, Store
from tests.conftest import StubClassifier, migrated
from tests.journal import unfinished
from tests.simulators.discord_server import Answer, Channel, DiscordServer, Guild, Message, User


class Scene:
    """Friends: a server with an owner, a moderator, a member, and channels; the bot is set up there."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.store: Store
        self.discord: Discord
        self.pipeline: Pipeline
        self.classifier = StubClassifier()
        self.guild: Guild = server.add_guild("Friends")
        self.owner: User = self.guild.owner
        self.lounge: Channel = self.guild.add_channel("lounge")
        self.alerts: Channel = self.guild.add_channel("alerts")
        self.forum: Channel = self.guild.add_channel("questions", "forum")
        self.voice: Channel = self.guild.add_channel("voice", "voice")
        self.mods = self.guild.add_role("Mods", 0)
        self.mod: User = server.add_user("mo")
        self.ann: User = server.add_user("ann")
        self.ben: User = server.add_user("ben")
        self.guild.add_member(self.mod, [self.mods])
        self.guild.add_member(self.ann)
        self.guild.add_member(self.ben)
        self.notices: list[Notice] = []
        self.chosen: dict[str, Any] = {
            "alert_room": str(self.alerts.id),
            "moderator_roles": [str(self.mods.id)],
            "done": True,
        }
        self.access = Access(server.token, api=server.api, gateway=server.gateway)

    @property
    def community(self) -> str:
        return community_of(self.guild.id)

    async def heard(self, timeout_s: float = 60.0) -> None:
        """The bot has handled every event that was sent to it."""
        await self.server.until(self._idle, timeout_s)

    def _idle(self) -> bool:
        client, sessions = self.discord.client, self.server.live_sessions()
        if client is None or client.ws is None or not client.sound or not sessions:
            return False
        at = client.ws.sequence
        busy = any(task.get_name().startswith("discord.py: ") for task in asyncio.all_tasks())
        return at in [session.seq for session in sessions] and not busy

    @property
    def read(self) -> Counter[str]:
        """How often the classifier was asked about each text."""
        return Counter(text for batch in self.classifier.batches for text in batch)

    async def settled(self) -> None:
        """Everything that was said is through, and shown where it is to be shown."""
        await self.heard()
        async with asyncio.timeout(60):
            while await unfinished(self.store, "discord"):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    async def cases(self) -> list[Case]:
        """Oldest first."""
        await self.settled()
        return list(reversed(await self.store.cases(self.community)))

    async def case(self) -> Case:
        (found,) = await self.cases()
        return found

    async def cards(self, count: int = 1) -> list[Message]:
        """The bot's messages in the alert channel that have buttons, once there are so many."""

        def found() -> list[Message]:
            return [m for m in self.alerts.messages.values() if m.components and not m.deleted]

        await self.server.until(lambda: len(found()) >= count, timeout_s=60)
        assert len(found()) == count
        return found()

    async def shown(self) -> None:
        """Every case has its card."""
        async with asyncio.timeout(60):
            await self.settled()
            while await self.store.cards.unposted("discord", ago(days=1)):
                await asyncio.sleep(0.01)

    async def card(self) -> Message:
        return (await self.cards())[0]

    async def enforce(self, **changes: Any) -> None:
        """The community's policy acts."""
        policy = (await self.pipeline.policy(self.community)).model_copy(update={"mode": Mode.ENFORCE, **changes})
        await self.pipeline.set_policy(self.community, policy)

    async def policy(self, **changes: Any) -> None:
        await self.pipeline.set_policy(self.community, Policy(**changes))

    async def runs(self, user: User, command: str, /, **options: Any) -> Answer:
        """A command in the lounge."""
        return await self.server.runs(user, self.lounge, command, options)


@asynccontextmanager
async def serving(scene: Scene, path: Path, *, set_up: bool = True) -> AsyncIterator[Scene]:
    """The bot runs until the block ends; entered again on the same path it is the same bot, started again."""
    migrated(path / "domovoi.db")
    async with Store.open(path / "domovoi.db", Sealer(bytes(range(32)))) as store, asyncio.TaskGroup() as group:
        scene.store = store
        scene.discord = discord = Discord(store, scene.access, guild_ready_timeout=0.05)

        def told(notice: Notice) -> None:
            scene.notices.append(notice)
            discord.notify(notice)

        platforms = {discord.name: discord}
        scene.pipeline = Pipeline(
            store,
            scene.classifier,
            platforms,
            adapter_of=lambda community: "global/stub",
            changed=discord.show,
            notice=told,
        )
        case_service = CaseService(store, scene.pipeline, scene.classifier, changed=discord.show)
        discord.serve(scene.pipeline, case_service, Conversation(store, case_service, scene.pipeline))
        if set_up:
            now = datetime.now(UTC)
            await store.communities.greet(scene.community, "discord", "Friends", now)
            await store.communities.save(scene.community, "discord", "Friends", scene.chosen, now)
        tasks = [group.create_task(scene.pipeline.run()), group.create_task(discord.run())]
        try:
            await scene.server.until(lambda: discord.client and discord.client.sound, timeout_s=60)
            yield scene
        finally:
            for task in tasks:
                task.cancel()


class Quick:
    """asyncio for the library's REST clients, whose pauses of up to nine seconds are a hundredth of that."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(delay_s: float) -> None:
        await asyncio.sleep(delay_s / 100)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits before every IDENTIFY but the first, between tries to connect, and between REST calls."""

    async def at_once(*_: Any, **__: Any) -> None:
        pass

    logs.configure()
    monkeypatch.setattr(discord.Client, "before_identify_hook", at_once)
    monkeypatch.setattr(discord.backoff.ExponentialBackoff, "delay", lambda _: 0.02)
    for module in (discord.http, discord.webhook.async_):
        monkeypatch.setattr(module, "asyncio", Quick())
    monkeypatch.setattr("bot.platforms.discord.missed_messages.WAIT_S", 0.02)
    monkeypatch.setattr("bot.cases.delivery.RETRY_S", 0.2)
    monkeypatch.setattr("bot.pipeline.warning_pace.GATHER_S", 0.1)
    monkeypatch.setattr("bot.platforms.discord.titles.RENAMED_WITHIN_S", 0.1)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """The bot, connected."""
    async with DiscordServer() as server, serving(Scene(server), tmp_path) as opened:
        yield opened


def ago(**much: float) -> datetime:
    """A moment in the past."""
    return datetime.now(UTC) - timedelta(**much)


Check = Callable[[], Awaitable[bool]]


def by_name(server: DiscordServer, name: str) -> bool:
    """Whether the bot has registered a command of this name."""
    return any(command["name"] == name for known in server.commands.values() for command in known.values())
