"""A decision in the journal: written once, and read whichever version wrote it."""

import json
from dataclasses import replace

import pytest

from bot.domain.action import Alert, Ban, Delete, Timeout, Warn
from bot.domain.decision import Band, Decision, example, unread_decision, wordless_decision
from model.kinds import Kind
from model.labels import Label

WHOLE = Decision(
    Band.ACTION,
    Label.HATE,
    0.9,
    0.85,
    (Delete(), Warn(), Timeout(60), Ban(), Ban(5), Alert()),
    enforced=True,
    reason="hate 0.90 ≥ action threshold 0.85",
    counts=True,
    flags=("strike", "cap"),
)


@pytest.mark.parametrize(
    "decision",
    [
        WHOLE,
        Decision(Band.CLEAR, Label.NEUTRAL, 0.1, 0.0),
        unread_decision("why"),
        wordless_decision(),
        example(Label.OFFENSIVE),
        replace(WHOLE, kind=Kind.SLUR),
    ],
    ids=lambda decision: str(decision.band),
)
def test_a_decision_comes_back_from_the_journal_as_it_went_there(decision: Decision) -> None:
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_the_stored_encoding_is_what_sql_reads() -> None:
    """Views and migrations look into it by these names; an older version reads it again after a step back."""
    assert WHOLE.to_json() == {
        "band": "action",
        "label": "hate",
        "score": 0.9,
        "threshold": 0.85,
        "actions": [
            {"name": "delete"},
            {"name": "warn"},
            {"name": "timeout", "minutes": 60},
            {"name": "ban", "hours": None},
            {"name": "ban", "hours": 5},
            {"name": "alert"},
        ],
        "enforced": True,
        "reason": "hate 0.90 ≥ action threshold 0.85",
        "flags": ["strike", "cap"],
        "counts": True,
    }


OLD = {"band": "alert", "label": "hate", "score": 0.6, "threshold": 0.5, "actions": [{"name": "alert"}]}
READ = Decision(Band.ALERT, Label.HATE, 0.6, 0.5, (Alert(),))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (OLD, READ),
        (OLD | {"score": 1, "threshold": 0}, Decision(Band.ALERT, Label.HATE, 1.0, 0.0, (Alert(),))),
        (
            OLD | {"reason": "said", "enforced": True},
            Decision(Band.ALERT, Label.HATE, 0.6, 0.5, (Alert(),), True, "said"),
        ),
        (OLD | {"actions": [{"name": "ban"}]}, Decision(Band.ALERT, Label.HATE, 0.6, 0.5, (Ban(),))),
        (OLD | {"a key of a later version": 1}, READ),
        ({"band": "clear"}, Decision(Band.CLEAR, Label.NEUTRAL, 0.0, 0.0)),
    ],
)
def test_older_encodings(written: dict[str, object], read: Decision) -> None:
    assert Decision.from_json(written) == read


@pytest.mark.parametrize("wrong", [{"band": "none"}, {"label": "rude"}, {"actions": [{"name": "shout"}]}])
def test_what_is_no_decision_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"none|rude|shout"):
        Decision.from_json(OLD | wrong)


@pytest.mark.parametrize(
    ("enforced", "actions", "touching", "carried_out"),
    [
        (True, (Delete(), Alert()), (Delete(),), (Delete(),)),
        (False, (Delete(), Alert()), (Delete(),), ()),
        (True, (Alert(),), (), ()),
    ],
)
def test_what_a_decision_does(enforced: bool, actions: tuple, touching: tuple, carried_out: tuple) -> None:
    """An alert touches nothing; in shadow mode nothing is carried out."""
    decision = Decision(Band.ACTION, Label.HATE, 0.9, 0.8, actions, enforced)
    assert (decision.touching_actions, decision.enforced_actions) == (touching, carried_out)


def test_a_row_without_a_kind_is_read() -> None:
    """Earlier versions wrote none; a kind that does not exist is an error like any other."""
    assert "kind" not in WHOLE.to_json() and Decision.from_json(WHOLE.to_json()).kind is None
    with pytest.raises(ValueError, match="spam"):
        Decision.from_json({**WHOLE.to_json(), "kind": "spam"})
