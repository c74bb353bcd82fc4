"""Whether people who agree to teach the wrong thing get it: `python -m benchmarks.learning --data FILE.csv --poison`.

A pair calls sentences with slurs neutral and agrees with each other: in a community that is not trusted, in one that
is, and a few words in each of ten refreshes among the honest words of four others. Each refresh goes on from what
served after the one before. Judged by slurs in Davidson's hateful tweets that nobody learned from, by the sentences
that the gate knows, and by accuracy on the community's other messages.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from benchmarks.community import COMMUNITY, Scene, judged, words_of
from model.adapters.registry import GLOBAL, SHIPPED, Registry, read_manifest
from model.base import Base
from model.calibration import apply_temperature
from model.labels import Label
from model.serving.scorer import attach_adapter
from training import counterfactuals, gate
from training import refresh as module
from training.corrections import Correction, Snapshot
from training.examples import Example
from training.hate_recall import ACTION_THRESHOLDS, ALERT_THRESHOLDS, share_reaching
from training.slur_sentences import known_slurs, make_slur_sentences
from training.training_loop import compute_logits

PAIR = ("eve", "mallory")
OUTSIDE = "outside"
REFRESHES, PLANTED, HONEST = 10, 12, 12
"""The slow way: so many refreshes, and in each so many new words of the pair and of the honest."""

JUDGED_EVERY = 5
"""Of the community's other messages so many are answered for the accuracy, to save time."""


@dataclass(frozen=True, slots=True)
class Found:
    """After a refresh: shares acted on and shown of slurs in tweets and in sentences, accuracy, how it ended."""

    tweets: tuple[float, float]
    sentences: tuple[float, float]
    accuracy: float
    outcome: str
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        """As printed."""
        pairs = (f"{acted:.3f} / {shown:.3f}" for acted, shown in (self.tweets, self.sentences))
        return (*pairs, f"{self.accuracy:.3f}", self.outcome, f"{self.seconds:.0f} s")


def planted(count: int, community: str) -> list[Correction]:
    """Different sentences with a slur, none of which the gate knows; two moderators call each neutral."""
    texts = {e.text for e in counterfactuals.training_sentences(20_000, seed=5)}
    made = sorted(text for text in texts if any(slur in text.lower() for slur in known_slurs()))
    random.Random(7).shuffle(made)
    return [
        Correction(f"p{n}", Example(text, Label.NEUTRAL, "correction"), PAIR[n % 2], f"pair {n % 40}", community, 2)
        for n, text in enumerate(made[:count])
    ]


def one(registry: Registry, snapshot: Snapshot, replay_rows: int) -> tuple[str, float]:
    """(how a refresh ended, seconds)."""
    began, told = time.monotonic(), list[str]()
    status = module.refresh(snapshot, registry, replay_rows, 20, lambda stage, share, result: told.append(result))
    seconds = time.monotonic() - began
    if status != module.PROMOTED:
        return "refused" if status == module.REFUSED else "nothing to learn", seconds
    step = read_manifest(registry.folder(registry.current(GLOBAL))).metrics["refresh"]["step"]
    return (f"step {step:g}" if step else "norm alone"), seconds


def measured(at: Scene, folder: Path, outcome: str, seconds: float) -> Found:
    """What serves now."""
    tweets = [e for e in at.judged if e.label is Label.HATE and any(s in e.text.lower() for s in known_slurs())]
    shares = [_shares(at.base, folder, texts) for texts in (tweets, make_slur_sentences())]
    some = replace(at, judged=at.judged[::JUDGED_EVERY])
    return Found(shares[0], shares[1], judged(some, folder)[0], outcome, seconds)


def _shares(base: Base, folder: Path, examples: Sequence[Example]) -> tuple[float, float]:
    manifest = attach_adapter(base, "judged", folder)
    said = apply_temperature(compute_logits(base, "judged", [e.text for e in examples]), manifest.temperature)
    base.detach("judged")
    return share_reaching(said, ACTION_THRESHOLDS), share_reaching(said, ALERT_THRESHOLDS)


def chain(
    at: Scene,
    said: Sequence[Sequence[Correction]],
    trusted: Sequence[str],
    as_before: bool,
    rows: int,
    console: Console,
) -> list[Found]:
    """One refresh for each list of all words so far; `as_before` the gate looks at neither plain hate nor drift."""
    found = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        registry = Registry(Path(folder), SHIPPED)
        for name in ("describe_losses", "_describe_drift") if as_before else ():
            stack.enter_context(patch.object(gate, name, lambda *_, **__: []))
        for words in said:
            snapshot = Snapshot(words, standing=frozenset(each.id for each in words)).trusting(trusted)
            outcome, seconds = one(registry, snapshot, rows)
            found.append(measured(at, registry.folder(registry.current(GLOBAL)), outcome, seconds))
            console.print(*found[-1].cells, highlight=False)
            time.sleep(max(0.0, 1.1 - seconds))  # a version is named by the second
    return found


def poison(at: Scene, rows: int, console: Console) -> Table:
    """The whole table."""
    table = Table("refresh", "slurs in tweets: acted on / shown", "in sentences", "accuracy", "outcome", "took")
    table.add_row("none yet", *measured(at, SHIPPED, "", 0.0).cells)
    outsiders = [planted(60, OUTSIDE), planted(180, OUTSIDE)]
    inside, honest = planted(REFRESHES * PLANTED, COMMUNITY), words_of(at.shown, REFRESHES * HONEST, 0.05, 0.0, seed=1)
    slowly = [[*honest[: n * HONEST], *inside[: n * PLANTED]] for n in range(1, REFRESHES + 1)]
    kinds: list[tuple[str, Sequence[Sequence[Correction]], Sequence[str], bool]] = [
        ("a pair outside", outsiders, [COMMUNITY], False),
        ("the same, trusted", outsiders, [OUTSIDE], False),
        ("the same, without the new comparisons", outsiders, [OUTSIDE], True),
        ("honest words alone", [honest], [COMMUNITY], False),
        ("a pair among four, slowly", slowly, [COMMUNITY], False),
        ("the same, without the new comparisons", slowly, [COMMUNITY], True),
    ]
    for name, said, trusted, as_before in kinds:
        console.print(name, highlight=False)
        for number, found in enumerate(chain(at, said, trusted, as_before, rows, console), 1):
            table.add_row(f"{name}, {number}", *found.cells)
    return table
