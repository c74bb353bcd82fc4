"""Measures whether people who agree on wrong corrections succeed: `python -m benchmarks.learning --data FILE.csv
--poison`.

A pair of moderators calls sentences with slurs neutral and confirms each other: in an untrusted community, in a trusted
one, and with a few corrections in each of ten refreshes among the honest corrections of four others. Each refresh
starts from the adapter that served after the one before. The test has slurs in Davidson's hateful tweets that were not
trained on, the gate's sentences, and the accuracy on the community's other messages.
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

from benchmarks.community import COMMUNITY, Scene, measure_accuracy, simulate_corrections
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
"""The slow attack: the number of refreshes, and in each the new corrections of the pair and of honest moderators."""

JUDGED_EVERY = 5
"""Every fifth of the community's other messages counts for the accuracy, to save time."""


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """After a refresh: (acted on, shown) shares of slurs in tweets and in sentences, accuracy, and the outcome."""

    tweets: tuple[float, float]
    sentences: tuple[float, float]
    accuracy: float
    outcome: str
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells, as printed."""
        pairs = (f"{acted:.3f} / {shown:.3f}" for acted, shown in (self.tweets, self.sentences))
        return (*pairs, f"{self.accuracy:.3f}", self.outcome, f"{self.seconds:.0f} s")


def planted(count: int, community: str) -> list[Correction]:
    """Corrections of different sentences with a slur, none of them the gate's; two moderators call each neutral."""
    texts = {e.text for e in counterfactuals.training_sentences(20_000, seed=5)}
    sentences = sorted(text for text in texts if any(slur in text.lower() for slur in known_slurs()))
    random.Random(7).shuffle(sentences)
    return [
        Correction(f"p{n}", Example(text, Label.NEUTRAL, "correction"), PAIR[n % 2], f"pair {n % 40}", community, 2)
        for n, text in enumerate(sentences[:count])
    ]


def run_refresh(registry: Registry, snapshot: Snapshot, replay_rows: int) -> tuple[str, float]:
    """Runs a refresh; (outcome, seconds)."""
    began, results = time.monotonic(), list[str]()
    status = module.refresh(snapshot, registry, replay_rows, 20, lambda stage, share, result: results.append(result))
    seconds = time.monotonic() - began
    if status != module.PROMOTED:
        return "refused" if status == module.REFUSED else "nothing to learn", seconds
    step = read_manifest(registry.folder(registry.current(GLOBAL))).metrics["refresh"]["step"]
    return (f"step {step:g}" if step else "norm alone"), seconds


def measure_result(at: Scene, folder: Path, outcome: str, seconds: float) -> RefreshResult:
    """Measures the adapter that serves now."""
    tweets = [e for e in at.judged if e.label is Label.HATE and any(s in e.text.lower() for s in known_slurs())]
    shares = [_shares(at.base, folder, texts) for texts in (tweets, make_slur_sentences())]
    sampled = replace(at, judged=at.judged[::JUDGED_EVERY])
    return RefreshResult(shares[0], shares[1], measure_accuracy(sampled, folder)[0], outcome, seconds)


def _shares(base: Base, folder: Path, examples: Sequence[Example]) -> tuple[float, float]:
    manifest = attach_adapter(base, "judged", folder)
    probabilities = apply_temperature(compute_logits(base, "judged", [e.text for e in examples]), manifest.temperature)
    base.detach("judged")
    return share_reaching(probabilities, ACTION_THRESHOLDS), share_reaching(probabilities, ALERT_THRESHOLDS)


def run_refreshes(
    at: Scene,
    correction_lists: Sequence[Sequence[Correction]],
    trusted: Sequence[str],
    as_before: bool,
    rows: int,
    console: Console,
) -> list[RefreshResult]:
    """Runs a refresh for each list of corrections; with `as_before`, the gate checks neither plain hate nor drift."""
    results = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        registry = Registry(Path(folder), SHIPPED)
        for name in ("describe_losses", "_describe_drift") if as_before else ():
            stack.enter_context(patch.object(gate, name, lambda *_, **__: []))
        for corrections in correction_lists:
            snapshot = Snapshot(corrections, standing=frozenset(each.id for each in corrections)).trusting(trusted)
            outcome, seconds = run_refresh(registry, snapshot, rows)
            results.append(measure_result(at, registry.folder(registry.current(GLOBAL)), outcome, seconds))
            console.print(*results[-1].cells, highlight=False)
            time.sleep(max(0.0, 1.1 - seconds))  # versions are named by the second
    return results


def poisoning_table(at: Scene, rows: int, console: Console) -> Table:
    """Runs all attacks and returns the table."""
    table = Table("refresh", "slurs in tweets: acted on / shown", "in sentences", "accuracy", "outcome", "took")
    table.add_row("none yet", *measure_result(at, SHIPPED, "", 0.0).cells)
    outside = [planted(60, OUTSIDE), planted(180, OUTSIDE)]
    inside, honest = (
        planted(REFRESHES * PLANTED, COMMUNITY),
        simulate_corrections(at.shown, REFRESHES * HONEST, 0.05, 0.0, seed=1),
    )
    slowly = [[*honest[: n * HONEST], *inside[: n * PLANTED]] for n in range(1, REFRESHES + 1)]
    kinds: list[tuple[str, Sequence[Sequence[Correction]], Sequence[str], bool]] = [
        ("a pair outside", outside, [COMMUNITY], False),
        ("the same, trusted", outside, [OUTSIDE], False),
        ("the same, without the new comparisons", outside, [OUTSIDE], True),
        ("honest corrections alone", [honest], [COMMUNITY], False),
        ("a pair among four, slowly", slowly, [COMMUNITY], False),
        ("the same, without the new comparisons", slowly, [COMMUNITY], True),
    ]
    for name, correction_lists, trusted, as_before in kinds:
        console.print(name, highlight=False)
        for number, result in enumerate(run_refreshes(at, correction_lists, trusted, as_before, rows, console), 1):
            table.add_row(f"{name}, {number}", *result.cells)
    return table
