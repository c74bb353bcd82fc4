"""A norm: how a community counts the model's labels. One community may allow what others call offensive.

The base and its adapter keep the common meaning of the labels. A norm is applied to their probabilities; everybody can
read it, and it can be changed or undone at once. `training.norms` learns the norms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from model.kinds import KINDS, Kind, share_of
from model.labels import LABELS, Label

MAY_BE_NEUTRAL: tuple[Kind, ...] = (Kind.SWEARING, Kind.INSULT, Kind.SEXUAL)
"""The kinds that a community may count as neutral. A threat, a slur or a dehumanising text never becomes neutral by its
kind; that offensive as a whole counts as neutral is a norm of its own."""

_OFFENSIVE, _NEUTRAL = LABELS.index(Label.OFFENSIVE), LABELS.index(Label.NEUTRAL)


@dataclass(frozen=True, slots=True)
class Norm:
    """In this community a text with the model's label `LABELS[i]` counts as `counts_as[i]`, and an offensive text of
    one of the `neutral_kinds` counts as neutral.

    Severity is kept (hate never counts as less than offensive does), neutral stays neutral, and hate of no kind becomes
    neutral. The norm was learned from so many `corrections` of so many `moderators`.
    """

    counts_as: tuple[Label, ...] = LABELS
    corrections: int = 0
    moderators: int = 0
    neutral_kinds: frozenset[Kind] = frozenset()

    def __post_init__(self) -> None:
        ranks = [LABELS.index(label) for label in self.counts_as]
        if len(ranks) != len(LABELS) or ranks != sorted(ranks) or self.counts_as[-1] is not Label.NEUTRAL:
            raise ValueError(
                f"{list(map(str, self.counts_as))} is not a norm: neutral must stay neutral, and severity must be kept"
            )
        if unknown := self.neutral_kinds - set(MAY_BE_NEUTRAL):
            raise ValueError(f"{', '.join(sorted(unknown))} may not count as neutral")

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
        """(3, 3): the model's probabilities (N, 3) times this matrix are the community's probabilities of texts whose
        kinds are unknown; see `training.norms.counting_matrices` for texts with kinds."""
        return [[float(counted_label is label) for label in LABELS] for counted_label in self.counts_as]

    @property
    def is_plain(self) -> bool:
        """Whether nothing changes."""
        return not self.changes and not self.neutral_kinds

    @property
    def sentence(self) -> str:
        """The norm in words, such as "swearing counts as neutral"; "" if nothing changes."""
        kinds = [f"{kind} counts as neutral" for kind in KINDS if kind in self.neutral_kinds]
        return ", ".join([*(f"{label} counts as {counted}" for label, counted in self.changes.items()), *kinds])

    def says_the_same_as(self, other: "Norm") -> bool:
        """Whether both norms count every text alike, whatever they were learned from."""
        return self.counts_as == other.counts_as and self.neutral_kinds == other.neutral_kinds

    def neutral_share(self, kinds: Mapping[Kind, float]) -> float:
        """The part of P(offensive) that counts as neutral because of a text's kinds; 0 where the kinds are unknown."""
        return share_of(kinds, self.neutral_kinds)

    def apply(self, probabilities: Sequence[float], kinds: Mapping[Kind, float] = MappingProxyType({})) -> list[float]:
        """The model's probabilities of a text and of its kinds -> the community's probabilities, in the order of
        `LABELS`."""
        moved = self.neutral_share(kinds) * probabilities[_OFFENSIVE]
        shares = [0.0] * len(LABELS)
        for share, counted_label in zip(probabilities, self.counts_as, strict=True):
            shares[LABELS.index(counted_label)] += share
        if moved:
            shares[LABELS.index(self.counts_as[_OFFENSIVE])] -= moved
            shares[_NEUTRAL] += moved
        return shares

    def to_json(self) -> dict[str, Any]:
        """The form in a manifest. `neutral_kinds` is written only if there are any, as older versions had none."""
        changes = {str(label): str(counted_label) for label, counted_label in self.changes.items()}
        kinds = {"neutral_kinds": [str(kind) for kind in KINDS if kind in self.neutral_kinds]}
        return {
            "counts_as": changes,
            "words": self.corrections,
            "moderators": self.moderators,
            **(kinds if self.neutral_kinds else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Norm":
        """Reads the form in a manifest; raises KeyError, TypeError or ValueError for anything else."""
        counts_as, corrections, moderators = data["counts_as"], data["words"], data["moderators"]
        if not isinstance(counts_as, Mapping) or type(corrections) is not int or type(moderators) is not int:
            raise TypeError("a norm has a map of labels and two whole numbers")
        changes = {Label(label): Label(counted_label) for label, counted_label in counts_as.items()}
        kinds = data.get("neutral_kinds", [])
        if not isinstance(kinds, list):
            raise TypeError("a norm's neutral kinds are a list")
        neutral_kinds = frozenset(Kind(kind) for kind in kinds)
        return cls(tuple(changes.get(label, label) for label in LABELS), corrections, moderators, neutral_kinds)


PLAIN_NORM = Norm()
"""The norm that changes nothing."""


def norm_of(norms: Mapping[str, Norm], community: str) -> Norm:
    """The community's norm, or `PLAIN_NORM` if it has none. For the name "" the only norm, if there is just one."""
    if not community:
        return next(iter(norms.values())) if len(norms) == 1 else PLAIN_NORM
    return norms.get(community, PLAIN_NORM)
