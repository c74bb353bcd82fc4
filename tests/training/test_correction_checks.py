"""What corrections say against a candidate, with stubs that agree with a given number of them."""

from collections.abc import Sequence

import pytest

from model.labels import Label
from model.norms import Norm
from training.correction_checks import gain_objections, unseen_objections
from training.corrections import Correction
from training.examples import Example


class StubAdapter:
    """Agrees with so many corrections of each call."""

    def __init__(self, agreeing: int, norms: dict[str, Norm] | None = None) -> None:
        self._agreeing = agreeing
        self.norms = norms or {}

    def count_agreeing(self, corrections: Sequence[Correction]) -> int:
        return self._agreeing


def corrections(count: int) -> list[Correction]:
    return [Correction(str(n), Example(f"text {n}", Label.HATE), "mod") for n in range(count)]


@pytest.mark.parametrize(
    ("count", "was", "will", "objects"),
    [
        (250, 11, 21, "of 239 corrections that were answered otherwise, only 10 more are answered as you said"),
        (250, 11, 34, "of 239 corrections that were answered otherwise, only 23 more are answered as you said"),
        (250, 11, 35, ""),
        (250, 11, 11, "11 of 250 corrections are answered as you said, no more than before"),
        (250, 11, 9, "9 of 250 corrections are answered as you said, no more than before"),
        (3, 0, 1, ""),
        (3, 2, 3, ""),
        (3, 2, 2, "2 of 3 corrections are answered as you said, no more than before"),
        (3, 3, 3, ""),
        (0, 0, 0, ""),
    ],
)
def test_a_candidate_answers_some_of_what_was_corrected(count: int, was: int, will: int, objects: str) -> None:
    """Less than a tenth of what was answered otherwise is refused; a new norm is a gain by itself."""
    before, after = StubAdapter(was), StubAdapter(will)
    assert gain_objections(before, after, corrections(count)) == ([objects] if objects else [])  # type: ignore[arg-type]
    changed = StubAdapter(will, {"town": Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))})
    assert not gain_objections(before, changed, corrections(count))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "was", "will", "refused"), [(20, 15, 14, False), (20, 15, 13, True), (0, 0, 0, False)]
)
def test_authors_held_out_may_lose_one(count: int, was: int, will: int, refused: bool) -> None:
    """One correction of theirs may be lost, or two in a hundred."""
    found = unseen_objections(StubAdapter(was), StubAdapter(will), corrections(count))  # type: ignore[arg-type]
    assert bool(found) is refused
