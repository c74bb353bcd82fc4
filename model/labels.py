"""The three labels, in the order that every tensor, file and table of the project uses."""

from enum import StrEnum


class Label(StrEnum):
    """The class of a message. The order of definition is the order of every label axis."""

    HATE = "hate"
    OFFENSIVE = "offensive"
    NEUTRAL = "neutral"


LABELS: tuple[Label, ...] = tuple(Label)
HARMFUL: tuple[Label, ...] = (Label.HATE, Label.OFFENSIVE)
