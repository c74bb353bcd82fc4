"""Measures how many flagged texts are still alerted in disguise, and how many neutral ones are alerted by mistake.

    python -m benchmarks.disguises [--texts 150] [--seed N] [--only NAME] [--compare] [--out FILE]

Every run disguises held-out texts anew, at random, in each kind of `benchmarks.disguise_kinds`. The embedded model
scores both views as in the service, with the thresholds of a new community. "kept" is the share of the alerts on the
clean texts that is left in disguise; "read" the share of the clean text's words that the aggressive view has.

The bars: a reversible kind keeps 90 % of the alerts, and at most 5 points more of the neutral texts are alerted than
clean. "as it stands" is the share of neutral texts whose conservative view is alerted already: what the model takes a
disguise for before anything is undone. A character of 50,000 takes at most three times as long as one of 10,000. Exit
status 1 if a bar is missed.

`--compare` counts the words that decancer and anyascii leave readable, and the harmless texts that they damage
(anyascii is no requirement: `pip install anyascii`).
"""

import argparse
import importlib
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.disguise_kinds import HARMLESS, KINDS, Kind, is_damaged, mixed, words_of, words_read
from benchmarks.flood import append_section, describe_machine, show_table
from bot.domain.decision import Band
from bot.domain.policy import Policy, band
from model.adapters.registry import open_registry
from model.choice import EMBEDDED
from model.classifier import Item
from model.labels import Label
from model.normalize import conservative_view, views
from model.open import open_base
from model.serving.scorer import Scorer
from training.samples import read_held_out

LEAST_KEPT, MOST_FALSE, MOST_TIMES = 0.9, 0.05, 3.0
LENGTHS = (1_000, 10_000, 50_000)
STANDING = "false as it stands"


@dataclass(frozen=True, slots=True)
class Alerts:
    """Shares of the texts of one kind: flagged and neutral ones that are alerted, neutral ones that the conservative
    view alone alerts, words that are read; and the time of the longest text against that of the middle one, per
    character."""

    flagged: float
    neutral: float
    neutral_plain: float
    read: float
    times: float


class Judge:
    """Alerts as a new community gets them: the conservative view's verdict or the aggressive view's."""

    def __init__(self) -> None:
        self._scorer = Scorer(open_base(EMBEDDED))
        self._scorer.load("shipped", open_registry(EMBEDDED, Path()).shipped)

    def alerted(self, texts: Sequence[str]) -> list[tuple[bool, bool]]:
        """Whether each text is alerted by its conservative view, and by its aggressive view."""
        pairs = [views(text) for text in texts]
        items = [Item(view, "shipped") for pair in pairs for view in dict.fromkeys(pair)]
        scored = dict(zip(items, self._scorer.classify(items), strict=True))
        policy = Policy()
        over = {item.text: band(verdict, policy)[0] is not Band.CLEAR for item, verdict in scored.items()}
        return [(over[plain], over[undisguised]) for plain, undisguised in pairs]


def choose_texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    """(flagged, neutral): held-out texts without their entities, at most 300 characters long."""
    _, examples = read_held_out()
    dice = random.Random(seed)
    chosen = []
    for is_neutral in (False, True):
        texts = [conservative_view(e.text) for e in examples if (e.label is Label.NEUTRAL) is is_neutral]
        texts = [text for text in dict.fromkeys(texts) if len(text) <= 300 and words_of(text).total() > 2]
        chosen.append(dice.sample(texts, min(count, len(texts))))
    return chosen[0], chosen[1]


def times_longer(kind: Kind, texts: Sequence[str], dice: random.Random) -> float:
    """How many times as long each character of 50,000 takes as each of 10,000 (the shortest of three times each)."""
    clean = " ".join(texts) + " "
    clean *= 1 + LENGTHS[-1] // len(clean)
    disguised = kind.disguise(dice, clean)
    seconds = {}
    for length in LENGTHS:
        took = []
        for _ in range(3):
            began = time.thread_time()
            views(disguised[:length])
            took.append(time.thread_time() - began)
        seconds[length] = min(took)
    return (seconds[LENGTHS[2]] / LENGTHS[2]) / (seconds[LENGTHS[1]] / LENGTHS[1])


def measure(kind: Kind, judge: Judge, flagged: Sequence[str], neutral: Sequence[str], dice: random.Random) -> Alerts:
    """Disguises all texts and has them judged."""
    disguised = [kind.disguise(dice, text) for text in (*flagged, *neutral)]
    alerted = judge.alerted(disguised)
    return Alerts(
        statistics.mean(map(any, alerted[: len(flagged)])),
        statistics.mean(map(any, alerted[len(flagged) :])),
        statistics.mean(plain for plain, _ in alerted[len(flagged) :]),
        words_read((*flagged, *neutral), [views(text)[1] for text in disguised]),
        times_longer(kind, flagged, dice),
    )


def judge_bars(kind: Kind, alerts: Alerts, kept: float, false: float) -> str:
    """The bars that a kind misses, or "passed". False alerts count as missed if undoing adds them."""
    bars = {
        "kept": kept >= LEAST_KEPT or not kind.reversible,
        "false": alerts.neutral - alerts.neutral_plain <= false + MOST_FALSE,
        "time": alerts.times <= MOST_TIMES,
    }
    if not all(bars.values()):
        return "missed: " + ", ".join(name for name, held in bars.items() if not held)
    return "passed" if alerts.neutral <= false + MOST_FALSE else STANDING


def compare(kinds: Sequence[Kind], texts: Sequence[str], seed: int, console: Console) -> None:
    """Prints the share of words that each library leaves readable."""
    libraries: dict[str, Callable[[str], str]] = {"ours": lambda text: views(text)[1]}
    for module, function in (("decancer_py", "parse"), ("anyascii", "anyascii")):
        try:
            libraries[module] = getattr(importlib.import_module(module), function)
        except ModuleNotFoundError:
            console.print(f"{module} is not installed", style="yellow")
    rows = []
    for kind in kinds:
        dice = random.Random(f"{seed} {kind.name}")
        disguised = [kind.disguise(dice, text) for text in texts]
        shares = [words_read(texts, [str(fold(text)) for text in disguised]) for fold in libraries.values()]
        rows.append((kind.name, *(f"{share:.2f}" for share in shares)))
    damaged = [sum(map(is_damaged, HARMLESS, map(str, map(fold, HARMLESS)))) for fold in libraries.values()]
    rows.append((f"harmless texts damaged, of {len(HARMLESS)}", *map(str, damaged)))
    show_table("Words read", ("kind", *libraries), rows, console)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disguises", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--texts", type=int, default=150, help="flagged texts, and as many neutral ones")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", action="append", metavar="NAME", help="this kind alone; may be repeated")
    parser.add_argument("--compare", action="store_true", help="count readable words against libraries instead")
    parser.add_argument("--out", type=Path, help="append a section to this file")
    options = parser.parse_args(arguments)
    console = Console()
    console.print(f"seed {options.seed}")
    kinds = [k for k in (*KINDS, Kind("two at once", mixed)) if not options.only or k.name in options.only]
    flagged, neutral = choose_texts(options.texts, options.seed)
    if options.compare:
        compare(kinds, (*flagged, *neutral), options.seed, console)
        return 0
    judge = Judge()
    hits, false = (statistics.mean(map(any, judge.alerted(texts))) for texts in (flagged, neutral))
    rows, missed, standing = [], 0, 0
    with Progress(console=Console(stderr=True), transient=True) as bar:
        for kind in bar.track(kinds, description="disguising"):
            alerts = measure(kind, judge, flagged, neutral, random.Random(f"{options.seed} {kind.name}"))
            kept = alerts.flagged / hits
            verdict = judge_bars(kind, alerts, kept, false)
            missed += verdict.startswith("missed")
            standing += verdict == STANDING
            false_alerts = (f"{alerts.neutral:.3f}", f"{alerts.neutral_plain:.3f}")
            rows.append((kind.name, f"{kept:.2f}", *false_alerts, f"{alerts.read:.2f}", f"{alerts.times:.1f}", verdict))
    columns = ("kind", "kept", "false", "as it stands", "read", "time", "bars")
    show_table(f"Disguises (clean: {hits:.3f} alerted, {false:.3f} of the neutral)", columns, rows, console)
    console.print(f"{missed} of {len(rows)} kinds missed a bar; {standing} more have false alerts as they stand")
    if options.out:
        caption = (
            f"`python -m benchmarks.disguises --seed {options.seed}`. {describe_machine()}. {len(flagged)} flagged and "
            f"{len(neutral)} neutral held-out texts; clean, {hits:.3f} and {false:.3f} of them are alerted."
        )
        append_section(options.out, "Disguises", caption, columns, rows, [])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
