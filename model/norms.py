"""A norm: how a community counts the model's labels. One community may allow what others call offensive.

The base and its adapter keep the common meaning of the labels. A norm is applied to their probabilities; everybody can
read it, and it can be changed or undone at once. `training.norms` learns the norms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.labels import LABELS, Label


@dataclass(frozen=True, slots=True)
class Norm:
    """In this community a text with the model's label `LABELS[i]` counts as `counts_as[i]`.

    Severity is kept (hate never counts as less than offensive does) and neutral stays neutral. The norm was learned
    from so many `corrections` of so many `moderators`.
    """

    counts_as: tuple[Label, ...] = LABELS
    corrections: int = 0
    moderators: int = 0

    def __post_init__(self) -> None:
        ranks = [LABELS.index(label) for label in self.counts_as]
        if len(ranks) != len(LABELS) or ranks != sorted(ranks) or self.counts_as[-1] is not Label.NEUTRAL:
            raise ValueError(
                f"{list(map(str, self.counts_as))} is not a norm: neutral must stay neutral, and severity must be kept"
            )

    @property
    def changes(self) -> Mapping[Label, Label]:
        """The labels that count as another label; empty if none does."""
        return {
            label: counted_label
            for label, counted_label in zip(LABELS, self.counts_as, strict=True)
            if label is not counted_label
        }

    @property
    def matrix(self) -> list[list[float]]:
        """(3, 3): the model's probabilities (N, 3) times this matrix are the community's probabilities."""
        return [[float(counted_label is label) for label in LABELS] for counted_label in self.counts_as]

    @property
    def sentence(self) -> str:
        """The norm in words, such as "offensive counts as neutral"; "" if nothing changes."""
        return ", ".join(f"{label} counts as {counted_label}" for label, counted_label in self.changes.items())

    def apply(self, probabilities: Sequence[float]) -> list[float]:
        """The model's probabilities -> the community's probabilities, both in the order of `LABELS`."""
        shares = [0.0] * len(LABELS)
        for share, counted_label in zip(probabilities, self.counts_as, strict=True):
            shares[LABELS.index(counted_label)] += share
        return shares

    def to_json(self) -> dict[str, Any]:
        """The form in a manifest."""
        changes = {str(label): str(counted_label) for label, counted_label in self.changes.items()}
        return {"counts_as": changes, "words": self.corrections, "moderators": self.moderators}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Norm":
        """Reads the form in a manifest; raises KeyError, TypeError or ValueError for anything else."""
        counts_as, corrections, moderators = data["counts_as"], data["words"], data["moderators"]
        if not isinstance(counts_as, Mapping) or type(corrections) is not int or type(moderators) is not int:
            raise TypeError("a norm has a map of labels and two whole numbers")
        changes = {Label(label): Label(counted_label) for label, counted_label in counts_as.items()}
        return cls(tuple(changes.get(label, label) for label in LABELS), corrections, moderators)


PLAIN_NORM = Norm()
"""The norm that changes nothing."""


def norm_of(norms: Mapping[str, Norm], community: str) -> Norm:
    """The community's norm, or `PLAIN_NORM` if it has none. For the name "" the only norm, if there is just one."""
    if not community:
        return next(iter(norms.values())) if len(norms) == 1 else PLAIN_NORM
    return norms.get(community, PLAIN_NORM)
