"""When the moderators' words speak for another threshold, and when they do not."""

import pytest

from bot.domain.decision import Band, Decision
from bot.domain.policy import LabelPolicy, Policy
from bot.learning.threshold_advice import LEAST_WORDS, Answered, advise, answered
from bot.store import Store
from model.labels import Label
from tests.conftest import now, said, verdict

POLICY = Policy()


def cards(label: Label, *rows: tuple[float, Label, int]) -> list[Answered]:
    """(score, what it is, how many)."""
    return [Answered(label, score, said) for score, said, count in rows for _ in range(count)]


def test_a_community_that_allows_profanity() -> None:
    """Offence is nearly always called neutral: the lowest threshold from which half was right is advised."""
    words = cards(Label.OFFENSIVE, (0.75, Label.NEUTRAL, 80), (0.9, Label.NEUTRAL, 10), (0.98, Label.HATE, 10))
    (advice,) = advise(words, POLICY)
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
    "words",
    [
        [],
        cards(Label.OFFENSIVE, (0.8, Label.NEUTRAL, LEAST_WORDS - 1)),
        cards(Label.OFFENSIVE, (0.8, Label.NEUTRAL, 10), (0.8, Label.OFFENSIVE, 10)),
        cards(Label.OFFENSIVE, (0.8, Label.NEUTRAL, 80), (0.8, Label.HATE, 20)),
        cards(Label.OFFENSIVE, (0.5, Label.NEUTRAL, 50)),
    ],
)
def test_few_or_mixed_words_advise_nothing(words: list[Answered]) -> None:
    """None, too few, as many right as wrong, nearly so, or only cards below today's threshold."""
    assert advise(words, POLICY) == []


def test_a_threshold_that_was_raised_is_judged_anew() -> None:
    """What today's threshold no longer shows does not count against it."""
    raised = Policy(offensive=LabelPolicy(alert_at=0.9, act_at=0.95, actions=("warn",)))
    words = cards(Label.OFFENSIVE, (0.75, Label.NEUTRAL, 40), (0.93, Label.OFFENSIVE, 15))
    assert advise(words, raised) == []


async def test_names_titles_and_quotes_say_nothing_about_messages(store: Store) -> None:
    """They have a bar of their own, or are not the author's words."""
    for number, flags in enumerate([(), ("name",), ("title",), ("quoted",)]):
        row = (await store.record_seen(said("x", str(number)), now())).row
        shown = Decision(Band.ALERT, Label.HATE, 0.9, 0.5, flags=flags)
        case = await store.record_decision(row, verdict(0.9), shown, "done", now(), case=True)
        assert case is not None
        await store.record_correction(case, "webchat:dana", "neutral", None, now(), confirms=False)
    assert answered(await store.cases("try-out")) == [Answered(Label.HATE, 0.9, Label.NEUTRAL)]
