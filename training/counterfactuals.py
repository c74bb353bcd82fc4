"""Template sentences, in which one detail decides between hate and a harmless counterpart.

In corpora, sentences that name a group are mostly hateful, so models learn that naming a group is hate. Here the same
groups are in hateful, quoting, opposing, everyday and kind sentences, and the same harsh verbs are aimed at people for
what they are, at single persons, and at things (counterfactual augmentation: Dixon et al. 2018, "Measuring and
Mitigating Unintended Bias in Text Classification"). All sentences were written for this project, without looking at any
public test suite.

The sentences for development (`development_sentences()`) use templates and groups that `training_sentences()` never
uses.
"""

import itertools
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.labels import Label
from training.examples import Example

REPEATS = 4
"""Repetitions of a sentence that has few fillings; each differs in spelling and style."""

MAX_WAYS = 4000
"""Ways to fill a template that are listed and shuffled; of more, some are drawn."""
SHORTEST_MISSPELT = 8
"""Characters: a shorter text with a typo would be another word."""

TEMPLATES_FILE = Path(__file__).with_name("templates.json")


def training_sentences(count: int, seed: int) -> list[Example]:
    """Makes about `count` different sentences from all classes, evenly or by a class's `share`; their source is
    `template`."""
    return [example for _, example in generate(read_templates(), "train", count, seed)]


def development_sentences(count: int, seed: int) -> list[tuple[str, Example]]:
    """Makes (class name, sentence) pairs from templates and groups that training never uses."""
    return generate(read_templates(), "dev", count, seed)


def read_templates() -> dict[str, Any]:
    """The templates' file: `words` and `groups` that fill blanks, and `classes` of templates."""
    templates: dict[str, Any] = json.loads(TEMPLATES_FILE.read_text(encoding="utf-8"))
    return templates


def generate(source: Mapping[str, Any], part: str, count: int, seed: int) -> list[tuple[str, Example]]:
    """(class name, sentence) pairs, about `count`, from the templates for one part: "train" or "dev"."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    words: Mapping[str, Sequence[str]] = {
        **source["words"],
        **source["groups"][part],
    }
    classes = source["classes"]
    shares = sum(entry.get("share", 1) for entry in classes.values()) if part == "train" else len(classes)
    made: list[tuple[str, Example]] = []
    for name, entry in classes.items():
        wanted = max(1, count * (entry.get("share", 1) if part == "train" else 1) // shares)
        seen: set[str] = set()
        pool = [(t, f) for t in entry[part] for f in fillings(t, words, chance, 1 + 3 * wanted // len(entry[part]))]
        chance.shuffle(pool)
        for template, filling in pool:
            text = _styled(template.format(**filling), chance)
            if text not in seen and len(seen) < wanted:
                seen.add(text)
                votes = tuple(entry.get("votes", ()))
                made.append((name, Example(text, Label(entry["label"]), "template", votes=votes)))
    return made


def fillings(
    template: str, words: Mapping[str, Sequence[str]], chance: random.Random, limit: int
) -> list[dict[str, str]]:
    """`limit` ways to fill the template's blanks; if there are fewer, each is repeated up to `REPEATS` times."""
    blanks = [name for name in words if "{" + name + "}" in template]
    if math.prod(len(words[name]) for name in blanks) > MAX_WAYS:
        ways = [tuple(chance.choice(words[name]) for name in blanks) for _ in range(limit)]
    else:
        ways = list(itertools.product(*(words[name] for name in blanks)))
        chance.shuffle(ways)
    return [dict(zip(blanks, way, strict=True)) for way in (ways * REPEATS)[:limit]]


_OPENERS = (
    "honestly,",
    "imo",
    "ngl",
    "look,",
    "I mean,",
    "sorry but",
    "fun fact:",
    "so",
    "well,",
    "btw",
    "guys,",
    "yo",
)
_CLOSERS = ("lol", "tbh", "haha", "smh", "period", "just saying", "you know", "bro", "fr", "imho", "today", "again")
_LOOK_ALIKES = str.maketrans("aeiost", "43105+")


def _styled(text: str, chance: random.Random) -> str:
    """The text as people type: lower case, no full stop, a mention, a filler word, sometimes a typo or a disguise."""
    if chance.random() < 0.12:
        text = f"{chance.choice(_OPENERS)} {text}"
    if chance.random() < 0.12:
        text = f"{text} {chance.choice(_CLOSERS)}"
    draw = chance.random()
    if draw < 0.35:
        text = text[:1].upper() + text[1:] + "."
    elif draw < 0.5:
        text = text[:1].upper() + text[1:] + chance.choice(["!", "!!", "..."])
    elif draw < 0.6:
        text = f"@user {text}"
    elif draw < 0.7:
        text = text.lower()
    elif draw < 0.73:
        text = text.upper()
    return misspelt(text, chance) if len(text) >= SHORTEST_MISSPELT and chance.random() < 0.12 else text


def misspelt(text: str, chance: random.Random) -> str:
    """Drops, swaps or doubles a letter, drops a space, or disguises a word with digits or spaces."""
    at, words = chance.randrange(len(text) - 1), text.split(" ")
    word = max(range(len(words)), key=lambda i: len(words[i]) * chance.random())
    kind = chance.randrange(6)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 2:
        return text[: at + 1] + text[at:]
    if kind == 3:
        return text.replace(" ", "", 1) if len(words) < 4 else " ".join(words[:word]) + " ".join(words[word:])
    words[word] = words[word].translate(_LOOK_ALIKES) if kind == 4 else " ".join(words[word])
    return " ".join(words)
