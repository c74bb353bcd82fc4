"""Measures whether a community can allow swearing and nothing else: `python -m benchmarks.learning --data FILE.csv
--kinds`.

Its moderators answer fifty cards: swearing is neutral, insults and threats are offensive, slurs are hate, and one
answer in twenty is wrong. The swearing and the insults are public comments that nothing learned from, near FILE.csv;
the rest are template sentences that training never uses. A refresh learns from the answers. Then the hand-written lines
of every kind (`training/data/kinds.csv`) and other public comments are read as the service reads them.
"""

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.community import COMMUNITY, MODERATORS
from bot.domain.decision import Band
from bot.domain.policy import PRESETS, Policy, band, with_preset
from model.adapters.registry import SHIPPED, read_manifest
from model.base import Base
from model.choice import EMBEDDED
from model.classifier import Item, Verdict
from model.kinds import KINDS, Kind
from model.labels import Label
from model.open import open_base
from model.presets import Preset
from model.serving.scorer import Scorer
from training.corrections import Correction
from training.examples import Example
from training.kind_examples import KindExample, public_comments, read_judge, template_examples, training_examples

CARDS: Mapping[Kind, int] = {Kind.SWEARING: 22, Kind.INSULT: 18, Kind.THREAT: 6, Kind.SLUR: 4}
ANSWERS: Mapping[Kind, Label] = {
    Kind.SWEARING: Label.NEUTRAL,
    Kind.INSULT: Label.OFFENSIVE,
    Kind.THREAT: Label.OFFENSIVE,
    Kind.SLUR: Label.HATE,
}
MISTAKES = 0.05
SHOWN_OF, JUDGED_COMMENTS = 300, 150
"""The cards are among the first so many texts of a kind, at most half of them; so many of the other half are judged."""
SEED = 1


@dataclass(frozen=True, slots=True)
class KindScene:
    """The corrections of a community that allows swearing, and the texts to judge, by name."""

    corrections: Sequence[Correction]
    judged: Mapping[str, Sequence[str]]


def make_scene(base: Base, data: Path) -> KindScene:
    """Draws cards and judged comments; no text of one is in the other, and the head for kinds learned from none."""
    chance, known = random.Random(SEED), {each.key for each in training_examples(data, SEED)}
    comments = [each for each in public_comments(data) if each.key not in known]
    sentences = [each for each in template_examples(60, SEED, "dev") if each.key not in known]
    chance.shuffle(comments)
    pools = {kind: [each.text for each in comments if each.kind is kind] for kind in (Kind.SWEARING, Kind.INSULT)}
    pools |= {kind: [each.text for each in sentences if each.kind is kind] for kind in (Kind.THREAT, Kind.SLUR)}
    scorer = open_scorer(base, SHIPPED)
    corrections, judged = list[Correction](), dict[str, Sequence[str]]()
    for kind, texts in pools.items():
        first, later = texts[: min(SHOWN_OF, len(texts) // 2)], texts[len(texts) // 2 :]
        shown = [text for text, is_shown in zip(first, flags(scorer, first, Policy()), strict=True) if is_shown]
        shown = shown[: CARDS[kind]]
        corrections += [_answer(text, kind, chance) for text in shown]
        if kind in (Kind.SWEARING, Kind.INSULT):
            judged[f"{kind}, public"] = later[:JUDGED_COMMENTS]
    chance.shuffle(corrections)
    judge = read_judge()
    return KindScene(corrections, {**{str(kind): _texts(judge, kind) for kind in KINDS}, **judged})


def _texts(judge: Sequence[KindExample], kind: Kind) -> list[str]:
    return [each.text for each in judge if each.kind is kind]


def _answer(text: str, kind: Kind, chance: random.Random) -> Correction:
    wrong = chance.choice([label for label in Label if label is not ANSWERS[kind]])
    label = wrong if chance.random() < MISTAKES else ANSWERS[kind]
    return Correction(text, Example(text, label), chance.choice(MODERATORS), f"author {len(text)}", COMMUNITY)


def open_scorer(base: Base, folder: Path) -> Scorer:
    """A scorer with one adapter."""
    scorer = Scorer(base)
    scorer.load("global/judged", folder)
    return scorer


def flags(scorer: Scorer, texts: Sequence[str], policy: Policy) -> list[bool]:
    """Whether each text would be shown or acted on in the community."""
    verdicts: list[Verdict] = []
    for start in range(0, len(texts), 64):
        items = [Item(text, "global/judged", community=COMMUNITY) for text in texts[start : start + 64]]
        verdicts += scorer.classify(items)
    return [band(verdict, policy)[0] is not Band.CLEAR for verdict in verdicts]


def kinds_table(
    data: Path, run_refresh: Callable[[Sequence[Correction], Path], tuple[Path, str]], console: Console
) -> Table:
    """Flagged shares by kind, before and after the refresh, at each preset. `run_refresh` takes corrections and a
    folder; it returns the folder of the adapter that serves afterwards, and the outcome."""
    base = open_base(EMBEDDED)
    scene = make_scene(base, data.parent)
    table = Table("kind", "texts", *(f"{preset}: before → after" for preset in PRESETS))
    with tempfile.TemporaryDirectory() as folder:
        adapter, outcome = run_refresh(scene.corrections, Path(folder))
        norms = read_manifest(adapter).learned_norms()
        said = ", ".join(norm.sentence for norm in norms.values()) or "no norm"
        console.print(f"{len(scene.corrections)} corrections: {said} ({outcome or 'all was learned'})")
        before, after = open_scorer(base, SHIPPED), open_scorer(open_base(EMBEDDED), adapter)
        for name, texts in scene.judged.items():
            table.add_row(name, str(len(texts)), *(_shares(before, after, texts, preset) for preset in PRESETS))
    return table


def _shares(before: Scorer, after: Scorer, texts: Sequence[str], preset: Preset) -> str:
    policy = with_preset(Policy(), preset)
    was, now = (sum(flags(scorer, texts, policy)) / len(texts) for scorer in (before, after))
    return f"{was:.2f} → {now:.2f}"
