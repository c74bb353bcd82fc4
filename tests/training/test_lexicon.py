"""The recipe of the lexicon: what counts as a word."""

from pathlib import Path

from model.lexicon import LEXICON_FILE
from training.lexicon import LEAST_COUNT, base_vocabulary, count_words, main, with_vocabulary


def test_words_are_counted_and_disguised_ones_left_out() -> None:
    """The commonest first; no masks, no stretched words, no two letters that are no word, rarely one without a
    vowel."""
    texts = ["It's so FUNNY, @user URL"] * LEAST_COUNT + ["so xq sooooo fck idiot's rare"] * (LEAST_COUNT - 1)
    texts += ["so idiots"] * LEAST_COUNT
    assert count_words(texts) == ["so", "idiots", "funny", "its"]


def test_the_vocabulary_of_the_base_follows() -> None:
    """Words of four letters or more, peoples also in the plural."""
    vocabulary = ["[CLS]", "##ing", "the", "chapel", "so", "haitian", "nfld", "café"]
    assert with_vocabulary(["so", "funny"], vocabulary) == ["so", "funny", "chapel", "haitian", "haitians"]


def test_the_shipped_lexicon_has_the_vocabulary() -> None:
    """As the recipe appends it, in order."""
    words = LEXICON_FILE.read_text(encoding="ascii").split()
    assert len(words) == len(set(words)) and with_vocabulary(words, base_vocabulary()) == words


def test_a_folder_without_data_is_one_line(tmp_path: Path) -> None:
    """Exit status 2, and nothing is written."""
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "lexicon.txt")]) == 2
    assert not (tmp_path / "lexicon.txt").exists()
