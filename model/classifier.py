"""The protocol between the bot and the model: items to be scored, verdicts, and the errors of a classifier."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from model.kinds import Kind
from model.labels import LABELS, Label


@dataclass(frozen=True, slots=True)
class Item:
    """One text to be scored, and the adapter (`scope/version`) that scores it.

    Each item names its own adapter: a batch may mix communities, and a hot-swap does not split it. `categories`
    are the community's own, as (name, description); a base that reads instructions gives each a probability.
    `community` is the one whose norm (`model.norms`) is applied to the verdict; "" for none.
    `alone` keeps the item out of a batch with others, because a process died with it before.
    """

    text: str
    adapter: str
    categories: tuple[tuple[str, str], ...] = ()
    community: str = ""
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Calibrated probabilities over `LABELS` (they sum to 1), and the model that gave them.

    Raises ValueError for a number that is not a probability: a comparison with NaN is false, so a threshold would not
    stop it.

    `windows` is the number of overlapping pieces that a long text was read in; the most harmful piece decides.
    `part` is the sentence or short window that decided, "" where the whole did (`model.serving.reading`).
    `stand_in` is True where another base answered for the configured one: such a verdict may flag, never punish.
    `language` is that of a text which the base for other languages read (ISO 639, "und" where none is likely); "" for
    English. `acts` is False where that base is not good enough at the language: such a verdict may flag, never punish.
    `unread_script` names the script of most letters where the base cannot read that script; then the probabilities are
    about the remaining words alone, and a text without any is neutral: no score says anything about it.
    `categories` has the probability of each of the item's own categories (they sum to 1); empty where the base does
    not read instructions.
    `kinds` has the probability of each kind of harm (they sum to 1), for a text of several harmful parts those of the
    part with the severest kind; empty for a text that is hardly harmful, and where the base does not tell kinds.
    """

    probabilities: Mapping[Label, float]
    base: str
    adapter: str
    prompt: str = ""
    windows: int = 1
    part: str = ""
    stand_in: bool = False
    categories: Mapping[str, float] = field(default_factory=dict)
    unread_script: str = ""
    kinds: Mapping[Kind, float] = field(default_factory=dict)
    language: str = ""
    acts: bool = True

    def __post_init__(self) -> None:
        shares = [self.probabilities[label] for label in LABELS]
        if not are_probabilities((*shares, *self.categories.values(), *self.kinds.values())):
            raise ValueError(f"{shares} are not probabilities")

    @property
    def label(self) -> Label:
        """The most probable label."""
        return max(LABELS, key=lambda label: self.probabilities[label])

    @property
    def harm(self) -> float:
        """Probability that the text is hate or offensive: 1 - P(neutral)."""
        return 1.0 - self.probabilities[Label.NEUTRAL]


def are_probabilities(numbers: Iterable[object]) -> bool:
    """Whether all are finite numbers from 0 to 1, within rounding; False also for anything that is not a number."""
    return all(type(one) in (float, int) and -_ROUNDING <= one <= 1 + _ROUNDING for one in numbers)  # type: ignore[operator]


_ROUNDING = 0.01
TRIAL = "hello"
"""The harmless text that a classifier is asked to find out whether it answers."""


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
    """A call gave no verdicts; each subclass says what the caller does next."""


class NotAnswering(ClassifierError):
    """The classifier looked at no item: the same call may be answered later."""


class Unavailable(NotAnswering):
    """The classifier cannot answer now: nobody is punished, and messages wait in the journal."""


class Died(Unavailable):
    """The model's process died while it scored these items, perhaps because of one of them: ask again a few times with
    each item `alone`. The process starts again by itself."""


class Unscorable(ClassifierError):
    """Some items cannot be scored, however small the batch: `places` are their positions in the call. The others were
    not scored either; ask again without these."""

    def __init__(self, why: str, places: frozenset[int]) -> None:
        super().__init__(why)
        self.places = places


class Overloaded(NotAnswering):
    """Too many tokens are waiting: the message stays in the journal and is offered again later."""


class AdapterRejected(NotAnswering):
    """The adapter's files do not match its manifest or its base: the version before it keeps serving."""


async def classify_places(classifier: Classifier, items: Sequence[Item], places: Sequence[int]) -> list[Verdict]:
    """The verdicts of the items at `places`; `Unscorable` names places in `items`, not in the call."""
    if not places:
        return []
    try:
        return await classifier.classify([items[place] for place in places])
    except Unscorable as error:
        raise Unscorable(str(error), frozenset(places[place] for place in error.places)) from error
