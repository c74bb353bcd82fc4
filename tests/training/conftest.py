"""Scenery of the tests that refresh for real."""

import pytest

from training import refresh_run
from training.examples import Example
from training.samples import read_held_out


@pytest.fixture
def few_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fifth held-out text, where a test is not about what they say: they take most of a refresh's time."""

    def few(base: str) -> tuple[list[Example], list[Example]]:
        calibrating, testing = read_held_out(base)
        return calibrating[::5], testing[::5]

    monkeypatch.setattr(refresh_run, "read_held_out", few)
