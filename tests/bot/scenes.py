"""A room and its pipeline: the real store and the real web chat; only the classifier is a stub."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from bot.cases.service import CaseService
from bot.domain.action import Action
from bot.domain.case import Case
from bot.domain.event import Author, Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.policy import Mode, Policy
from bot.pipeline.pipeline import Pipeline
from bot.platforms.webchat import WebChat
from bot.store import Store
from model.classifier import Classifier
from tests.conftest import StubClassifier
from tests.journal import unfinished

COMMUNITY = "try-out"


class Recorded(WebChat):
    """The try-out chat, which remembers what was done: (action, message)."""

    def __init__(self) -> None:
        super().__init__(lambda posted: None)
        self.done: list[tuple[Action, str]] = []

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        if action.name != "alert":
            self.done.append((action, key.message))
        await super().perform(action, key, author)

    def did(self, name: str) -> list[str]:
        """The messages about which this was done."""
        return [message for action, message in self.done if action.name == name]


class Room:
    """People in it say things and edit them; `tells` is what moderators were told."""

    def __init__(self, store: Store, classifier: Classifier) -> None:
        self.store, self.notices = store, list[Notice]()
        self.chat = Recorded()
        self.pipeline = Pipeline(
            store,
            classifier,
            {"webchat": self.chat},
            adapter_of=lambda community: "global/stub",
            notice=self.notices.append,
        )
        self.case_service = CaseService(store, self.pipeline, classifier)
        self._count = 0
        self._edits = 0

    async def enforce(self, **changes: object) -> None:
        await self.pipeline.set_policy(COMMUNITY, Policy(mode=Mode.ENFORCE, **changes))  # type: ignore[arg-type]

    async def says(self, person: str, text: str, *, wait: bool = True, ago_s: float = 0.0) -> Message:
        """A new message, by whoever: they need not be one of the chat's four people."""
        self._count += 1
        moment = datetime.fromtimestamp(datetime.now(UTC).timestamp() - ago_s, UTC)
        key = MessageKey("webchat", COMMUNITY, "lounge", str(self._count))
        event = Message(key, Author(person, person.title()), text, moment)
        self.chat.show(event)
        await self.pipeline.receive(event)
        if wait:
            await self.settled()
        return event

    async def edits(self, event: Message, text: str, *, wait: bool = True) -> Message:
        """The same message with other words."""
        self._edits += 1
        edited = replace(event, key=replace(event.key, revision=self._edits), text=text)
        await self.pipeline.receive(edited)
        if wait:
            await self.settled()
        return edited

    async def settled(self) -> None:
        """Waits until nothing is under way."""
        async with asyncio.timeout(60):
            while await unfinished(self.store, "webchat"):
                await asyncio.sleep(0.01)

    async def case(self) -> Case:
        """The only one there is."""
        (case,) = await self.store.cases(COMMUNITY)
        return case

    def told(self, name: str) -> int:
        """How often moderators were told this."""
        return sum(notice.name == name for notice in self.notices)


@asynccontextmanager
async def room(store: Store, classifier: Classifier | None = None) -> AsyncIterator[Room]:
    """The pipeline runs until the block ends."""
    scene = Room(store, classifier or StubClassifier())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(scene.pipeline.run())
        while not scene.pipeline.cap._is_loaded:
            await asyncio.sleep(0)
        yield scene
        running.cancel()
