"""The aggressive view reads what is disguised, and leaves alone what is not."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.disguise_kinds import HARMLESS, KINDS, Kind, is_damaged, mixed, words_read
from model import disguises, lexicon, spellings
from model.normalize import MAX_CHARACTERS, conservative_view, views
from model.spellings import ANY_SIGN, look

INSULT = "you are a stupid idiot and your friends are worthless trash"
EVERYDAY = "the meeting is in the park at six so bring something to drink"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # letters that stand apart
        ("i.d.i.o.t", "idiot"),
        ("y o u a r e a n i d i o t", "you are an idiot"),
        ("y o u  a r e  a n  i d i o t", "you are an idiot"),
        ("y\u2800o\u2800u i\u2800d\u2800i\u2800o\u2800t", "you idiot"),
        ("i\nd\ni\no\nt", "idiot"),
        ("||y||||o||||u|| ||i||||d||||i||||o||||t||", "you idiot"),
        ("||y|| ||o|| ||u||", "you"),
        ("y**o**u i~~d~~iot", "you idiot"),
        ("[y][o][u] (i)(d)(i)(o)(t)", "you idiot"),
        ("i-d-i-o-t i:d:i:o:t i+d+i+o+t i_d_i_o_t i~d~i~o~t i*d*i*o*t", "idiot idiot idiot idiot idiot idiot"),
        ("i👏d👏i👏o👏t fu💩ck", "idiot fuck"),
        ("you id iot, fu ck off", "you idiot, fuck off"),
        # letters of other alphabets
        ("уои аге ап ідіот", "you are an idiot"),
        ("ѕtuрid ѕһіт", "stupid shit"),
        ("յօս արե ան իդիօտ", "you are an idiot"),
        ("ᎩᎾᏌ ᎪᏒᎬ ᎪN ᎥᎠᎥᎾᎢ", "you are an idiot"),
        ("ᘜO ᕼOᗰE YOᑌ IᗪIOT".replace("ᘜ", "G"), "GO home you idiot"),
        ("ꓬꓳꓴ ꓮꓣꓰ ꓢꓔꓴꓑꓲꓓ", "you are stupid"),
        ("ýöü ârė śťŭþĩđ", "you are stupid"),
        ("⠽⠕⠥ ⠁⠗⠑ ⠁⠝ ⠊⠙⠊⠕⠞", "you are an idiot"),
        ("ʇoᴉpᴉ uɐ ǝɹɐ noʎ", "you are an idiot"),
        ("🇸🇭🇮🇹 🇮🇹 🇮🇸", "SHIT IT IS"),
        # order and repetition
        ("toidi na era uoy", "you are an idiot"),
        ("\u202etoidi na era uoy", "you are an idiot"),
        ("yyoouu aarree aann iiddiioott", "you are an idiot"),
        ("stuuupid biiiitch", "stupid bitch"),
        # masks and respellings
        ("f*ck y** st*p*d b*tch", "fuck you stupid bitch"),
        ("a fa**ot and a c**t", "a faggot and a cunt"),
        ("f#ck th#s, #d##t!", "fuck this, idiot!"),
        ("fxck you", "fuck you"),
        ("fck y stpd btch", "fuck you stupid bitch"),
        ("phuck you biotch azzhole", "fuck you bitch asshole"),
        ("y0u 4r3 4n !d!07", "you are an idiot"),
        (r"|)1(|< |-|3@|)", "dick head"),
        ("b!tch @$$hole @ss", "bitch asshole ass"),
        ("phagit niqqers", "faggot niggers"),
        ("youareanidiot", "you are an idiot"),
        ("you 🅱it©h", "you bitch"),
        ("you 1️⃣d1️⃣0️⃣t", "you idiot"),
        ("คภ๔ ყσυ αɾҽ αɳ ιԃισƚ", "and you are an idiot"),
        # two at once
        ("ᎩᎾᏌ ᎪᏒᎬ і-ԁ-і-о-т", "you are idiot"),
        ("1.d.1.0.t yy00uu", "idiot you"),
    ],
)
def test_a_disguise_is_undone(text: str, expected: str) -> None:
    """Each kind, in a short text."""
    assert views(text)[1].casefold() == expected.casefold()


@pytest.mark.parametrize("kind", [*KINDS, Kind("two at once", mixed)], ids=lambda kind: kind.name)
def test_every_kind_of_disguise_is_read(kind: Kind) -> None:
    """Random disguises of two sentences. Of a reversible kind four of five words are read, of the others two of
    three."""
    dice = random.Random(kind.name)
    clean = [INSULT, EVERYDAY] * 5
    seen = [views(kind.disguise(dice, text))[1] for text in clean]
    assert words_read(clean, seen) >= (0.8 if kind.reversible else 0.65), seen


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_stay(text: str) -> None:
    """Other languages, markup, code, numbers, initials and drawings keep three of four words."""
    assert not is_damaged(text, views(text)[1]), views(text)[1]


@pytest.mark.parametrize(
    "text",
    [
        "Привет, как дела? Он там, а я тут",
        "მე შენ მიყვარხარ",
        "Bonjour, ça va très bien",
        "the U.S.A. and A.I. at 10 p.m.",
        "choose a b c d",
        "$5.99 or €10, 20% off",
        "for i in range(10): print(a[i], b[i])",
        "**bold** text, ||spoiler|| and `code` here",
        "1. e4 e5 2. Nf3 Nc6",
        "LOL omg brb ttyl, idk tbh",
        "state-of-the-art w/o doubt",
    ],
)
def test_what_is_no_disguise_is_not_touched(text: str) -> None:
    """The aggressive view is then the conservative one, so nothing is scored twice."""
    assert views(text)[1] == views(text)[0]


def test_a_word_has_no_part_in_a_disguise_by_chance() -> None:
    """Two halves that are words stay apart, unless they make up an insult and are rare."""
    assert views("my pen is mightier in to day")[1] == "my pen is mightier in to day"
    assert views("you ver min")[1] == "you vermin"
    for text in ("tihs is a cocktailbar in scunthorpe", "the mp3 of @dave on cockburn street", "saturdaynightfever"):
        assert views(text)[1] == text


@given(st.text(), st.text("aeiotu .*|-_31!@(яаіу\u0301\u2800🇸👏\n"))
def test_short_cuts_change_nothing(text: str, nasty: str) -> None:
    """The steps that are left out for words without a sign for them would not change those."""
    for part in (text, nasty, f"{text} {nasty}"):
        words = [look(word) for word in part.split()]
        signs = 0
        for word in words:
            signs |= word.signs
        if not signs & ANY_SIGN:
            assert disguises._by_their_neighbours(part, words, ANY_SIGN) == words


@given(st.text(st.sampled_from("aeiotu .*|-_31!@(яаіу\u0301\u2800🇸👏\nɐǝ⠽")))
def test_a_view_is_one_bounded_line(text: str) -> None:
    """No line breaks or double spaces; hardly longer than the conservative view."""
    plain, undisguised = views(text)
    assert undisguised == " ".join(undisguised.split())
    assert len(undisguised) <= min(MAX_CHARACTERS, 3 * len(plain) + 10)


@given(st.lists(st.sampled_from(sorted(lexicon.costs())[::7]), min_size=1, max_size=12))
def test_plain_english_stays_and_is_read_once(words: list[str]) -> None:
    """The aggressive view of plain words is those words, and so is its own aggressive view."""
    text = " ".join(word for word in words if len(word) > 2)
    view = views(text)[1]
    assert view == conservative_view(text) and views(view)[1] == view


def test_a_disguise_in_a_long_text_is_undone() -> None:
    """Long texts are read in parts."""
    text = "the weather is fine today " * 200
    assert "you are an idiot" in views(f"{text} y o u a r e a n i d i o t {text}")[1]
    assert "stupid" in views("x" * 5000 + " s.t.u.p.i.d " + "y" * 5000)[1]


def test_the_lexicon_has_no_disguised_words() -> None:
    """What stands in the lexicon is never undone."""
    words = lexicon.costs()
    assert len(words) > 10_000 and {"you", "are", "idiot", "trash"} <= words.keys()
    assert not lexicon.SPELLINGS.keys() & {"you", "are", "ass"}
    assert not [word for word in words if not word.isascii() or not word.isalpha() or not word.islower()]
    assert all(meant in words for meant in lexicon.SPELLINGS.values())


def test_steps_for_one_word_are_bounded() -> None:
    """A word whose letters may be anything is given up."""
    options = ["abcdefghijklmnopqrstuvwxyz"] * 24
    assert lexicon.likeliest_spelling(options, spellings._MOST_STEPS) is None


def test_no_text_waits_for_a_table() -> None:
    """After `load_tables`, the first disguises of each kind read no file and build no index."""
    code = """
from model import emoji, lexicon, normalize
normalize.load_tables()
tables = [lexicon.costs, lexicon._index, lexicon._beginnings, emoji._names]
before = [table.cache_info().misses for table in tables]
texts = ["f*ck th*s", "f.u.c.k y.o.u", "dmb bstrd", "rtd y0u 5h1t", "fuuuuck yoouu"]
texts += ["y\u043eu \u0430r\u0435 an \u0131di\u043et", "uoy kcuf", "|)i3 n0\\/\\/"]
for text in (*texts, "\U0001d4f1\U0001d4ee\U0001d502 \U0001f595\U0001f3ff"):
    normalize.views(text)
assert [table.cache_info().misses for table in tables] == before and before[1] == 4, before
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[2])
