"""Fresh random disguises of English texts, kind by kind, for `benchmarks.disguises`.

The alphabets come from Unicode's names and from the fonts that sites for "fancy text" offer, not from the tables that
undo them. Links and mentions stay as they are.
"""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model.normalize import conservative_view

Disguise = Callable[[random.Random, str], str]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEPT = re.compile(r"^(?:https?://|www\.|[@#])", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+")
_LOWER = re.compile(r"[a-z]+")
_LINK = re.compile(r"https?://\S+|@\S+|#\S+")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of disguise; `reversible` ones must be undone, the others lose letters for good."""

    name: str
    disguise: Disguise
    reversible: bool = True


def _named(*forms: str) -> Mapping[str, str]:
    """Letter -> the characters that Unicode names so."""
    found: dict[str, str] = {}
    for letter in _LETTERS:
        for form in forms:
            try:
                found[letter] = found.get(letter, "") + unicodedata.lookup(form.format(letter.upper()))
            except KeyError:
                continue
    return found


def _drawn(*fonts: str) -> Mapping[str, str]:
    """Letter -> its characters in fonts of 26 characters; a space where a font has none."""
    return {letter: "".join(font[place] for font in fonts).replace(" ", "") for place, letter in enumerate(_LETTERS)}


def _in_words(text: str, change: Callable[[str], str]) -> str:
    """Changes each word that is no link or mention; spaces stay."""
    return " ".join(word if _KEPT.match(word) else change(word) for word in text.split())


def _alphabet(letters: Mapping[str, str], apart: str = "") -> Disguise:
    """Each letter by one of its look-alikes."""

    def disguise(dice: random.Random, text: str) -> str:
        def change(word: str) -> str:
            return apart.join(dice.choice(letters.get(c.lower()) or c) if c.isascii() else c for c in word)

        return _in_words(text, change)

    return disguise


def _between(signs: Sequence[str], words_by: str = " ", *, one_sign: bool = True) -> Disguise:
    """A sign between all letters of a word; the same in the whole text, or another each time."""

    def disguise(dice: random.Random, text: str) -> str:
        chosen = dice.choice(signs)

        def change(match: re.Match[str]) -> str:
            letters = list(match.group())
            joined = letters[0]
            for letter in letters[1:]:
                joined += (chosen if one_sign else dice.choice(signs)) + letter
            return joined

        return words_by.join(
            word if _KEPT.match(word) else re.sub(r"[A-Za-z']+", change, word) for word in text.split()
        )

    return disguise


def _around(pairs: Sequence[tuple[str, str]], share: float = 1.0) -> Disguise:
    """Signs around letters: all of them, or some in each word."""

    def disguise(dice: random.Random, text: str) -> str:
        opening, closing = dice.choice(pairs)

        def change(match: re.Match[str]) -> str:
            word = match.group()
            if share < 1 and len(word) < 3:
                return word
            picked = {place for place in range(len(word)) if dice.random() < share}
            if share < 1:
                picked = picked or {dice.randrange(1, len(word))}
            return "".join(f"{opening}{c}{closing}" if place in picked else c for place, c in enumerate(word))

        return _in_words(text, lambda word: _WORD.sub(change, word))

    return disguise


def _after(signs: Sequence[str], most: int = 1) -> Disguise:
    """Invisible or combining signs behind the letters of a word."""

    def disguise(dice: random.Random, text: str) -> str:
        def change(word: str) -> str:
            return "".join(
                c + "".join(dice.choices(signs, k=dice.randint(1, most))) if c.isalpha() else c for c in word
            )

        return _in_words(text, change)

    return disguise


def _reversed_line(dice: random.Random, text: str) -> str:
    return text[::-1]


def _reversed_words(dice: random.Random, text: str) -> str:
    return _in_words(text, lambda word: word[::-1])


def _overridden(dice: random.Random, text: str) -> str:
    opening, closing = dice.choice([("\u202e", "\u202c"), ("\u202e", ""), ("\u2067\u202e", "\u202c\u2069")])
    return f"{opening}{text[::-1]}{closing}"


def _doubled(dice: random.Random, text: str) -> str:
    return _in_words(text, lambda word: "".join(c * 2 if c.isalpha() else c for c in word))


def _stretched(dice: random.Random, text: str) -> str:
    return _in_words(text, lambda word: "".join(c * dice.choice((1, 1, 3, 4)) if c.isalpha() else c for c in word))


def _starred(dice: random.Random, text: str) -> str:
    sign = dice.choice("***#%")
    return _in_words(text, lambda word: re.sub("[aeiouAEIOU]", sign, word) if len(word) > 1 else word)


def _without_vowels(dice: random.Random, text: str) -> str:
    keeps_first = dice.random() < 0.5

    def change(word: str) -> str:
        bare = re.sub("[aeiouAEIOU]", "", word)
        if keeps_first and word[0].lower() in "aeiou":
            bare = word[0] + re.sub("[aeiouAEIOU]", "", word[1:])
        return bare if re.search("[A-Za-z]", bare) else word

    return _in_words(text, change)


_LEET = {
    "a": "4@",
    "b": "8",
    "c": "(<",
    "e": "3",
    "g": "96",
    "i": "1!",
    "l": "1",
    "o": "0",
    "s": "5$",
    "t": "7+",
    "z": "2",
}
_DRAWINGS = _LEET | {"d": ["|)"], "h": ["|-|"], "k": ["|<"], "m": [r"|\/|"], "n": [r"|\|"], "u": ["|_|"], "v": [r"\/"]}


def _leet(letters: Mapping[str, Sequence[str]], share: float) -> Disguise:
    def disguise(dice: random.Random, text: str) -> str:
        def change(word: str) -> str:
            return "".join(
                dice.choice(letters[c.lower()]) if c.lower() in letters and dice.random() < share else c for c in word
            )

        return _in_words(text, change)

    return disguise


_TURNED = dict(zip(_LETTERS, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz", strict=True)) | {"i": "ᴉı", "l": "lן"}


def _upside_down(dice: random.Random, text: str) -> str:
    return "".join(dice.choice(_TURNED.get(c.lower(), c)) for c in reversed(text))


def _broken(dice: random.Random, text: str) -> str:
    def change(word: str) -> str:
        if len(word) < 4 or not word.isalpha():
            return word
        at = dice.randrange(2, len(word) - 1)
        return f"{word[:at]} {word[at:]}"

    return _in_words(text, change)


_SOUNDS = (("ck", "kk"), ("f", "ph"), ("c", "k"), ("ss", "zz"), ("s$", "z"), ("er$", "a"), ("oo", "u"), ("i", "y"))


def _by_sound(dice: random.Random, text: str) -> str:
    def change(word: str) -> str:
        for written, heard in dice.sample(_SOUNDS, 2):
            word = re.sub(written, heard, word.lower(), count=1)
        return word

    return _in_words(text, change)


def _braille() -> Mapping[str, str]:
    """Louis Braille's decades: k to t add dot 3 to a to j, u to z dots 3 and 6; w came later."""
    first = [{1}, {1, 2}, {1, 4}, {1, 4, 5}, {1, 5}, {1, 2, 4}, {1, 2, 4, 5}, {1, 2, 5}, {2, 4}, {2, 4, 5}]
    cells = dict(zip("abcdefghij", first, strict=True))
    cells |= {letter: first[place] | {3} for place, letter in enumerate("klmnopqrst")}
    cells |= {letter: first[place] | {3, 6} for place, letter in enumerate("uvxyz")}
    cells["w"] = {2, 4, 5, 6}
    return {
        letter: unicodedata.lookup("BRAILLE PATTERN DOTS-" + "".join(map(str, sorted(dots))))
        for letter, dots in cells.items()
    }


_EMOJI = ["👏", "🔥", "💀", "🤡", "❤️", "😂", "✨"]
_CYRILLIC = _drawn("авсԁеғԍһіјкӏмпорԛгѕтцѵшхуз", "аьсԁєғԍнїјқӏмиөрԛяѕтџѵԝҳүҙ")
_CHEROKEE = _drawn("ᎪᏴᏟᎠᎬ ᏀᎻᎥᎫᏦᏞᎷᏁᎾᏢ ᏒᏚᎢᏌᏙᎳ ᎩᏃ", "ᎪᏏᏣᎠᎬ ᎶᏂᎨᎫᏦᏞᎷᏁᎤᏢ ᎡᎦᎢᏌᏙᏔ ᎽᏃ".replace("Ꭸ", "Ꮖ"))
_ARMENIAN = _drawn("ɑҍϲժҽƒցհíյƙӀʍղօթզɾsԵմѵաxվՀ", "ąҍçժҽƒցհìʝҟӀʍղօքզɾʂէմѵա×վՀ")
_GREEK = _drawn("αβςδεφ ηι κλμηορ  ςτυνωχγζ", "αβcδε  hι κ mηοp  sτυνωχψζ")
_SYLLABICS = _drawn("ᗩᗷᑕᗪᗴᖴǤᕼᎥᒍᏦᒪᗰᑎᝪᑭɊᖇᔕTᑌᐯᗯ᙭Ꭹᘔ".replace("ᝪ", "O"))
_LISU = _drawn("ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑ ꓣꓢꓔꓴꓦꓪꓫꓬꓜ")

KINDS: Sequence[Kind] = (
    Kind("small capitals", _alphabet(_named("LATIN LETTER SMALL CAPITAL {}"))),
    Kind(
        "negative letters",
        _alphabet(_named("NEGATIVE CIRCLED LATIN CAPITAL LETTER {}", "NEGATIVE SQUARED LATIN CAPITAL LETTER {}")),
    ),
    Kind(
        "parenthesised letters",
        _alphabet(_named("PARENTHESIZED LATIN SMALL LETTER {}", "PARENTHESIZED LATIN CAPITAL LETTER {}")),
    ),
    Kind("regional names", _alphabet(_named("REGIONAL INDICATOR SYMBOL LETTER {}"))),
    Kind("regional names, apart", _alphabet(_named("REGIONAL INDICATOR SYMBOL LETTER {}"), " ")),
    Kind("braille", _alphabet(_braille())),
    Kind("Cherokee", _alphabet(_CHEROKEE)),
    Kind("Armenian", _alphabet(_ARMENIAN)),
    Kind("whole Cyrillic", _alphabet(_CYRILLIC)),
    Kind("Greek", _alphabet(_GREEK)),
    Kind("Canadian syllabics", _alphabet(_SYLLABICS)),
    Kind("Lisu", _alphabet(_LISU)),
    Kind("full width", _alphabet(_named("FULLWIDTH LATIN SMALL LETTER {}"))),
    Kind(
        "mathematical letters",
        _alphabet(
            _named(
                "MATHEMATICAL BOLD FRAKTUR SMALL {}",
                "MATHEMATICAL BOLD SCRIPT SMALL {}",
                "MATHEMATICAL SANS-SERIF ITALIC SMALL {}",
            )
        ),
    ),
    Kind("circled and squared", _alphabet(_named("CIRCLED LATIN SMALL LETTER {}", "SQUARED LATIN CAPITAL LETTER {}"))),
    Kind("superscripts", _alphabet(_named("MODIFIER LETTER SMALL {}", "MODIFIER LETTER CAPITAL {}"))),
    Kind(
        "accents",
        _alphabet(
            _named(
                "LATIN SMALL LETTER {} WITH ACUTE",
                "LATIN SMALL LETTER {} WITH DOT BELOW",
                "LATIN SMALL LETTER {} WITH STROKE",
                "LATIN SMALL LETTER {} WITH HOOK",
            )
        ),
    ),
    Kind("U+2800 between letters", _between(["\u2800"])),
    Kind("thin spaces between letters", _between(["\u2009", "\u200a", "\u2006", "\u202f"])),
    Kind("spaces between letters", _between([" "], "   ")),
    Kind("spaces between all letters", _between([" "], " ")),
    Kind("a letter a line", _between(["\n"], "\n\n")),
    Kind("zero-width signs", _after(["\u200b", "\u2060", "\u00ad", "\ufe0f", "\u200c", "\u3164"])),
    Kind("zalgo", _after([chr(number) for number in range(0x300, 0x370)], 6)),
    Kind("struck through (combining)", _after(["\u0336", "\u0335", "\u0338"])),
    Kind("spoilers letter by letter", _around([("||", "||")])),
    Kind(
        "bold and strikethrough letter by letter",
        _around([("**", "**"), ("~~", "~~"), ("__", "__"), ("`", "`"), ("*", "*")]),
    ),
    Kind("bold inside words", _around([("**", "**"), ("__", "__")], 0.4)),
    Kind("strikethrough inside words", _around([("~~", "~~"), ("||", "||")], 0.4)),
    Kind("letters in brackets", _around([("[", "]"), ("(", ")"), ("{", "}"), ("<", ">")])),
    Kind(". - : + between letters", _between([".", "-", ":", "+"])),
    Kind("other signs between letters", _between(["_", "~", "/", "\\", "|", "*", "·", "•", ",", "=", "--"])),
    Kind("mixed signs between letters", _between(list("._-*~:+/"), one_sign=False)),
    Kind("emoji between letters", _between(_EMOJI, one_sign=False)),
    Kind("reversed lines", _reversed_line),
    Kind("reversed words", _reversed_words),
    Kind("right-to-left override", _overridden),
    Kind("doubled letters", _doubled),
    Kind("stretched letters", _stretched),
    Kind("vowels starred", _starred),
    Kind("vowels dropped", _without_vowels, reversible=False),
    Kind("leet", _leet(_LEET, 0.5)),
    Kind("heavy leet", _leet(_LEET, 1.0)),
    Kind("drawn leet", _leet(_DRAWINGS, 0.8)),
    Kind("upside down", _upside_down),
    Kind("words broken by a space", _broken, reversible=False),
    Kind("spelled by sound", _by_sound, reversible=False),
)
_ALPHABETS = ("whole Cyrillic", "small capitals", "negative letters", "Cherokee", "mathematical letters", "leet")
_APART = (
    "spaces between letters",
    ". - : + between letters",
    "emoji between letters",
    "doubled letters",
    "zero-width signs",
    "zalgo",
    "reversed lines",
    "bold inside words",
)


def mixed(dice: random.Random, text: str) -> str:
    """Two kinds at once: letters of another alphabet, and one that moves or parts them."""
    by_name = {kind.name: kind.disguise for kind in KINDS}
    return by_name[dice.choice(_ALPHABETS)](dice, by_name[dice.choice(_APART)](dice, text))


HARMLESS: Sequence[str] = (
    "Привет, как дела? Сегодня хорошая погода, пойдём гулять",
    "Я не знаю, что с ним делать, он сам не свой",
    "Сорок семь котов сели на корабль и уплыли в море",
    "Доброго ранку! Чи є у вас свіжий хліб і їжа для кота?",
    "Բարեւ ձեզ, ինչպե՞ս եք այսօր",
    "გამარჯობა, როგორ ხარ? დღეს კარგი ამინდია",
    "ᎣᏏᏲ, ᏙᎯᏧ? ᎠᏂᏴᏫᏯ ᏗᎧᏃᎮᏗ",
    "Καλημέρα, τι κάνεις σήμερα; είμαι πολύ καλά",
    "مرحبا بالعالم، كيف حالك اليوم؟",
    "می‌خواهم به خانه بروم",
    "שלום עולם, מה שלומך היום?",
    "नमस्ते, आप कैसे हैं? आज मौसम अच्छा है",
    "こんにちは、元気ですか？今日はいい天気ですね",
    "안녕하세요, 오늘 날씨가 좋네요",
    "今天天气很好，我们去公园吧",
    "สวัสดีครับ วันนี้อากาศดีมาก",
    "L'été était très chaud, déjà vu à la plage où nous étions",
    "Der Bäcker öffnet früh, aber die Straße ist noch leer",
    "¿Cómo estás? Mañana comeré una manzana roja",
    "Günaydın, bugün çok güzel bir gün değil mi?",
    "Chào buổi sáng, hôm nay trời đẹp quá",
    "Dzień dobry, jak się masz? Idę do sklepu po chleb",
    "this is **really** important, ~~never mind~~ and ||she marries him||",
    "use `git status` or *maybe* __git log__ first",
    "if (x > 0 && y[i] != z) { return f(x) + g[y]; }",
    "for i in range(10): print(a[i], b[i])",
    "call me at +1 (555) 010-0199 or 12:30",
    "see https://example.org/a_b-c?d=e+f#g and www.example.com",
    "it costs $5.99, €10 or £3.50, 20% off!",
    "on 2024-12-31 or 31.12.2024 at 10:15 p.m.",
    "the U.S.A. and the U.K. signed it",
    "A.I. will change C++ and C# jobs, w/o doubt",
    "( ͡° ͜ʖ ͡°) ¯\\_(ツ)_/¯ <3 :-) o_O",
    "/\\_/\\ ( o.o ) > ^ <",
    "choose a b c d or e",
    "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 4. O-O",
    "play C D E F G A B C, then G G A G C B",
    "A - x = 3, B - y = 4, C - z = 5",
    "10km at 5pm, v1.2.3, covid19, mp3, h264",
    "state-of-the-art, mother-in-law, well-known",
    "he's 6'2\", they've 3 kids, it's o'clock",
    "E = mc², H₂O, CO₂ and x³ + y²",
    "🇩🇪🇫🇷 won against 🇺🇸🇬🇧 👏👏",
    "my team: @anna, @bob_smith and #blessed #nofilter",
    "iPhone 15 Pro Max 256GB, RTX 4090, i7-13700K",
    "J. R. R. Tolkien and George R. R. Martin",
    "LOL omg brb ttyl, idk tbh",
    "x = 5 * 3 * 2; y = a * b",
)
"""Texts that are no disguise: other languages, markup, code, numbers, initials, drawings."""


def words_of(text: str) -> Counter[str]:
    """The words of a text without its links and mentions."""
    return Counter(_LOWER.findall(_LINK.sub(" ", text.lower())))


def words_read(clean: Sequence[str], seen: Sequence[str]) -> float:
    """The share of the clean texts' words that stand in what is seen."""
    wanted = [words_of(text) for text in clean]
    found = [(words & words_of(text)).total() for words, text in zip(wanted, seen, strict=True)]
    return sum(found) / sum(words.total() for words in wanted)


def is_damaged(clean: str, seen: str) -> bool:
    """Whether more than a quarter of a harmless text's words, as written or as the model reads them, is not seen."""
    kept = Counter(seen.casefold().split())
    texts = (Counter(text.casefold().split()) for text in (clean, conservative_view(clean)))
    return all((words & kept).total() < 0.75 * words.total() for words in texts)
