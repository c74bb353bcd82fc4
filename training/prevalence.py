"""Estimates how common each label is among all messages of a community, from cards and a random audit of other
messages.

Cards are mostly harmful and held-out texts are balanced, so neither tells how often the bot is wrong in daily use. Each
message is in one of two strata, shown or clear. Moderators' labels give the composition of a stratum, and the journal
its size (post-stratification; Cochran 1977, "Sampling Techniques", section 5A.9).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.labels import LABELS, Label
from model.quality import MIN_AUDITED

STRATA = ("shown", "clear")


@dataclass(frozen=True, slots=True)
class Prevalence:
    """Label shares that sum to 1, in the order of `LABELS`, from `audited` clear messages and `answered` cards."""

    shares: tuple[float, ...]
    audited: int
    answered: int


def measure_prevalence(rows: Iterable[Sequence[object]]) -> dict[str, Prevalence]:
    """The prevalence of each community with enough audited messages.

    Rows are (community, stratum, label or None, messages): without a label they count all messages of the stratum, with
    a label those that moderators gave this label.
    """
    sizes: dict[tuple[str, str], int] = {}
    labelled: dict[tuple[str, str], dict[Label, int]] = {}
    for community, stratum, label, messages in rows:
        key = str(community), str(stratum)
        if label is None:
            sizes[key] = int(str(messages))
        else:
            labelled.setdefault(key, {})[Label(str(label))] = int(str(messages))
    prevalence_of = {}
    for community in {community for community, _ in sizes}:
        audited, answered = (sum(labelled.get((community, stratum), {}).values()) for stratum in ("clear", "shown"))
        if audited >= MIN_AUDITED:
            shares = [0.0] * len(LABELS)
            for stratum in STRATA:
                size, counts_of = sizes.get((community, stratum), 0), labelled.get((community, stratum), {})
                counts = [counts_of.get(label, 0) + (0.5 if stratum == "shown" else 0.0) for label in LABELS]
                total = sum(counts)
                shares = [share + size * count / total for share, count in zip(shares, counts, strict=True)]
            prevalence_of[community] = Prevalence(tuple(share / sum(shares) for share in shares), audited, answered)
    return prevalence_of
