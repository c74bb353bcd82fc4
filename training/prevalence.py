"""How common each label is among all messages of a community, from cards and a random audit of what nobody was shown.

What is shown to moderators is mostly harmful and held-out texts are balanced, so neither says how often a bot is wrong
in daily life. Each message is in one of two strata, shown or clear; moderators' words say what a stratum is made of,
and the journal how large it is (post-stratification; Cochran 1977, "Sampling Techniques", section 5A.9).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.labels import LABELS, Label
from model.quality import MIN_AUDITED

STRATA = ("shown", "clear")


@dataclass(frozen=True, slots=True)
class Prevalence:
    """`shares` sum to 1, in the order of `LABELS`; `audited` clear messages and `answered` cards say so."""

    shares: tuple[float, ...]
    audited: int
    answered: int


def prevalences(rows: Iterable[Sequence[object]]) -> dict[str, Prevalence]:
    """Of each community that has looked at enough. Rows are (community, stratum, label or None, messages): without a
    label all messages of the stratum, with one those that moderators gave it."""
    sizes: dict[tuple[str, str], int] = {}
    words: dict[tuple[str, str], dict[Label, int]] = {}
    for community, stratum, label, messages in rows:
        where = str(community), str(stratum)
        if label is None:
            sizes[where] = int(str(messages))
        else:
            words.setdefault(where, {})[Label(str(label))] = int(str(messages))
    found = {}
    for community in {community for community, _ in sizes}:
        audited, answered = (sum(words.get((community, stratum), {}).values()) for stratum in ("clear", "shown"))
        if audited >= MIN_AUDITED:
            shares = [0.0] * len(LABELS)
            for stratum in STRATA:
                size, said = sizes.get((community, stratum), 0), words.get((community, stratum), {})
                counts = [said.get(label, 0) + (0.5 if stratum == "shown" else 0.0) for label in LABELS]
                total = sum(counts)
                shares = [share + size * count / total for share, count in zip(shares, counts, strict=True)]
            found[community] = Prevalence(tuple(share / sum(shares) for share in shares), audited, answered)
    return found
