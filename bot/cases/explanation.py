"""Why a text got its label, as data."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.explain import Evidence
from model.labels import Label


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text got its label: how much each word carried, and the past corrections it is most like.

    `part` is the sentence or the few words that decided; "" where the whole text did.
    """

    label: Label
    words: Sequence[Evidence]
    nearest: Sequence[tuple[str, Label, float]]
    part: str = ""
