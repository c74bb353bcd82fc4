"""Defines a request and a reply: the asker, their community and rights, and how the platform writes the answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.cases.card import Card
from bot.domain.case import Case
from bot.domain.event import Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.policy import Policy
from bot.domain.setup import Setup
from bot.pipeline.question_lane import Asker
from bot.text.language import Language, say

_PRIVATE_USE = 0xE000
"""Private-use characters stand for markup while a text is filled in; no language uses them."""


class Markup(str):
    """Text in a platform's own markup, ready to be sent: what members typed in it is inert."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A button below an answer: a click brings `verb` and `argument` back; `command` means the same."""

    verb: str
    argument: str
    text: str
    command: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that comes with an answer."""

    name: str
    data: bytes


class Reply(ABC):
    """Writes an answer in one platform's markup and sends it to the asker."""

    @abstractmethod
    def ours(self, text: str) -> Markup:
        """A sentence of ours, in which ** and ` mark words."""

    @abstractmethod
    def bold(self, text: Markup) -> Markup:
        """A title."""

    @abstractmethod
    def title(self, text: str) -> Markup:
        """The name of a community, which a member typed, inert."""

    @abstractmethod
    def quote(self, text: str, limit: int = 80) -> Markup:
        """One line that a member typed, inert."""

    @abstractmethod
    def block(self, text: str, limit: int = 800) -> Markup:
        """Lines that a member typed, inert."""

    @abstractmethod
    def person(self, number: str, name: str = "") -> Markup:
        """Names a member by their id on this platform, without notifying them; by name where there is no id."""

    @abstractmethod
    def room(self, room: str) -> Markup:
        """A room by its id."""

    @abstractmethod
    def moment(self, moment: datetime) -> Markup:
        """A day."""

    @abstractmethod
    def link(self, case: Case) -> Markup:
        """Returns a link to the message of a case; "" where there is none."""

    @abstractmethod
    async def send(
        self,
        text: Markup,
        *,
        choices: Sequence[Choice] = (),
        file: File | None = None,
        alone: bool = False,
        again: str = "",
    ) -> None:
        """Sends the answer to the asker alone or among moderators; `alone`: never among moderators.

        `again` is an argument, such as a number, with which the same command gives the same answer elsewhere.
        """

    @abstractmethod
    async def note(self, text: Markup) -> None:
        """A few words on a click."""

    @abstractmethod
    async def send_card(self, card: Card, case: Case) -> None:
        """A case's card, as an answer."""

    @abstractmethod
    async def send_next(self, card: Card, case: Case, first: int, remaining: int) -> None:
        """The next card of the digest whose first case is `first`, of which so many more are open."""

    @abstractmethod
    async def send_labels(self, case: Case) -> None:
        """Buttons that ask which label is right."""

    @abstractmethod
    async def send_outcome(self, text: Markup, case: Case, *, offers_back: bool) -> None:
        """Tells what a click on a card came to; `offers_back` adds a button that posts the removed text back."""


class RequestContext(ABC):
    """One question of one person about one community. Rights are those of the moment when it was asked."""

    platform: str
    setup: Setup
    posts_once = False
    """Whether the platform itself drops a post that is sent twice."""
    shows_waiting = True
    """Whether the platform shows that an answer is awaited, so that each question must get one."""

    @property
    @abstractmethod
    def reply(self) -> Reply:
        """Writes and sends the answer."""

    @property
    def language(self) -> Language:
        """The community's."""
        return self.setup.language

    @property
    @abstractmethod
    def community(self) -> str:
        """The community whose policy and cases the question is about."""

    @property
    @abstractmethod
    def community_name(self) -> str:
        """The community's name, typed by a member."""

    @property
    @abstractmethod
    def room(self) -> str:
        """The room in which the question was asked, as a message's key names rooms."""

    @property
    @abstractmethod
    def person(self) -> str:
        """The asker's id on the platform; "" where they are hidden."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The asker's name, typed by a member."""

    @property
    @abstractmethod
    def pseudonym(self) -> str:
        """The name under which the store keeps the asker as an author."""

    @property
    def own(self) -> Sequence[tuple[str, str]]:
        """(author, community) pairs under which texts of theirs are kept."""
        return [(self.pseudonym, self.community)]

    @property
    def moderator(self) -> str:
        """The name under which the store keeps the asker as a moderator."""
        return f"{self.platform}:{self.person}"

    @property
    @abstractmethod
    def asker(self) -> Asker:
        """The asker as the model's questions count them."""

    @abstractmethod
    def may(self, deed: str) -> bool:
        """Whether they may do what the platform's table of rights calls so."""

    @abstractmethod
    def refusal(self, deed: str) -> str:
        """Returns the sentence that says who may."""

    @abstractmethod
    def lacks(self, policy: Policy, *, with_lent: bool = False) -> list[str]:
        """Returns the platform's rights that this policy makes the bot use and that the asker lacks; [] where the
        policy only shows.

        `with_lent`: rights that the set-up lends for the buttons of cards count.
        """

    @abstractmethod
    def lacks_to_undo(self, case: Case) -> list[str]:
        """The rights that it takes to lift what was done about a case, and that they lack."""

    @abstractmethod
    async def may_read(self, key: MessageKey) -> bool:
        """Whether the platform lets them read what was written there."""

    @abstractmethod
    async def recent_messages(self, limit: int) -> tuple[Markup, list[Message]]:
        """(the room, what was last written in it) as far as they may read it. Raises `PlatformError`."""

    @abstractmethod
    async def post_back(self, case: Case, text: Markup) -> None:
        """Posts a removed text where it was written. Raises `PlatformError`."""

    @abstractmethod
    async def missing_rights(self) -> list[Notice]:
        """Which rights the bot lacks there now."""

    @abstractmethod
    def troubles(self) -> list[Notice]:
        """Returns the troubles that keep the platform from working now."""

    @abstractmethod
    def faults(self) -> list[Notice]:
        """Returns other faults, each with how often and since when."""

    @abstractmethod
    def cards_line(self) -> Markup:
        """Returns a sentence that says where cards go."""

    @abstractmethod
    def learning_line(self) -> str:
        """Returns a sentence that says by which basis corrections teach here, or why they do not."""

    @abstractmethod
    def left_alone(self, policy: Policy) -> Markup:
        """Names exempt roles and rooms; "" for none."""

    @property
    @abstractmethod
    def consents(self) -> bool:
        """Whether each author's own consent decides whether their texts teach here."""

    @property
    @abstractmethod
    def retention_days(self) -> int:
        """The days for which texts are kept."""

    async def is_author(self) -> bool:
        """Whether they are a member, whose texts there are or can be."""
        return True

    def say(self, name: str, **arguments: "str | int | float | Markup") -> Markup:
        """Fills in the text called `name` in the community's language; plain arguments are our own words."""
        plain, markup = dict[str, str | int | float](), dict[str, Markup]()
        for key, value in arguments.items():
            if isinstance(value, Markup):
                mark = chr(_PRIVATE_USE + len(markup))
                plain[key], markup[mark] = mark, value
            else:
                plain[key] = value
        text = self.reply.ours(say(self.language, name, **plain))
        return Markup("".join(markup.get(character, character) for character in text))

    def notice(self, notice: Notice) -> Markup:
        """A notice in the community's language."""
        return self.reply.ours(notice.text(self.language))

    def beyond(self, rights: Sequence[str]) -> Markup | None:
        """Returns the sentence that the bot would do what the asker may not do by hand; None where it would not."""
        if not rights:
            return None
        names = ", ".join(f"“{say(self.language, f'right-{right}')}”" for right in rights)
        return self.say("not-allowed-beyond", rights=names)

    async def tell(self, *lines: Markup, choices: Sequence[Choice] = (), again: str = "", alone: bool = False) -> None:
        """Answers with these lines."""
        await self.reply.send(Markup("\n".join(lines)), choices=choices, again=again, alone=alone)
