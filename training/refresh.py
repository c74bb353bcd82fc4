"""Learns from the moderators' corrections: examples -> train -> evaluate -> gate -> promote.

    python -m training.refresh [--store data/domovoi.db] [--key FILE] [--adapters data/adapters] [--base minilm]

Corrections with a basis and a sample of public texts teach a copy of the serving adapter. The copy serves only when it
is not worse on held-out texts. Exit status: 0 promoted, 2 bad input, 3 refused by the gate, 4 nothing to learn from.
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import load as load_tensors
from torch import Tensor

from model.adapters import GLOBAL, Registry, read_manifest, read_weights, registry_of
from model.base import Base, BaseNotFound, LoraSpec
from model.calibration import calibrated
from model.choice import Choice, add_choice, chosen
from model.classifier import AdapterRejected
from model.labels import LABELS
from model.scorer import attach_checked
from model.table import BadData
from training.corrections import Snapshot, read_corrections
from training.examples import Example, balanced, without
from training.gate import judge
from training.samples import read_held_out, read_replay
from training.train import Recipe, calibrate, logits_of, progress_bar, save, train

RECIPE = Recipe(
    epochs=3, learning_rate=1e-4, head_learning_rate=1e-4, label_smoothing=0.0, balance=False, dropout=False
)
STEPS_BACK = (1.0, 0.6, 0.3)
"""Shares of the way from the serving adapter to the trained one, tried in turn until the gate lets one through."""
CORRECTION_SHARE = 0.12
MAX_REPEATS = 8
STAGED = ".staged-"
PROMOTED, BAD_INPUT, REFUSED, NOTHING = 0, 2, 3, 4

Tell = Callable[[str, float, str], None]
"""Called with (stage, share done, result or "")."""


def refresh(
    snapshot: Snapshot, registry: Registry, replay_rows: int, keep: int, tell: Tell, choice: Choice | None = None
) -> int:
    """One refresh; returns an exit status. Raises `BadData`, `AdapterRejected`, `BaseNotFound`; never half-promotes."""
    left_out = f" ({snapshot.without_basis} left out: no basis)" if snapshot.without_basis else ""
    if not snapshot.examples:
        tell("finished", 1.0, f"nothing to learn from yet: no corrections with a basis{left_out}")
        return NOTHING
    tell("loading the model", 0.02, "")
    serving, _ = registry.sound(GLOBAL)
    folder = registry.folder(serving)
    manifest = read_manifest(folder)
    base = (choice or Choice(manifest.base)).open(training=True)
    attach_checked(base, "serving", folder)
    lora = LoraSpec.from_json(manifest.lora)
    start = {name: tensor.float() for name, tensor in load_tensors(read_weights(folder, manifest)).items()}
    tune, test = (without(texts, snapshot.examples) for texts in read_held_out())
    learn = gather(base, "serving", manifest.temperature, snapshot.examples, replay_rows)
    trained = train(
        base,
        learn,
        RECIPE,
        lora=lora,
        start=start,
        advance=lambda done, loss: tell(f"learning from {len(snapshot.examples)} corrections", 0.05 + 0.8 * done, ""),
    )
    texts = [example.text for example in test]
    before = calibrated(logits_of(base, "serving", texts), manifest.temperature)
    reasons: Sequence[str] = ()
    for tried, share in enumerate(STEPS_BACK):
        tell("testing on held-out texts", 0.87 + 0.04 * tried, "")
        candidate = replace(trained, tensors=_between(start, trained.tensors, share))
        temperature, _ = calibrate(base, candidate, tune)
        base.attach("candidate", candidate.lora, candidate.tensors)
        judgement = judge(before, calibrated(logits_of(base, "candidate", texts), temperature), test)
        reasons = reasons or judgement.reasons
        if not judgement.reasons:
            break
    else:
        tell("finished", 1.0, f"refused: {'; '.join(reasons)}. {serving} goes on serving{left_out}")
        return REFUSED
    learned = _answered(base, "candidate", snapshot.examples)
    figures = {
        "held_out": judgement.after.to_json(),
        "macro-F1 of the adapter before": judgement.before.macro_f1,
        "corrections": len(snapshot.examples),
        "corrections answered as the moderators say": learned,
        "before the refresh": _answered(base, "serving", snapshot.examples),
        "share of the step taken": share,
    }
    version = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=registry.root))
    try:
        names = dict(name=version, parent=serving, lineage=snapshot.ids)
        save(staged, base, candidate, learn, RECIPE, temperature, figures, **names)  # type: ignore[arg-type]
        adapter = registry.publish(GLOBAL, staged, version)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    registry.promote(adapter)
    registry.prune(GLOBAL, keep)
    change = f"macro-F1 {judgement.before.macro_f1:.3f} → {judgement.after.macro_f1:.3f}"
    taught = f"{learned} of {len(snapshot.examples)} corrections are answered as you said"
    tell("finished", 1.0, f"promoted {version}: {taught}, {change} on held-out texts{left_out}")
    return PROMOTED


def gather(
    base: Base, serving: str, temperature: float, corrections: Sequence[Example], replay_rows: int
) -> list[Example]:
    """Corrections, repeated until they are about `CORRECTION_SHARE` of all, and a balanced sample of public texts.

    The public texts are to be answered as the attached adapter `serving` answers them (Li and Hoiem 2016, "Learning
    without Forgetting"): what moderators did not touch stays, and a few hundred rows cannot drag the rest along.
    """
    replay = without(read_replay(), corrections)
    replay = balanced(replay, -(-replay_rows // 3), seed=len(corrections)) if replay_rows else []
    if replay:
        answers = calibrated(logits_of(base, serving, [example.text for example in replay]), temperature)
        replay = [replace(e, votes=tuple(row)) for e, row in zip(replay, answers.tolist(), strict=True)]
    wanted = CORRECTION_SHARE * len(replay) / len(corrections)
    repeats = max(1, min(MAX_REPEATS, round(wanted)))
    return [*replay, *(replace(example, weight=1.5) for example in corrections for _ in range(repeats))]


@contextlib.contextmanager
def only_one(adapters: Path) -> Iterator[None]:
    """Holds the lock of the adapters' folder and clears away what a killed refresh left; raises `BadData`."""
    adapters.mkdir(parents=True, exist_ok=True)
    with (adapters / ".refresh.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadData(f"{adapters}: another refresh is under way there; wait for it") from None
        for leftover in adapters.glob(f"{STAGED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weights this share of the way from `start` to `end` (Wortsman et al. 2022, "Robust fine-tuning", WiSE-FT)."""
    return {name: torch.lerp(start[name], end[name], share) for name in start}


def _answered(base: Base, adapter: str, examples: Sequence[Example]) -> int:
    """How many examples the adapter gives their label."""
    called = logits_of(base, adapter, [example.text for example in examples]).argmax(dim=-1).tolist()
    return sum(LABELS[i] is example.label for i, example in zip(called, examples, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module for the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.refresh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("data/domovoi.db"))
    parser.add_argument("--key", type=Path, default=Path("~/.config/domovoi/sealing.key"))
    parser.add_argument("--adapters", type=Path, default=Path("data/adapters"))
    parser.add_argument("--replay-rows", type=int, default=500)
    parser.add_argument("--keep", type=int, default=5)
    parser.add_argument("--progress", choices=("bar", "json"), default="bar")
    add_choice(parser)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    bar, advance = progress_bar(console, "refresh")

    def tell(stage: str, share: float, result: str) -> None:
        if options.progress == "json":
            Console(soft_wrap=True, highlight=False).out(
                json.dumps({"stage": stage, "share": round(share, 3), "result": result})
            )
            sys.stdout.flush()
        else:
            bar.update(bar.task_ids[0], description=stage)
            advance(share, 0.0)
            if result:
                console.print(result, markup=False, soft_wrap=True)

    try:
        registry = registry_of(options.base, options.adapters)
        with only_one(registry.root), contextlib.nullcontext() if options.progress == "json" else bar:
            tell("reading corrections", 0.0, "")
            snapshot = read_corrections(options.store, options.key.expanduser())
            return refresh(snapshot, registry, options.replay_rows, options.keep, tell, chosen(options))
    except (BadData, AdapterRejected, BaseNotFound) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
