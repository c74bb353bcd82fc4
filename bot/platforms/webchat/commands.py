"""Commands typed into the try-out chat: the same questions and answers as on Discord and Telegram, as plain text."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.cases.card import Card
from bot.conversation.context import Choice, File, Markup, Reply, RequestContext
from bot.conversation.conversation import Conversation
from bot.conversation.explain import Reference
from bot.conversation.report import Reported
from bot.domain.case import Case
from bot.domain.event import Author, Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.policy import Policy
from bot.domain.setup import Setup
from bot.pipeline.question_lane import Asker, Rank
from bot.platforms.webchat.chat import COMMUNITY, PEOPLE, ROOM, WebChat
from bot.store import Store
from bot.text.inert import one_line, plain
from bot.text.language import say
from model.labels import LABELS

LONGEST_FILE = 3500
MEMBERS = frozenset({"help", "explain", "report", "privacy", "mydata", "consent", "learning"})
MODERATORS = frozenset({"status", "policy", "policy …", "test", "preview", "case", "history", "explain …"})
MANAGERS = frozenset({"mode", "skip", "example"})
"""The chat's moderator manages it, too."""
_COMMAND = re.compile(r"/([a-z]+)(?:\s+(.*))?", re.DOTALL)
_MARKS = re.compile(r"\*\*([^*`]+)\*\*|`([^`]+)`")


class PlainReply(Reply):
    """Answers with a message in the room, without any markup."""

    def __init__(self, chat: WebChat, setup: Setup) -> None:
        self._chat = chat
        self._language = setup.language

    def ours(self, text: str) -> Markup:
        """Removes the marks."""
        return Markup(_MARKS.sub(lambda match: match[1] or match[2], text))

    def bold(self, text: Markup) -> Markup:
        """Returns the title unchanged."""
        return text

    def title(self, text: str) -> Markup:
        """Returns the name on one line."""
        return Markup(one_line(text, 128))

    def quote(self, text: str, limit: int = 80) -> Markup:
        """Puts the line in quotation marks."""
        return Markup(f"“{one_line(text, limit)}”")

    def block(self, text: str, limit: int = 800) -> Markup:
        """Puts the text on lines of its own."""
        return Markup(plain(text, limit) or say(self._language, "text-forgotten"))

    def person(self, number: str, name: str = "") -> Markup:
        """Returns the person's name."""
        names = {person.id: person.name for person in PEOPLE}
        return Markup(names.get(number) or one_line(name or number, 64))

    def room(self, room: str) -> Markup:
        """Returns the room's name."""
        return Markup(f"#{room}")

    def moment(self, moment: datetime) -> Markup:
        """Returns the day in UTC."""
        return Markup(f"{moment:%Y-%m-%d}")

    def link(self, case: Case) -> Markup:
        """The message stands beside."""
        return Markup("")

    async def send(
        self,
        text: Markup,
        *,
        choices: Sequence[Choice] = (),
        file: File | None = None,
        alone: bool = False,
        again: str = "",
    ) -> None:
        """Names choices by their commands, and shows a file as text."""
        lines = [text, *(f"{choice.text}: {choice.command}" for choice in choices)]
        if file is not None:
            lines.append(plain(file.data.decode("utf-8", "replace"), LONGEST_FILE))
        self._chat.answer("\n".join(lines))

    async def note(self, text: Markup) -> None:
        """Answers in the room."""
        self._chat.answer(text)

    async def send_card(self, card: Card, case: Case) -> None:
        """Shows the card's lines; its buttons are on the card beside the chat."""
        answers = [f"{moderator}: {words}" for moderator, words in card.words]
        self._chat.answer("\n".join([card.title, self.block(card.text), *card.lines, *answers, card.footer]))

    async def send_next(self, card: Card, case: Case, first: int, remaining: int) -> None:
        """The card, and how many are left."""
        await self.send_card(card, case)
        if remaining:
            self._chat.answer(say(self._language, "digest-left", count=remaining))

    async def send_labels(self, case: Case) -> None:
        """Their names."""
        labels = [label for label in LABELS if label != case.decision.label]
        self._chat.answer(" ".join([say(self._language, "which-label"), *labels]))

    async def send_outcome(self, text: Markup, case: Case, *, offers_back: bool) -> None:
        """Answers in the room."""
        self._chat.answer(text)


@dataclass(frozen=True)
class WebChatRequest(RequestContext):
    """A command of one of the chat's people."""

    chat: WebChat
    store: Store
    author: Author
    setup: Setup
    days: int
    platform = WebChat.name
    community = COMMUNITY
    room = ROOM
    consents = False

    @property
    def retention_days(self) -> int:
        """Comes from config.toml."""
        return self.days

    @property
    def reply(self) -> PlainReply:
        """Answers in the room."""
        return PlainReply(self.chat, self.setup)

    @property
    def community_name(self) -> str:
        """The chat's name."""
        return say(self.language, "webchat-name")

    @property
    def person(self) -> str:
        """The person who is played."""
        return self.author.id

    @property
    def name(self) -> str:
        """The name of the person who is played."""
        return self.author.name

    @property
    def asker(self) -> Asker:
        """Counts the person who is played."""
        rank = Rank.MODERATOR if self.author.is_moderator else Rank.MEMBER
        return Asker(COMMUNITY, self.moderator, rank)

    @property
    def pseudonym(self) -> str:
        """Sealed with the chat's key."""
        return self.store.sealer.author(self.platform, COMMUNITY, self.author.id)

    def may(self, deed: str) -> bool:
        """Members ask about themselves, the moderator everything else."""
        return deed in MEMBERS or (self.author.is_moderator and deed in MODERATORS | MANAGERS)

    def refusal(self, deed: str) -> str:
        """The one moderator."""
        return say(self.language, "not-allowed-webchat")

    def lacks(self, policy: Policy, *, with_lent: bool = False) -> list[str]:
        """The chat knows no rights of its own."""
        return []

    def lacks_to_undo(self, case: Case) -> list[str]:
        """The chat knows no rights of its own."""
        return []

    async def may_read(self, key: MessageKey) -> bool:
        """Says whether the text was written in the chat."""
        return key.platform == self.platform and key.community == COMMUNITY

    async def recent_messages(self, limit: int) -> tuple[Markup, list[Message]]:
        """Returns messages from the journal."""
        return self.reply.room(ROOM), await self.store.recent(self.platform, COMMUNITY, limit)

    async def post_back(self, case: Case, text: Markup) -> None:
        """Posts the text as an answer."""
        self.chat.answer(text)

    async def missing_rights(self) -> list[Notice]:
        """The chat has no rights that could be missing."""
        return []

    def troubles(self) -> list[Notice]:
        """The chat has no connection that could fail."""
        return []

    def faults(self) -> list[Notice]:
        """The chat has no other faults."""
        return []

    def cards_line(self) -> Markup:
        """Beside the chat."""
        return self.say("webchat-alerts")

    def learning_line(self) -> str:
        """Texts typed here were written by a moderator."""
        return say(self.language, "webchat-learning")

    def left_alone(self, policy: Policy) -> Markup:
        """Roles and rooms by name."""
        return Markup(", ".join([*sorted(policy.exempt_roles), *sorted(policy.exempt_rooms)]))


class EarlierMessage(Reference):
    """The last message before a command, or a message by its number; see `Reference`."""

    def __init__(self, request: WebChatRequest, number: str) -> None:
        self._request = request
        self._number = number

    @property
    def number(self) -> str:
        """The message's."""
        return self._number

    async def fetch(self) -> tuple[Message, bool] | None:
        """Returns the message as the room shows it."""
        posted = self._request.chat.messages.get(self._number)
        if posted is None:
            return None
        key = MessageKey(WebChat.name, COMMUNITY, ROOM, posted.id)
        author = next((one for one in PEOPLE if one.id == posted.person), Author(posted.person, posted.name))
        return Message(key, author, posted.text, posted.sent_at), posted.person == self._request.person


class ChatCommands:
    """Carries out what is typed with a slash."""

    def __init__(self, chat: WebChat, store: Store, conversation: Conversation, retention_days: int) -> None:
        self._chat = chat
        self._store = store
        self._conversation = conversation
        self._retention_days = retention_days
        self._own: Mapping[str, Callable[[WebChatRequest, str], Awaitable[None]]] = {
            "explain": self._explain,
            "report": self._report,
            "history": lambda request, typed: conversation.cases.history(request, typed.lower()),
            "skip": lambda request, _: conversation.policy.skip(request, ROOM),
        }

    def command_of(self, text: str) -> tuple[str, str] | None:
        """Returns (command, what follows it); None for a message."""
        match = _COMMAND.fullmatch(text.strip())
        if match is None or (match[1] not in self._own and match[1] not in self._conversation.typed):
            return None
        return match[1], (match[2] or "").strip()

    async def run(self, event: Message, name: str, typed: str) -> None:
        """Answers in the room. `event` is the message that the command was typed as."""
        request = WebChatRequest(self._chat, self._store, event.author, Setup(), self._retention_days)
        deed = "policy …" if name == "policy" and typed else name
        if not request.may(deed):
            await request.tell(request.reply.ours(request.refusal(deed)))
            return
        work = self._own.get(name) or self._conversation.typed[name]
        await work(request, typed)

    async def _explain(self, request: WebChatRequest, typed: str) -> None:
        await self._conversation.explain.message(request, EarlierMessage(request, typed or self._last(request.author)))

    async def _report(self, request: WebChatRequest, typed: str) -> None:
        fetched = await EarlierMessage(request, typed or self._last()).fetch()

        async def read() -> Message | None:
            return fetched[0] if fetched else None

        reported = Reported(fetched[0].author.id, read) if fetched else None
        await self._conversation.report.message(request, reported)

    def _last(self, asker: Author | None = None) -> str:
        """Returns the number of the last message that is neither a command nor an answer; "" for none. With `asker`, a
        member means the last message of their own."""
        people = {person.id for person in PEOPLE if asker is None or asker.is_moderator or person.id == asker.id}
        for message in reversed(self._chat.messages.values()):
            if message.person in people and self.command_of(message.text) is None:
                return message.id
        return ""
