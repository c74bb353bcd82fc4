"""A flood from three authors: the others are read as if there were none, and nothing of it is lost."""

import os

import pytest

from tests.soak.flood import CAPACITY, flood

SECONDS = 60.0 if os.environ.get("DOMOVOI_SOAK") else 12.0


@pytest.mark.minds_time
@pytest.mark.parametrize("identical", [False, True])
async def test_a_flood_holds_up_nobody_else(identical: bool) -> None:
    """Ten times the model's capacity: ordinary authors wait at most 2 s, none of theirs is shed, all is read later."""
    found = await flood(SECONDS, identical=identical)
    assert found.written > 0.9 * 420 * SECONDS, found
    assert found.p99_s <= 2.0 and found.ordinary_shed == 0, found
    assert found.grown_mb < 200, found
    assert found.left == 0 and found.handled == found.written, found
    if identical:
        assert found.shed == 0 and found.scored <= found.ordinary + 3, found
    else:
        assert found.shed > 0 and found.waiting_as_shed > 0 and "notice-flood" in found.notices, found
        assert found.scored <= 1.1 * CAPACITY * SECONDS, found
