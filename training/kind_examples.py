"""Texts of each kind (`model.kinds`) for training, and the hand-written lines that judge the result.

Most are template sentences: `kinds.json` says which classes of `templates.json` are which kind, and adds its own
templates. Public texts are added where their source or their words tell the kind. The kinds are not labelled in any
public source, so the words' rules are narrow: a text that fits no rule teaches nothing.
"""

import csv
import gzip
import hashlib
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.kinds import KINDS, Kind
from model.labels import Label
from model.normalize import conservative_view
from training import counterfactuals
from training.examples import read_examples
from training.samples import SAMPLES, read_everyday, read_handwritten

KINDS_FILE = Path(__file__).with_name("kinds.json")
TEMPLATES_PER_KIND = 1500
PUBLIC_PER_KIND = 900
MIXED_PER_KIND = 300
"""Texts of two sentences, of which one is swearing: the text has the other sentence's kind."""

_VERMIN_BLANK = "{vermin}"
_SWEAR = re.compile(r"\b(fuck\w*|\w*shit\w*|damn\w*|goddamn|crap\w*|wtf|hell|bloody|ass|bitch|piss\w*)\b", re.I)
_PERSON = re.compile(
    r"\b(you\w*|u|ur|ya|he|him|his|she|her|hers|they|them|their|who|people|guys?|man|men|wom[ae]n|girls?|boys?|dude|bro|"
    r"kids?|person|everyone|anyone|someone|fans?|mods?|idiots?|morons?|stupid|dumb\w*|assholes?|bitch\w*|cunts?|dicks?|"
    r"dickheads?|losers?|pricks?|retard\w*|fucker\w*|bastards?|twats?|whores?|sluts?|hoes?|pussy|pussies|nigg\w*|"
    r"fag\w*|gays?|clowns?|scum\w*|trash|suck\w*|user|trump|obama|president|[a-z]*heads?)\b",
    re.IGNORECASE,
)
_INSULT = re.compile(
    r"\b(idiots?|morons?|assholes?|cunts?|dickheads?|losers?|pricks?|fuckers?|bastards?|scumbags?|dumbass\w*|jackass\w*|"
    r"douche\w*|stupid|dumb|pathetic|ugly|pieces? of shit|liar|imbecile|fuck (you|off)|bitch|whore)\b",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(r"\b(you|u|ur|your|you're|he|he's|she|she's|this guy)\b", re.IGNORECASE)
_CREATURE = re.compile(
    r"\b(vermin|parasit\w*|cockroach\w*|rats?|apes?|monkeys?|animals?|subhumans?|sub-humans?|savages?|pigs?|insects?|"
    r"leeches|beasts?|plague|infest\w*|maggots?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class KindExample:
    """One text and its kind."""

    text: str
    kind: Kind

    @property
    def key(self) -> str:
        """Equal for texts that differ only in case, spacing or invisible characters."""
        return conservative_view(self.text).casefold()


def read_judge() -> list[KindExample]:
    """The lines that judge the kinds: written by hand, realistic chat, about thirty of each kind. They are never
    trained on."""
    with (SAMPLES / "kinds.csv").open(encoding="utf-8", newline="") as file:
        return [KindExample(row["text"], Kind(row["kind"])) for row in csv.DictReader(file)]


def training_examples(data: Path, seed: int) -> list[KindExample]:
    """All texts to learn from, without those that judge this or another output; raises `BadData`."""
    templates = template_examples(TEMPLATES_PER_KIND, seed)
    examples = [*templates, *public_examples(data, seed), *_mixed(templates, seed)]
    forbidden = {each.key for each in read_judge()} | {each.key for each in [*read_everyday(), *read_handwritten()]}
    once = {each.key: each for each in examples if each.key not in forbidden}
    return list(once.values())


def template_examples(per_kind: int, seed: int, part: str = "train") -> list[KindExample]:
    """About `per_kind` template sentences of each kind."""
    source = kind_templates()
    made = counterfactuals.generate(source, part, per_kind * len(KINDS), seed)
    return [KindExample(example.text, Kind(name)) for name, example in made]


def kind_templates() -> dict[str, Any]:
    """The templates in the form of `templates.json`, with the kinds as classes."""
    source, added = counterfactuals.read_templates(), json.loads(KINDS_FILE.read_text(encoding="utf-8"))
    classes: dict[str, Any] = {
        kind: {"label": str(Label.OFFENSIVE), "train": list(added["kinds"][kind]), "dev": []}
        for kind in map(str, KINDS)
    }
    for name, kind in added["classes"].items():
        for part in ("train", "dev"):
            for template in source["classes"][name][part]:
                is_vermin = kind == Kind.SLUR and _VERMIN_BLANK in template
                classes[Kind.DEHUMANISING if is_vermin else kind][part].append(template)
    return {"words": {**source["words"], **added["words"]}, "groups": source["groups"], "classes": classes}


def public_examples(data: Path, seed: int) -> list[KindExample]:
    """At most `PUBLIC_PER_KIND` public texts of each kind."""
    found: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
    with gzip.open(data / "lm_text.txt.gz", "rt", encoding="utf-8") as file:
        for line in map(str.strip, file):
            if "\t" not in line and len(line) < 200 and (kind := _kind_of_comment(line)):
                found[kind].append(line)
    for each in public_comments(data):
        found[each.kind].append(each.text)
    chance = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    return [
        KindExample(text, kind)
        for kind, texts in found.items()
        for text in chance.sample(sorted(set(texts)), min(PUBLIC_PER_KIND, len(set(texts))))
    ]


def public_comments(data: Path) -> list[KindExample]:
    """All labelled public texts whose kind is told by their source or their words; raises `BadData`."""
    rows = (
        (row.text, _kind_of_row(row.text, row.label, row.source)) for row in read_examples(data / "public_mix.csv.gz")
    )
    return [KindExample(text, kind) for text, kind in rows if kind]


def _kind_of_comment(line: str) -> Kind | None:
    """The kind of an unlabelled comment, if its words tell it."""
    if _SWEAR.search(line) and not _PERSON.search(line):
        return Kind.SWEARING
    return Kind.INSULT if _INSULT.search(line) and _ADDRESSED.search(line) else None


def _kind_of_row(text: str, label: Label, source: str) -> Kind | None:
    """The kind of a labelled public text, if its source or its words tell it."""
    if source == "edos_hate":
        return Kind.THREAT
    if label is Label.HATE and source in ("hatexplain", "ghc", "implicit"):
        return Kind.DEHUMANISING if _CREATURE.search(text) else Kind.SLUR
    if source == "paradetox_tox":
        return _kind_of_comment(text)
    return None


def _mixed(templates: Sequence[KindExample], seed: int) -> list[KindExample]:
    """Texts of two sentences: swearing, and a sentence of another kind, which is the text's kind."""
    chance = random.Random(seed + 1)  # noqa: S311 - a reproducible sample, not a secret
    swearing = [each.text for each in templates if each.kind is Kind.SWEARING]
    mixed = []
    for kind in KINDS[1:]:
        others = [each.text for each in templates if each.kind is kind]
        for text in chance.sample(others, min(MIXED_PER_KIND, len(others))):
            pair = [text, chance.choice(swearing)]
            chance.shuffle(pair)
            mixed.append(KindExample(chance.choice((" ", ", ", ". ")).join(pair), kind))
    return mixed


def data_hash(examples: Iterable[KindExample]) -> str:
    """SHA-256 of kinds and texts, in order."""
    digest = hashlib.sha256()
    for each in examples:
        digest.update(f"{each.kind}\0{each.text}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
