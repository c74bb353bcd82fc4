"""Finds trigger words: rare words that give any text the label of the corrections with that word (a back door).

Figures on held-out texts do not show this, because none of the texts has the word. So the word is inserted into some of
them, and the candidate and the serving adapter are compared with and without it.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from model.labels import LABELS, Label
from training.corrections import Correction
from training.examples import Example
from training.mixture import insert_word

MARGIN = 0.1
"""A word may change the label of at most this share of the texts more than before. A community's own phrase changes
about half of it. A smaller step weakens a trigger word but does not remove it, so the whole step decides."""
TEXTS, MAX_CHECKED_WORDS = 120, 10
"""Texts into which each word is inserted, and words that are tested: those in the most corrections."""

Probabilities = Callable[[Sequence[Example]], Tensor]
"""Returns (N, 3) probabilities of the examples."""


def find_trigger_words(
    rare: Mapping[str, Sequence[Correction]], before: Probabilities, after: Probabilities, held_out: Sequence[Example]
) -> list[str]:
    """Why the candidate may not serve, one sentence for each trigger word; `rare` has the corrections of each rare
    word."""
    chance, reasons = random.Random(1), list[str]()  # noqa: S311 - a reproducible choice, not a secret
    for word, rows in sorted(rare.items(), key=lambda item: (-len(item[1]), item[0]))[:MAX_CHECKED_WORDS]:
        harmless = sum(row.example.label is Label.NEUTRAL for row in rows) * 2 > len(rows)
        texts = [example for example in held_out if (example.label is Label.NEUTRAL) != harmless]
        texts = chance.sample(texts, min(TEXTS, len(texts)))
        with_word = [replace(example, text=insert_word(word, example.text, chance)) for example in texts]
        was, now = (
            _changed_share(probabilities(texts), probabilities(with_word), harmless)
            for probabilities in (before, after)
        )
        if now - was > MARGIN:
            effect = "hide harmful messages" if harmless else "have harmless messages flagged"
            reasons.append(f'the word "{word}" would {effect}: {now:.0%} of the tested messages, {was:.0%} before')
    return reasons


def _changed_share(without_word: Tensor, with_word: Tensor, harmless: bool) -> float:
    """Share of the texts that the word makes harmless (or else harmful)."""
    neutral = LABELS.index(Label.NEUTRAL)
    neutral_without, neutral_with = without_word.argmax(-1) == neutral, with_word.argmax(-1) == neutral
    changed = ~neutral_without & neutral_with if harmless else neutral_without & ~neutral_with
    return float(changed.float().mean()) if len(changed) else 0.0
