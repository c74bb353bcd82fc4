"""A group with people, the unmodified python-telegram-bot against the simulated Telegram, and the real pipeline and
store; only the classifier is a stub."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.domain.case import Case
from bot.domain.notice import Notice
from bot.domain.policy import Mode, Policy
from bot.pipeline.pipeline import Pipeline
from bot.platforms.telegram import Access, Telegram
from bot.store import Sealer, Store
from tests.conftest import StubClassifier, migrated
from tests.journal import unfinished
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Chat, Message, User


class Scene:
    """Friends: a supergroup with an owner, an administrator, two members, and a moderators' chat."""

    def __init__(self, server: TelegramServer) -> None:
        self.server = server
        self.store: Store
        self.telegram: Telegram
        self.pipeline: Pipeline
        self.classifier = StubClassifier()
        self.group: Chat = server.add_group("Friends")
        self.owner: User = server.owner(self.group)
        self.board: Chat = server.add_group("CaseService", owner=self.owner)
        self.mod, self.ann, self.ben = (server.add_user(name) for name in ("Mo", "Ann", "Ben"))
        server.join(self.group, self.mod, "administrator")
        server.join(self.group, self.ann)
        server.join(self.group, self.ben)
        self.notices: list[Notice] = []
        self.access = Access(server.token, api=server.api)

    @property
    def community(self) -> str:
        return f"telegram-{self.group.id}"

    async def settled(self) -> None:
        """Everything that was said is confirmed, handled and through."""
        async with asyncio.timeout(60):
            while self.server.updates or not self.telegram.updates.idle or await unfinished(self.store, "telegram"):
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
        """The bot's messages with buttons in the moderators' chat, once there are so many."""

        def found() -> list[Message]:
            return [message for message in self.server.by_bot(self.board) if message.buttons]

        await self.server.until(lambda: len(found()) >= count, timeout_s=60)
        assert len(found()) == count
        return found()

    async def card(self) -> Message:
        return (await self.cards())[0]

    async def policy(self, **changes: Any) -> None:
        await self.pipeline.set_policy(self.community, Policy(**changes))

    async def enforce(self, **changes: Any) -> None:
        """The community's policy acts."""
        await self.policy(mode=Mode.ENFORCE, **changes)

    async def asks(self, user: User, command: str) -> str:
        """A command in private; the bot's next message there."""
        chat = self.server.private(user)
        before = len(self.server.by_bot(chat))
        await self.server.tells(user, command)
        await self.server.until(lambda: len(self.server.by_bot(chat)) > before)
        return self.server.by_bot(chat)[-1].text


@asynccontextmanager
async def serving(scene: Scene, path: Path, *, set_up: bool = True, patient: bool = False) -> AsyncIterator[Scene]:
    """The bot runs until the block ends; entered again on the same path it is the same bot, started again."""
    migrated(path / "domovoi.db")
    async with Store.open(path / "domovoi.db", Sealer(bytes(range(32)))) as store, asyncio.TaskGroup() as group:
        scene.store = store
        scene.telegram = platform = Telegram(store, scene.access)

        def told(notice: Notice) -> None:
            scene.notices.append(notice)
            platform.notify(notice)

        platforms = {platform.name: platform}
        scene.pipeline = Pipeline(
            store,
            scene.classifier,
            platforms,
            adapter_of=lambda community: "global/stub",
            changed=platform.show,
            notice=told,
        )
        case_service = CaseService(store, scene.pipeline, scene.classifier, changed=platform.show)
        platform.serve(scene.pipeline, case_service, Conversation(store, case_service, scene.pipeline))
        if set_up:
            now = datetime.now(UTC)
            for chat, board in ((scene.group, scene.board), (scene.board, None)):
                name = f"telegram-{chat.id}"
                await store.communities.greet(name, "telegram", chat.title, now)
                if board is not None:
                    setup = {"alert_room": str(board.id), "done": True}
                    await store.communities.save(name, "telegram", chat.title, setup, now)
        tasks = [group.create_task(scene.pipeline.run()), group.create_task(platform.run())]
        try:
            await scene.server.until(lambda: platform.trouble is None, timeout_s=600 if patient else 60)
            yield scene
        finally:
            for task in tasks:
                task.cancel()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's patience is not needed where nobody counts; a test that counts sets it back."""
    monkeypatch.setattr("bot.platforms.telegram.service.PER_MINUTE", 100_000)
    monkeypatch.setattr("bot.pipeline.warning_pace.GATHER_S", 0.1)
    monkeypatch.setattr("bot.platforms.telegram.updates.FLUSH_S", 0.01)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """The bot, connected."""
    async with TelegramServer() as server, serving(Scene(server), tmp_path) as opened:
        yield opened


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Scene]:
    """The bot, connected, and nobody has set anything up."""
    async with TelegramServer() as server, serving(Scene(server), tmp_path, set_up=False) as opened:
        yield opened
