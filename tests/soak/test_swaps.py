"""Two hundred swaps under load: every score is exactly one version's, none is dropped, and a rollback is quick."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.swaps import Asked, inconsistent, indistinct, swaps

SCORES, SWAPS = 10_000, 200
PROMISED_S = 5.0
SEED = int(os.environ.get("DOMOVOI_SEED", "1"))


@pytest.mark.minds_time
async def test_every_score_is_of_one_version(tmp_path: Path) -> None:
    """Promotions and rollbacks while a hundred ask; then the operator's command."""
    result = await swaps(SCORES, SWAPS, SEED, tmp_path)
    assert not result.wrong, f"seed {SEED}: {result.wrong[:10]}"
    assert result.answers == SCORES and len(result.by_version) == 3 and min(result.by_version.values()) > SWAPS / 2
    assert result.mixed > SWAPS / 20, "no swap came while a batch was filled"
    assert result.rollback_s <= PROMISED_S


KNOWN = {("a", "g/v1"): (0.9, 0.05, 0.05), ("a", "g/v2"): (0.05, 0.9, 0.05)}
GOOD = Asked("a", "g/v1", "g/v1", (0.9, 0.0503, 0.0497))


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (replace(GOOD, shares=KNOWN["a", "g/v2"]), "is said to be g/v1's, and is g/v2's"),
        (replace(GOOD, shares=(0.5, 0.45, 0.05)), "and is nobody's"),
        (replace(GOOD, answered="g/v2", shares=KNOWN["a", "g/v2"]), "was to be g/v1's, is said to be g/v2's"),
        (replace(GOOD, answered="g/v2"), "is said to be g/v2's, and is g/v1's"),
    ],
)
def test_a_score_of_another_version_is_named(asked: Asked, named: str) -> None:
    """Another's verdict, a mixture of two, and another's name."""
    assert not inconsistent([GOOD], KNOWN)
    (sentence,) = inconsistent([GOOD, asked], KNOWN)
    assert named in sentence


def test_versions_that_agree_would_prove_nothing() -> None:
    """They are named, too."""
    assert not indistinct(KNOWN)
    assert indistinct({**KNOWN, ("a", "g/v2"): (0.88, 0.07, 0.05)}) == ["'a': g/v2 and g/v1 agree"]
