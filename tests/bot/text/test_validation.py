"""What is wrong with a value is said in words of ours."""

import pytest
from pydantic import ValidationError

from bot.domain.policy import LabelPolicy, Policy, with_section
from bot.text.validation import first_place, first_problem
from model.labels import Label


def test_our_own_sentences_come_without_the_librarys_preamble() -> None:
    """As a moderator reads them who gave a threshold that does not fit."""
    with pytest.raises(ValidationError) as caught:
        LabelPolicy(alert_at=0.5, act_at=0.3)
    assert first_problem(caught.value).startswith("act_at 0.3 is below alert_at 0.5")
    with pytest.raises(ValidationError) as caught:
        with_section(Policy(), Label.HATE, 90, 10, None)
    assert first_problem(caught.value).startswith("act_at 0.1 is below alert_at 0.9")


def test_the_librarys_sentences_name_the_place() -> None:
    """A key that is not known, a number that does not fit."""
    with pytest.raises(ValidationError) as caught:
        Policy.model_validate({"hate": {"alert_at": 2, "act_at": 3}})
    assert first_place(caught.value) == "hate.alert_at" and "less than or equal to 1" in first_problem(caught.value)
