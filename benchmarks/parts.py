"""Measures what reading the parts of a text gives and costs: insults among friendly words, and harmless texts.

    python -m benchmarks.parts [--harmless FILE.csv] [--sentence-at 0.5 ...] [--window-at 0.9 ...]
        [--hate-at 0.7 ...] [--record]

Insults are the held-out texts, and a few of our own, that are acted on alone by the standard thresholds. Each is put
before, after or between friendly sentences or harmless texts. The first row of the table reads wholes only; each other
row is a rule (`model.serving.reading.Rule`). The rule is chosen here: development texts only, none of the tests'.
`--harmless` adds the neutral rows of a file with the columns `label` and `text`. `--record` appends to
benchmarks/RESULTS.md.
"""

import argparse
import datetime
import itertools
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from bot.domain.decision import Band
from bot.domain.policy import Policy, band
from model.adapters.registry import SHIPPED
from model.classifier import Item, Verdict
from model.encoder.minilm import MiniLM
from model.labels import Label
from model.serving.reading import RULE, Rule
from model.serving.scorer import Scorer
from model.table import BadData, open_rows
from training.samples import read_handwritten, read_held_out

RESULTS = Path(__file__).with_name("RESULTS.md")
ADAPTER = "global/shipped"
INSULTS = (
    "you are a worthless idiot",
    "shut the fuck up you moron",
    "you stupid bitch",
    "I hate gays, they are disgusting animals",
    "you're a pathetic piece of shit",
    "what a dumb cunt",
    "nobody likes you, you ugly fat pig",
    "fuck off retard",
    "women are too stupid to vote",
    "eat shit and die asshole",
    "black people are monkeys",
    "immigrants are vermin",
)
FRIENDLY = (
    "Have a nice day",
    "Thank you so much for your help, I really appreciate it",
    "The weather is lovely today and the kids are playing outside in the garden",
    "Hope everyone is well",
    "See you tomorrow at the meeting, I will bring the coffee",
    "Good luck with your exam",
    "I love this community, you are all so kind",
    "By the way, does anyone know when the library opens on Sunday",
    "Congratulations on the new job",
    "Please take care of yourself",
    "My favourite recipe is pumpkin soup with ginger",
    "Cheers",
)
QUOTES = (
    "He called me an idiot. That hurt.",
    '"I hate gays" is what he said. Disgusting.',
    'Someone wrote "all muslims are terrorists" on our door. We called the police.',
    "She said I was a stupid bitch in front of everyone. I cried all night.",
    'They shouted "go back to your country" at my mom. She has lived here for 40 years.',
    "Don't call people retards. It is not funny.",
    '"Women are too stupid to vote." This was in a newspaper in 1910.',
    "The troll wrote that black people are monkeys. Please ban him.",
    "Nobody should ever be told to kill themselves. Please be kind.",
    'He texted me "you are worthless". I blocked him.',
    "Why do people say immigrants are vermin? It makes me sick.",
    "I used to think I was a worthless idiot. Therapy helped.",
    "It's not ok to say \"women belong in the kitchen\". It's 2024.",
    'My brother said "shut up, moron" and I laughed. We are fine again.',
    "I'm such an idiot. I forgot my keys again!",
    "My dog is a dumb little idiot. I love her.",
)
JOINTS: Mapping[str, str] = {
    "sentence": ". ",
    "exclamation": "! ",
    "line": "\n",
    "emoji": " 😊 ",
    "comma": ", ",
    "nothing": " ",
}
PADDING_WORDS = (40, 80, 120, 170)
"""About 48 to 209 tokens."""
SHORT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Attack:
    """An insult among harmless words, and how it is joined to them."""

    kind: str
    insult: str
    text: str


@dataclass(frozen=True, slots=True)
class Results:
    """Shares of one rule (None: wholes only): attacks acted on by kind; harmless texts acted on and alerted on by set;
    parts read by themselves for each harmless text."""

    rule: Rule | None
    acted: Mapping[str, float]
    harmless: Mapping[str, tuple[float, float]]
    parts: float


def make_attacks(
    insults: Sequence[str], friendly: Sequence[str], harmless: Sequence[str], count: int, seed: int
) -> list[Attack]:
    """`count` insults among friendly sentences, and half as many within long harmless texts."""
    chance = random.Random(seed)
    attacks = []
    for _ in range(count):
        insult, joint = chance.choice(insults), chance.choice(list(JOINTS))
        around = chance.sample(friendly, chance.choice((1, 1, 2, 3)))
        place = chance.choice((0, len(around), len(around) // 2))
        text = JOINTS[joint].join([*around[:place], insult, *around[place:]])
        attacks.append(Attack(f"friendly, {joint}", insult, text.lower() if chance.random() < 0.2 else text))
    for _ in range(count // 2):
        insult, joint, words = chance.choice(insults), chance.choice((". ", "\n", " ")), list[str]()
        while len(words) < max(PADDING_WORDS):
            words += chance.choice(harmless).split()
        words = words[: chance.choice(PADDING_WORDS)]
        place = chance.choice((0, len(words), chance.randrange(len(words))))
        pieces = [" ".join(words[:place]), insult, " ".join(words[place:])]
        name = "nothing" if joint == " " else "sentence or line"
        attacks.append(Attack(f"{len(words)} words, {name}", insult, joint.join(piece for piece in pieces if piece)))
    return attacks


def is_acted_on(verdict: Verdict) -> bool:
    """Whether the standard thresholds act on it."""
    return band(verdict, Policy())[0] is Band.ACTION


def classify(scorer: Scorer, texts: Sequence[str]) -> list[Verdict]:
    """The verdicts of the shipped adapter, 256 texts a call."""
    verdicts: list[Verdict] = []
    for start in range(0, len(texts), 256):
        verdicts += scorer.classify([Item(text, ADAPTER) for text in texts[start : start + 256]])
    return verdicts


def glue(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """Two or three of these texts in one: with each more there is one more part to be wrong about."""
    chance = random.Random(seed)
    return [chance.choice((". ", "\n", " ")).join(chance.sample(texts, chance.choice((2, 3)))) for _ in range(count)]


def measure(rules: Sequence[Rule | None], more_harmless: Sequence[str], count: int) -> list[Results]:
    """One row for each rule."""
    base = MiniLM()
    plain = load(base, None)
    held_out = [example for examples in read_held_out() for example in examples]
    short = [e.text for e in held_out if e.label is not Label.NEUTRAL and len(e.text) <= SHORT_CHARACTERS]
    candidates = [*INSULTS, *short]
    insults = [t for t, verdict in zip(candidates, classify(plain, candidates), strict=True) if is_acted_on(verdict)]
    neutral = [example for example in held_out if example.label is Label.NEUTRAL]
    public = [example.text for example in neutral if example.source in ("davidson", "mix")]
    clean = [t for t, verdict in zip(public, classify(plain, public), strict=True) if verdict.harm < 0.5]
    sets = {
        "public": public,
        "templates": [example.text for example in neutral if example.source not in ("davidson", "mix")],
        "by hand": [example.text for example in read_handwritten() if example.label is Label.NEUTRAL],
        "quotes": list(QUOTES),
        "glued": glue(clean, count, seed=2),
    }
    if more_harmless:
        sets["file"] = list(more_harmless)
    attacks = make_attacks(insults, FRIENDLY, clean, count, seed=1)
    results = []
    for rule in rules:
        scorer = load(base, rule)
        acted: dict[str, list[bool]] = {}
        for attack, verdict in zip(attacks, classify(scorer, [attack.text for attack in attacks]), strict=True):
            acted.setdefault(attack.kind, []).append(is_acted_on(verdict))
            acted.setdefault("all", []).append(is_acted_on(verdict))
        before = scorer.parts_read
        harmless, texts = {}, 0
        for name, of_set in sets.items():
            bands = [band(verdict, Policy())[0] for verdict in classify(scorer, of_set)]
            acts = sum(one is Band.ACTION for one in bands)
            harmless[name] = (acts / len(bands), sum(one is not Band.CLEAR for one in bands) / len(bands))
            texts += len(bands)
        shares = {kind: sum(one) / len(one) for kind, one in sorted(acted.items())}
        results.append(Results(rule, shares, harmless, (scorer.parts_read - before) / texts))
    return results


def load(base: MiniLM, rule: Rule | None) -> Scorer:
    """A scorer with the shipped adapter."""
    scorer = Scorer(base, rule=rule)
    scorer.load(ADAPTER, SHIPPED)
    return scorer


def rows_of(results: Sequence[Results]) -> tuple[list[str], list[list[str]]]:
    """(headings, rows): one row for each kind of attack, set of harmless texts and cost, one column for each rule."""
    names = [
        "wholes only" if r.rule is None else f"{r.rule.sentence_at} / {r.rule.window_at} / {r.rule.hate_at}"
        for r in results
    ]
    rows = [[f"acted on: {kind}", *(f"{r.acted[kind]:.3f}" for r in results)] for kind in results[0].acted]
    for name in results[0].harmless:
        shares = (r.harmless[name] for r in results)
        rows.append([f"harmless, {name}: acted on / shown", *(f"{act:.3f} / {show:.3f}" for act, show in shares)])
    rows.append(["parts read for each harmless text", *(f"{r.parts:.2f}" for r in results)])
    return ["sentence_at / window_at / hate_at", *names], rows


def record(results: Sequence[Results], path: Path = RESULTS) -> None:
    """Appends a dated section."""
    headings, rows = rows_of(results)
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    lines = [f"| {' | '.join(row)} |" for row in (headings, ["---", *["--:"] * len(results)], *rows)]
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n## Parts of a text, {when}\n\n" + "\n".join(lines) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--harmless", type=Path)
    parser.add_argument("--most", type=int, default=1500, help="rows of the file")
    parser.add_argument("--count", type=int, default=600, help="attacks among friendly sentences")
    parser.add_argument("--sentence-at", type=float, nargs="+", default=[RULE.sentence_at])
    parser.add_argument("--window-at", type=float, nargs="+", default=[RULE.window_at])
    parser.add_argument("--hate-at", type=float, nargs="+", default=[RULE.hate_at])
    parser.add_argument("--record", action="store_true", help="append to benchmarks/RESULTS.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    more: list[str] = []
    if options.harmless:
        try:
            with open_rows(options.harmless, ("label", "text")) as rows:
                more = [row["text"] for row in rows if row["label"] == str(Label.NEUTRAL)]
        except BadData as error:
            Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
            return 2
        more = random.Random(3).sample(more, min(options.most, len(more)))
    grid = itertools.product(options.sentence_at, options.window_at, options.hate_at)
    rules = [replace(RULE, sentence_at=s, window_at=w, hate_at=h) for s, w, h in grid]
    results = measure([None, *rules], more, options.count)
    headings, body = rows_of(results)
    table = Table(*headings)
    for row in body:
        table.add_row(*row)
    console = Console()
    (console if console.width >= 110 else Console(width=110)).print(table)
    if options.record:
        record(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
