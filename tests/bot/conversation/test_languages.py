"""What people are told about the language of a text, and about the languages that the bot reads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.pipeline.pipeline import Pipeline
from bot.platforms.webchat.chat import WebChat
from bot.platforms.webchat.commands import ChatCommands
from bot.store import Store
from model.classifier import Item, Verdict
from tests.conftest import verdict


@dataclass
class InLanguage:
    """Every text is harmful and in one language, where the model acts or does not."""

    language: str
    acts: bool

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        return [replace(verdict(0.99), language=self.language, acts=self.acts) for _ in items]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]


async def answer(store: Store, classifier: InLanguage, command: str, languages: frozenset[str]) -> str:
    """What the try-out chat answers the moderator."""
    chat = WebChat(lambda posted: None)
    pipeline = Pipeline(store, classifier, {chat.name: chat}, adapter_of=lambda community: "global/stub")
    cases = CaseService(store, pipeline, classifier)
    commands = ChatCommands(chat, store, Conversation(store, cases, pipeline, languages), 30)
    event = chat.compose("dana", command, datetime.now(UTC))
    chat.show(event)
    found = commands.command_of(event.text)
    assert found is not None
    await commands.run(event, *found)
    return list(chat.messages.values())[-1].text


@pytest.mark.parametrize(
    ("language", "acts", "expected"),
    [("de", True, "Language: German."), ("ka", False, "Language: ka."), ("und", False, "Language: unclear.")],
)
async def test_an_explanation_names_the_language(language: str, acts: bool, expected: str, store: Store) -> None:
    """And says where the bot is not good enough at it to act."""
    told = await answer(store, InLanguage(language, acts), "/test hallo du", frozenset())
    assert expected in told and ("not good enough at this language" in told) is not acts


async def test_english_is_not_named(store: Store) -> None:
    """Nearly all texts of most servers are in English."""
    assert "Language" not in await answer(store, InLanguage("", True), "/test hello you", frozenset())


async def test_status_names_the_languages(store: Store) -> None:
    """In the order of their names; nothing where English alone is read."""
    told = await answer(store, InLanguage("", True), "/status", frozenset({"ru", "de"}))
    assert "Beside English I read German, Russian." in told
    assert "English" not in await answer(store, InLanguage("", True), "/status", frozenset())
