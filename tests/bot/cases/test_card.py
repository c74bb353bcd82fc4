"""What a card says, one row for each rule: no platform, no store."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.cases.card import card, digest_line, digest_title
from bot.domain.action import Ban, Delete, Timeout, Warn
from bot.domain.case import Case, CaseState, Journalled, UnchangedAction
from bot.domain.correction import Correction
from bot.domain.decision import Band, Decision
from bot.domain.event import Attached, Author, MessageKey
from bot.domain.restriction import Restriction, Unchanged
from bot.domain.row_state import RowState
from bot.text.language import LANGUAGES
from model.kinds import Kind
from model.labels import Label

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HATE = Decision(Band.ACTION, Label.HATE, 0.914, 0.85, (Delete(), Ban(24)), enforced=True)
CLEAR = Decision(Band.CLEAR, Label.NEUTRAL, 0.123, 0.0)
UNREAD = Decision(Band.ALERT, Label.NEUTRAL, 0.0, 0.0, flags=("unread",))
WORDLESS = Decision(Band.ALERT, Label.NEUTRAL, 0.0, 0.0, flags=("unread", "wordless"))


def made(decision: Decision = HATE, *, case: dict[str, Any] | None = None, **message: Any) -> Case:
    """A case about a message of Ann's."""
    key = MessageKey("stub", "friends", "lounge", "1")
    row = Journalled(1, key, RowState.DONE, "you vermin", decision, {}, "global/v1", NOON)
    fields = {"state": CaseState.OPEN, "moderator": None, "corrected_label": None, "undone": False, "teaches": None}
    return Case(7, replace(row, **message), Author("42", "Ann"), created_at=NOON, **{**fields, **(case or {})})


def left(action: Any, standing: Restriction, by: Any = "person", *, undoes: bool = False) -> UnchangedAction:
    return UnchangedAction(action, Unchanged(standing, by), undoes)


LINES = [
    (made(), ["hate: 91 %, at or above the action threshold of 85 %.", "Done: delete, ban for 24 hours."]),
    (made(replace(HATE, enforced=False)), ["Would have done: delete, ban for 24 hours (shadow mode)."]),
    (made(replace(HATE, enforced=False, flags=("cap",))), ["(acting is paused)", "Acting is paused here"]),
    (made(replace(HATE, actions=(), band=Band.ALERT)), ["at or above the alert threshold", "Nothing was done to it."]),
    (made(state=RowState.INTENDED), ["Under way: delete"]),
    (made(state=RowState.FAILED), ["Not all of this was possible"]),
    (made(state=RowState.GONE), ["message or author were gone already"]),
    (made(state=RowState.STOPPED), ["because acting was paused"]),
    (made(state=RowState.UNDOING), ["Being taken back"]),
    (made(replace(HATE, actions=(Delete(), Warn())), unsure="warn"), ["Done: delete.", "so it was not repeated: warn"]),
    (
        made(unchanged=(left(Ban(24), Restriction("ban")),)),
        ["Done: delete.", "Not done: ban for 24 hours. Left as a person has set it: banned for good."],
    ),
    (
        made(unchanged=(left(Timeout(60), Restriction("timeout", NOON), "bot", undoes=True),)),
        ["Taken back for this message: timeout for 60 minutes.", "may not write until 2026-01-02 12:00 UTC"],
    ),
    (made(CLEAR), ["Below every threshold (12 % harm)", "Nothing was done to it."]),
    (made(replace(CLEAR, unread_script="Georgian")), ["Not read (Georgian)", "does not know this script"]),
    (made(UNREAD), ["The model could not read it"]),
    (made(WORDLESS), ["There are no words in it"]),
    (
        made(replace(HATE, flags=("disguised", "moderator"))),
        ["only after undoing a disguise", "A moderator wrote it"],
    ),
    (made(case={"edited": "clear"}), ["I would not flag the new text"]),
    (made(case={"edited": "action"}), ["Edited since. The new text"]),
]


@pytest.mark.parametrize(("case", "words"), LINES)
def test_a_cards_lines(case: Case, words: list[str]) -> None:
    """Which threshold fired, what was done, what an edit changed."""
    said = " ".join(card(case, "en").lines)
    for sentence in words:
        assert sentence in said


@pytest.mark.parametrize(
    ("case", "title"),
    [
        (made(), "hate 91 %"),
        (made(CLEAR), "a closer look (12 % harm)"),
        (made(UNREAD), "could not be read by the model"),
        (made(replace(HATE, label=Label.OFFENSIVE, kind=Kind.SWEARING)), "offensive 91 % · swearing"),
    ],
)
def test_a_cards_title(case: Case, title: str) -> None:
    """The label and its probability; other words where there is no label to speak about."""
    assert card(case, "en").title == title


def test_a_cards_kind_in_russian() -> None:
    assert card(made(replace(HATE, kind=Kind.SEXUAL)), "ru").title == "ненависть 91 % · сексуальное домогательство"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"quoted": "line one\nline two"}, "you vermin\n> line one\n> line two"),
        ({"text": "", "attached": (Attached("photo"), Attached("document", "plan.pdf"))}, "[photo]\n[file plan.pdf]"),
        ({"text": "", "unreadable": "type 99"}, "[of a kind I do not know: type 99]"),
        ({"text": ""}, ""),
    ],
)
def test_what_a_card_shows_of_the_message(fields: dict[str, Any], text: str) -> None:
    """The author's words, then what they quote; else what is in it; nothing once nothing is kept."""
    assert card(made(**fields), "en").text == text


@pytest.mark.parametrize(
    ("case", "verbs"),
    [
        (made(), ["right", "wrong", "undo", "explain"]),
        (made(replace(HATE, enforced=False)), ["right", "wrong", "explain"]),
        (made(replace(HATE, actions=(Warn(),))), ["right", "wrong", "explain"]),
        (made(case={"undone": True}), ["right", "wrong", "explain"]),
        (made(UNREAD), []),
    ],
)
def test_a_cards_buttons(case: Case, verbs: list[str]) -> None:
    """Undo only where something can be undone; none where there is no label to speak about."""
    assert [button.verb for button in card(case, "en").buttons] == verbs


def test_what_moderators_said_and_reports() -> None:
    """In order, the undo last; the number of reports first."""
    case = made(case={"state": CaseState.UNDONE, "undone": True, "moderator": "eve"})
    words = [Correction("dana", "hate", NOON), Correction("eve", "neutral", NOON)]
    shown = card(case, "en", words=words, reports=2)
    assert shown.words == (("dana", "👍 correct (hate)"), ("eve", "👎 it is neutral"), ("eve", "undone"))
    assert shown.lines[0] == "2 members have reported this."


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", [case for case, _ in LINES])
def test_a_card_speaks_every_language(case: Case, language: Any) -> None:
    """No text is missing, and nothing a member typed is among our sentences."""
    shown = card(case, language, words=[Correction("dana", "hate", NOON)], reports=1)
    assert all(shown.lines) and "vermin" not in " ".join([*shown.lines, shown.title, shown.footer])


def test_a_digest_counts_messages_and_authors() -> None:
    """And names each case's state."""
    cases = [made(author="a"), made(author="a"), made(author="b", case={"state": CaseState.CORRECTED})]
    assert digest_title(cases, "en") == "3 messages by 2 authors need a look"
    assert digest_line(cases[2], "en") == "hate 91 % · corrected · case 7"
