"""A band's savings and losses, counted by hand."""

import pytest

from benchmarks.two_stages import BANDS, main, sweep
from model.labels import Label
from model.table import BadData
from tests.conftest import verdict


def test_a_band_is_judged_by_what_the_second_stage_would_have_found() -> None:
    """Of four harmful texts the second stage finds three, and the first stage misses one of them."""
    first = [verdict(0.9), verdict(0.04), verdict(0.3), verdict(0.001)] + [verdict(0.004)] * 3 + [verdict(0.12)]
    second = [verdict(0.9), verdict(0.9), verdict(0.9), verdict(0.1)] + [verdict(0.0)] * 4
    labels = [Label.HATE] * 4 + [Label.NEUTRAL] * 4
    points = {point.below: point for point in sweep(first, second, labels, harmful_share=0.1)}
    assert list(points) == list(BANDS)
    assert (points[0.02].lost, points[0.02].found, points[0.02].saved) == (0, 3, 0.5)
    assert (points[0.05].lost, points[0.05].saved) == (1, 5 / 8)
    assert points[0.05].recall_lost == pytest.approx(1 / 3)
    assert points[0.05].saved_in_chat == pytest.approx(0.1 * 2 / 4 + 0.9 * 3 / 4)


def test_one_kind_of_text_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """A file with one kind of text, or a missing file, gives one line."""
    with pytest.raises(BadData, match="only one kind"):
        sweep([verdict()], [verdict()], [Label.NEUTRAL], 0.1)
    assert main(["--data", "/nowhere.csv"]) == 2 and capsys.readouterr().err.count("\n") == 1
