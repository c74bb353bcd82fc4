"""The kinds of harm: what a harmful text is, beside how bad it is. The order is that of every kind axis."""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Kind(StrEnum):
    """What kind of harm a harmful text is. The output is conditional: probabilities over the kinds sum to 1, and a
    harmless text has none."""

    SWEARING = "swearing"
    """At nobody: at things, at oneself, or as an exclamation."""
    INSULT = "insult"
    """Of a person."""
    THREAT = "threat"
    """Also a wish of death, and a call to harm oneself."""
    SEXUAL = "sexual"
    """Sexual harassment."""
    SLUR = "slur"
    """A slur, or an attack on a group."""
    DEHUMANISING = "dehumanising"
    """Calls people animals, vermin, a disease or things."""


KINDS: tuple[Kind, ...] = tuple(Kind)
HARM_BAR = 0.35
"""From this P(hate or offensive) on a text has kinds. No preset shows a text below it."""

SEVERITY: tuple[Kind, ...] = (Kind.SWEARING, Kind.INSULT, Kind.SEXUAL, Kind.SLUR, Kind.DEHUMANISING, Kind.THREAT)
"""From mild to severe. A text of several harmful parts is of the severest kind among them, so no allowed kind hides
another."""

DESCRIPTIONS: Mapping[Kind, str] = {
    Kind.SWEARING: "vulgar words aimed at nobody, at things or at oneself",
    Kind.INSULT: "insults a person",
    Kind.THREAT: "threatens somebody, wishes somebody death, or tells somebody to harm themselves",
    Kind.SEXUAL: "sexual harassment: lewd remarks or demands",
    Kind.SLUR: "uses a slur, or attacks people for their group",
    Kind.DEHUMANISING: "calls people animals, vermin, a disease or things",
}
"""What an instruction says about each kind."""


def likeliest(kinds: Mapping[Kind, float]) -> Kind | None:
    """The most probable kind; None where the kinds are unknown."""
    return max(kinds, key=lambda kind: kinds[kind]) if kinds else None


def share_of(kinds: Mapping[Kind, float], some: Iterable[Kind]) -> float:
    """The probability that a text is of one of `some` kinds; 0 where the kinds are unknown."""
    return min(1.0, sum(kinds.get(kind, 0.0) for kind in some))


def severest(rows: Iterable[Mapping[Kind, float]]) -> Mapping[Kind, float]:
    """The row of the severest kind; {} if no row has kinds."""
    known = [row for row in rows if row]
    return max(known, key=lambda row: SEVERITY.index(max(row, key=lambda kind: row[kind]))) if known else {}
