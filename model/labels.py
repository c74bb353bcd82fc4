"""The three labels and their order, which every tensor, file and table of the project follows."""

from enum import StrEnum


class Label(StrEnum):
    """What a message is. The order of definition is the order of every label axis."""

    HATE = "hate"
    OFFENSIVE = "offensive"
    NEUTRAL = "neutral"


LABELS: tuple[Label, ...] = tuple(Label)
HARMFUL: tuple[Label, ...] = (Label.HATE, Label.OFFENSIVE)
