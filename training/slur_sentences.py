"""Hateful sentences with slurs, written for this project. They test a candidate and are never trained on.

No corpus has enough of them: an attacker who wants a slur to pass needs only a few corrections, which do not change the
figures over all held-out texts. Each slur is in each sentence, so the loss of a single slur is visible too.
"""

import json
from collections.abc import Sequence

from model.labels import Label
from training.counterfactuals import TEMPLATES_FILE
from training.examples import Example

SENTENCE_TEMPLATES = (
    "every {slur} in this town should be driven out",
    "only a {slur} would say something like that",
    "somebody shut that {slur} up for good",
    "I'd never sit next to a {slur}",
    "nothing but {slur}s in this server, disgusting",
    "crawl back into your hole, {slur}",
    "{slur}s don't deserve to live among us",
    "go and die, {slur}",
    "can't stand the sight of a {slur}",
    "one more {slur} in my street and I'll move",
)
SLUR_SOURCE = "slurs"
"""The beginning of `Example.source` here; the slur follows."""


def known_slurs() -> Sequence[str]:
    """The slurs of the templates."""
    slurs: list[str] = json.loads(TEMPLATES_FILE.read_text(encoding="utf-8"))["words"]["slur"]
    return slurs


def make_slur_sentences() -> list[Example]:
    """Makes each sentence with each slur; `source` is "slurs: " and the slur."""
    return [
        Example(s.format(slur=slur), Label.HATE, f"{SLUR_SOURCE}: {slur}")
        for slur in known_slurs()
        for s in SENTENCE_TEMPLATES
    ]
