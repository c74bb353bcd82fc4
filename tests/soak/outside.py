"""Where the outside begins: stubs of a platform, a moderators' room and a model, which note what reached them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.cases.delivery import Drawing, drawing_of
from bot.domain.action import Action
from bot.domain.case import Case
from bot.domain.event import Author, MessageKey
from bot.domain.setup import Setup
from model.classifier import Item, Verdict
from tests.conftest import verdict
from tests.soak.faults import MODEL_ERRORS, PLATFORM_ERRORS, Fault, step
from tests.soak.record import Record, Said, Shown

PLATFORM, COMMUNITY = "stub", "friends"


@dataclass
class World:
    """What has reached the outside."""

    said: dict[str, list[str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    warned: Counter[str] = field(default_factory=Counter)
    timed_out: set[str] = field(default_factory=set)
    banned: set[str] = field(default_factory=set)
    cards: dict[str, tuple[tuple[int, ...], bool]] = field(default_factory=dict)
    """By message of the board: its cases, and whether it says that it may have been shown before."""
    digests: dict[str, int] = field(default_factory=dict)

    def record(self) -> Record:
        """For the oracle."""
        said = [
            Said(PLATFORM, name, f"{PLATFORM}:{name}", tuple(texts), True, name in self.deleted)
            for name, texts in self.said.items()
        ]
        shown = [
            Shown(PLATFORM, name, case, marked, name in self.digests)
            for name, (cases, marked) in self.cards.items()
            for case in cases
        ]
        names = [frozenset(f"{PLATFORM}:{name}" for name in names) for names in (self.banned, self.timed_out)]
        warned = {f"{PLATFORM}:{name}": times for name, times in self.warned.items()}
        digests = {f"{PLATFORM}:{name}": count for name, count in self.digests.items()}
        return Record(tuple(said), warned, names[0], names[1], tuple(shown), digests)


class StubPlatform:
    """Does at once what it is asked for, and notes it."""

    name = PLATFORM

    def __init__(self, world: World, fault: Fault) -> None:
        self.world, self.fault = world, fault

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        def do() -> None:
            match action.name:
                case "delete":
                    self.world.deleted.add(key.message)
                case "warn":
                    self.world.warned[author.id] += 1
                case "timeout":
                    self.world.timed_out.add(author.id)
                case "ban":
                    self.world.banned.add(author.id)

        if action.name != "alert":
            step(self.fault, "platform", PLATFORM_ERRORS, do)

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool:
        names = {"timeout": self.world.timed_out, "ban": self.world.banned}
        if action.name not in names:
            return False
        step(self.fault, "platform", PLATFORM_ERRORS, lambda: names[action.name].discard(author.id))
        return True


class StubBoard:
    """A moderators' room that cannot tell whether it has a card already, as Telegram's cannot."""

    name, recalls_s = PLATFORM, 0.0

    def __init__(self, world: World, fault: Fault) -> None:
        self.world, self.fault = world, fault

    async def setup(self, community: str) -> Setup:
        return Setup(alert_room="board")

    def communities(self) -> Sequence[str]:
        return [COMMUNITY]

    async def draw(self, setup: Setup, cases: Sequence[Case], *, digest: bool, again: bool) -> Drawing:
        return drawing_of(
            (cases, digest, again), [[case.id, case.state, case.message.state] for case in cases] + [again]
        )

    async def post(self, community: str, setup: Setup, drawing: Drawing, nonce: str) -> tuple[str, str]:
        name = f"card-{len(self.world.cards)}"
        step(self.fault, "board", PLATFORM_ERRORS, lambda: self._draw(name, *drawing.content))
        return "board", name

    async def edit(self, community: str, setup: Setup, card: tuple[str, str], drawing: Drawing) -> None:
        step(self.fault, "board", PLATFORM_ERRORS, lambda: self._draw(card[1], *drawing.content))

    async def tell(self, community: str, setup: Setup, text: str, button: str) -> None:
        step(self.fault, "board", PLATFORM_ERRORS, lambda: None)

    def _draw(self, name: str, cases: Sequence[Case], digest: bool, again: bool) -> None:
        self.world.cards[name] = tuple(case.id for case in cases), again
        if digest:
            self.world.digests[name] = len(cases)


class StubModel:
    """HATE is hate, RUDE offensive enough to act on, ODD enough to be shown; a verdict names the adapter asked for."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        def do() -> list[Verdict]:
            return [self._verdict(item) for item in items]

        answer: list[Verdict] = step(self.fault, "model", MODEL_ERRORS, do)
        return answer

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]

    def _verdict(self, item: Item) -> Verdict:
        found = verdict(0.01, 0.02)
        for word, shares in {"HATE": (0.95, 0.04), "RUDE": (0.1, 0.7), "ODD": (0.02, 0.7)}.items():
            if word in item.text:
                found = verdict(*shares)
        return Verdict(found.probabilities, found.base, item.adapter)
