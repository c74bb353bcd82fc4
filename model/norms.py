"""What a community counts the model's labels as: one may allow what is called offensive elsewhere.

The base and its adapter keep the common meaning of the labels; a norm is applied to their probabilities and can be read
by anybody, changed at once and taken back as easily. Which norms hold is learned in `training.norms`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.labels import LABELS, Label


@dataclass(frozen=True, slots=True)
class Norm:
    """`counts_as[i]` is what a text counts as that the model gives `LABELS[i]`.

    Severity is kept (what is hate never counts for less than what is offensive) and neutral stays neutral. `words` and
    `moderators` say how many it was learned from.
    """

    counts_as: tuple[Label, ...] = LABELS
    words: int = 0
    moderators: int = 0

    def __post_init__(self) -> None:
        ranks = [LABELS.index(label) for label in self.counts_as]
        if len(ranks) != len(LABELS) or ranks != sorted(ranks) or self.counts_as[-1] is not Label.NEUTRAL:
            raise ValueError(f"{list(map(str, self.counts_as))} is no norm: neutral stays, and severity is kept")

    @property
    def changes(self) -> Mapping[Label, Label]:
        """The labels that count as another; empty where the model's labels are taken as they are."""
        return {label: as_ for label, as_ in zip(LABELS, self.counts_as, strict=True) if label is not as_}

    @property
    def matrix(self) -> list[list[float]]:
        """(3, 3): probabilities (N, 3) of the model's labels times this are those of the community's."""
        return [[float(as_ is label) for label in LABELS] for as_ in self.counts_as]

    @property
    def sentence(self) -> str:
        """In words, such as "offensive counts as neutral"; "" where nothing changes."""
        return ", ".join(f"{label} counts as {as_}" for label, as_ in self.changes.items())

    def apply(self, probabilities: Sequence[float]) -> list[float]:
        """Probabilities of the model's labels -> of the community's, both in the order of `LABELS`."""
        shares = [0.0] * len(LABELS)
        for share, as_ in zip(probabilities, self.counts_as, strict=True):
            shares[LABELS.index(as_)] += share
        return shares

    def to_json(self) -> dict[str, Any]:
        """As kept in a manifest."""
        changes = {str(label): str(as_) for label, as_ in self.changes.items()}
        return {"counts_as": changes, "words": self.words, "moderators": self.moderators}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Norm":
        """As read from a manifest; raises KeyError, TypeError or ValueError on anything else."""
        counts_as, words, moderators = data["counts_as"], data["words"], data["moderators"]
        if not isinstance(counts_as, Mapping) or type(words) is not int or type(moderators) is not int:
            raise TypeError("a norm has a map of labels and two whole numbers")
        changes = {Label(label): Label(as_) for label, as_ in counts_as.items()}
        return cls(tuple(changes.get(label, label) for label in LABELS), words, moderators)


PLAIN = Norm()
"""The model's labels as they are."""


def norm_of(norms: Mapping[str, Norm], community: str) -> Norm:
    """The community's norm; `PLAIN` where it has none. Without a name, the only one there is, if there is one only."""
    if not community:
        return next(iter(norms.values())) if len(norms) == 1 else PLAIN
    return norms.get(community, PLAIN)
