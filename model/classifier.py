"""What a caller may ask of a classifier, and what comes back: the seam between the bot and the model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from model.labels import LABELS, Label


@dataclass(frozen=True, slots=True)
class Item:
    """One text to be scored, and the adapter (`scope/version`) that shall score it.

    Each item carries its own adapter, so a batch may mix communities and stays whole across a hot-swap. `categories`
    are a community's own, (name, description) each; a base that reads instructions says how probable each is.
    `community` names whose norm the verdict follows (`model.norms`); "" is the only one the adapter has learned.
    `alone` keeps it out of a batch with others: a process died with it before.
    """

    text: str
    adapter: str
    categories: tuple[tuple[str, str], ...] = ()
    community: str = ""
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Calibrated probabilities over `LABELS` (they sum to 1), and which model said so.

    There is no verdict with a probability that is none: ValueError. A comparison with NaN is false, so such a score
    would pass every threshold.

    `windows` is the number of overlapping pieces a long text was read in; the worst piece speaks for the whole.
    `stand_in` marks the word of a base that answers for another: good enough to flag, never to punish. `categories` has
    the probability of each of the item's own categories (they sum to 1), none where the base reads no instructions.
    """

    probabilities: Mapping[Label, float]
    base: str
    adapter: str
    prompt: str = ""
    windows: int = 1
    stand_in: bool = False
    categories: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shares = [self.probabilities[label] for label in LABELS]
        if not are_probabilities((*shares, *self.categories.values())):
            raise ValueError(f"{shares} are no probabilities")

    @property
    def label(self) -> Label:
        """The most probable label."""
        return max(LABELS, key=lambda label: self.probabilities[label])

    @property
    def harm(self) -> float:
        """Probability that the text is hate or offensive: 1 - P(neutral)."""
        return 1.0 - self.probabilities[Label.NEUTRAL]


def are_probabilities(numbers: Iterable[object]) -> bool:
    """Whether all are finite numbers from 0 to 1, but for rounding; also False for what is no number at all."""
    return all(type(one) in (float, int) and -_ROUNDING <= one <= 1 + _ROUNDING for one in numbers)  # type: ignore[operator]


_ROUNDING = 0.01
TRIAL = "hello"
"""What a classifier is asked to see whether it answers: a text that harms nobody."""


class Classifier(Protocol):
    """Scores texts. Pure and ordered: the same items give the same verdicts, so a retry is always safe."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order. Raises a `ClassifierError`: `Unscorable`, or one of `NotAnswering`, which are
        `Unavailable` (`Died` is one), `Overloaded` and `AdapterRejected`."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text from the frozen base (no adapter), for nearest neighbours."""
        ...


class ClassifierError(Exception):
    """There are no verdicts; each kind says what the caller does next."""


class NotAnswering(ClassifierError):
    """No item was looked at, whatever it says: the same call may be answered later."""


class Unavailable(NotAnswering):
    """The classifier cannot answer now; nothing may be punished, messages wait in the journal."""


class Died(Unavailable):
    """The model's process died with these items in hand, perhaps because of one of them: ask again for each `alone`, a
    few times. The process comes back by itself."""


class Unscorable(ClassifierError):
    """Some items cannot be scored, however small the batch: `places` are their positions in the call. The others were
    not answered; ask again without these."""

    def __init__(self, why: str, places: frozenset[int]) -> None:
        super().__init__(why)
        self.places = places


class Overloaded(NotAnswering):
    """Too many tokens are waiting; leave the message in the journal and offer it again later."""


class AdapterRejected(NotAnswering):
    """The adapter's files do not match its manifest or its base; keep serving the version before it."""


async def by_place(classifier: Classifier, items: Sequence[Item], places: Sequence[int]) -> list[Verdict]:
    """The verdicts of the items at some places; those that cannot be scored are named by their places in `items`."""
    if not places:
        return []
    try:
        return await classifier.classify([items[place] for place in places])
    except Unscorable as error:
        raise Unscorable(str(error), frozenset(places[place] for place in error.places)) from error
