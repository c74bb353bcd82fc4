"""When the moderators' words speak for another threshold, and when they do not."""

import pytest

from bot.advice import LEAST_WORDS, Answered, advise
from bot.policy import LabelPolicy, Policy
from model.labels import Label

POLICY = Policy()


def cards(label: Label, *rows: tuple[float, Label, int]) -> list[Answered]:
    """(score, what it is, how many)."""
    return [Answered(label, score, said) for score, said, count in rows for _ in range(count)]


def test_a_community_that_allows_profanity() -> None:
    """Offence is nearly always called neutral: the lowest threshold from which half was right is advised."""
    answered = cards(Label.OFFENSIVE, (0.75, Label.NEUTRAL, 80), (0.9, Label.NEUTRAL, 10), (0.98, Label.HATE, 10))
    (advice,) = advise(answered, POLICY)
    assert (advice.label, advice.alert_at) == (Label.OFFENSIVE, 0.8)
    assert (
        "only 10 were" in advice.sentence
        and "80 wrong alerts" in advice.sentence
        and "missed 0 right" in advice.sentence
    )


def test_where_nothing_is_right_nothing_is_shown() -> None:
    """No threshold helps: 1."""
    (advice,) = advise(cards(Label.HATE, (0.6, Label.NEUTRAL, 15), (0.97, Label.OFFENSIVE, 15)), POLICY)
    assert (advice.label, advice.alert_at) == (Label.HATE, 1.0)


@pytest.mark.parametrize(
    "answered",
    [
        [],
        cards(Label.OFFENSIVE, (0.8, Label.NEUTRAL, LEAST_WORDS - 1)),
        cards(Label.OFFENSIVE, (0.8, Label.NEUTRAL, 10), (0.8, Label.OFFENSIVE, 10)),
        cards(Label.OFFENSIVE, (0.8, Label.NEUTRAL, 80), (0.8, Label.HATE, 20)),
        cards(Label.OFFENSIVE, (0.5, Label.NEUTRAL, 50)),
    ],
)
def test_few_or_mixed_words_advise_nothing(answered: list[Answered]) -> None:
    """None, too few, as many right as wrong, nearly so, or only cards below today's threshold."""
    assert advise(answered, POLICY) == []


def test_a_threshold_that_was_raised_is_judged_anew() -> None:
    """What today's threshold no longer shows does not count against it."""
    raised = Policy(offensive=LabelPolicy(alert_at=0.9, act_at=0.95, actions=("warn",)))
    answered = cards(Label.OFFENSIVE, (0.75, Label.NEUTRAL, 40), (0.93, Label.OFFENSIVE, 15))
    assert advise(answered, raised) == []
