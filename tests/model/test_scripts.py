"""Words of scripts that a base cannot read are left out, and a text of nothing else is unread."""

import pytest

from model.adapters.registry import SHIPPED
from model.classifier import Item
from model.encoder.minilm import UNKNOWN
from model.labels import Label
from model.open import open_base
from model.scripts import LATIN, Readable, readable
from model.serving.scorer import Scorer

LATIN_ONLY = frozenset({LATIN})
ADAPTER = "global/shipped"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello wörld, ça va?", Readable("hello wörld, ça va?", "")),
        ("გამარჯობა", Readable("", "Georgian")),
        ("привет 123 :)", Readable("123 :)", "Cyrillic")),
        ("привет idiot", Readable("idiot", "Cyrillic")),
        ("hello my dear привет", Readable("hello my dear", "")),
        ("日本語です", Readable("", "Japanese")),
        ("你好", Readable("", "Chinese")),
        ("안녕", Readable("", "Korean")),
        ("γεια σου", Readable("", "Greek")),
        ("12:30 !!", Readable("12:30 !!", "")),
        ("", Readable("", "")),
    ],
)
def test_what_a_base_of_latin_letters_reads(text: str, expected: Readable) -> None:
    """The majority of the letters names the script; digits and signs are of none."""
    assert readable(text, LATIN_ONLY) == expected


def test_a_base_of_all_scripts_reads_everything() -> None:
    """None stands for all."""
    assert readable("გამარჯობა", None) == Readable("გამარჯობა", "")


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """The embedded base with the shipped adapter."""
    scorer = Scorer(open_base("minilm"))
    scorer.load(ADAPTER, SHIPPED)
    return scorer


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("გამარჯობა მეგობრებო", "Georgian"),
        ("ሰላም", "Ethiopic"),
        ("ᓄᓇᕗᑦ", "Canadian"),
        ("🎉 ура всем друзьям!", "Cyrillic"),
        ("שלום", "Hebrew"),
    ],
)
def test_an_unread_text_has_no_score(scorer: Scorer, text: str, script: str) -> None:
    """Nothing that the base cannot read is harm."""
    (verdict,) = scorer.classify([Item(text, ADAPTER)])
    assert verdict.unread_script == script and verdict.harm < 0.5


def test_an_insult_among_unread_words_is_still_read(scorer: Scorer) -> None:
    """Words of another script around it hide nothing: it is scored as if it stood alone."""
    alone, hidden = scorer.classify(
        [Item("you stupid bitch", ADAPTER), Item("გამარჯობა you stupid bitch ყველას", ADAPTER)]
    )
    assert hidden.harm == pytest.approx(alone.harm, abs=1e-3) and hidden.unread_script == "Georgian"
    assert hidden.label is not Label.NEUTRAL


@pytest.mark.parametrize("text", ["☭ hello ☭", "hello \uf8ff", "𓀀 hello"])
def test_what_has_no_pieces_is_left_out(scorer: Scorer, text: str) -> None:
    """[UNK] never reaches the model."""
    ids = scorer.base.encode(text)
    assert UNKNOWN not in ids and ids == scorer.base.encode("hello")
