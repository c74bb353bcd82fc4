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
from collections import Counter
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
from training.corrections import Snapshot, read_corrections, split_by_author
from training.examples import Example, balanced, without
from training.fit import Recipe, logits_of
from training.gate import judge
from training.lineage import clean_origin
from training.quarantine import suspicious
from training.samples import read_held_out, read_replay
from training.train import calibrate, progress_bar, save, train

RECIPE = Recipe(epochs=3, label_smoothing=0.0, balance=False, dropout=False)
GENTLE = 0.25
"""Share of the base's learning rate: the adapter is near where it shall be."""
STEPS_BACK = (1.0, 0.6, 0.3)
"""Shares of the way from the serving adapter to the trained one, tried in turn until the gate lets one through."""
CORRECTION_SHARE = 0.12
HELD_OUT_AUTHORS, HELD_OUT_FROM = 0.15, 60
"""From so many corrections on, about this share of the authors is not learned from but judged by."""
MAX_REPEATS = 8
STAGED = ".staged-"
PROMOTED, BAD_INPUT, REFUSED, NOTHING = 0, 2, 3, 4

Tell = Callable[[str, float, str], None]
"""Called with (stage, share done, result or "")."""


def refresh(
    snapshot: Snapshot, registry: Registry, replay_rows: int, keep: int, tell: Tell, choice: Choice | None = None
) -> int:
    """One refresh; returns an exit status. Raises `BadData`, `AdapterRejected`, `BaseNotFound`; never half-promotes."""
    if not snapshot.corrections:
        tell("finished", 1.0, f"nothing to learn from yet: no corrections with a basis{_counted(snapshot.left_out)}")
        return NOTHING
    tell("loading the model", 0.02, "")
    serving, _ = registry.sound(GLOBAL)
    origin = clean_origin(registry, serving, snapshot.standing)
    folder = registry.folder(origin)
    manifest = read_manifest(folder)
    base = (choice or Choice(manifest.base)).open(training=True)
    serving_manifest = attach_checked(base, "serving", registry.folder(serving))
    attach_checked(base, "origin", folder)
    lora = LoraSpec.from_json(manifest.lora)
    start = {name: tensor.float() for name, tensor in load_tensors(read_weights(folder, manifest)).items()}
    public = read_replay()

    def served(examples: Sequence[Example]) -> Tensor:
        return _probabilities(base, "serving", serving_manifest.temperature, examples)

    def kept_as_before(examples: Sequence[Example]) -> Tensor:
        return _probabilities(base, "origin", manifest.temperature, examples)

    tell("looking for what is suspicious", 0.04, "")
    said = served([each.example for each in snapshot.corrections])
    snapshot = snapshot.without(suspicious(snapshot.corrections, public, said))
    left_out = _counted(snapshot.left_out)
    if not snapshot.corrections:
        tell("finished", 1.0, f"nothing to learn from yet: no correction is left{left_out}")
        return NOTHING
    kept, judged_by = split_by_author(snapshot, HELD_OUT_AUTHORS, HELD_OUT_FROM)
    corrections, unseen = [each.example for each in kept], [each.example for each in judged_by]
    tune, test = (without(texts, [*corrections, *unseen]) for texts in read_held_out())
    replay = gather(kept_as_before, without(public, [*corrections, *unseen]), replay_rows, seed=len(corrections))
    learn = [*replay, *repeated(corrections, len(replay))]
    rate = GENTLE * base.default_learning_rate
    recipe = replace(RECIPE, learning_rate=rate, head_learning_rate=rate)
    trained = train(
        base,
        learn,
        recipe,
        lora=lora,
        start=start,
        advance=lambda done, loss: tell(f"learning from {len(corrections)} corrections", 0.05 + 0.8 * done, ""),
    )
    before = served(test)
    reasons: Sequence[str] = ()
    for tried, share in enumerate(STEPS_BACK):
        tell("testing on held-out texts", 0.87 + 0.04 * tried, "")
        candidate = replace(trained, tensors=_between(start, trained.tensors, share))
        temperature, _ = calibrate(base, candidate, tune)
        base.attach("candidate", candidate.lora, candidate.tensors)
        judgement = judge(before, _probabilities(base, "candidate", temperature, test), test)
        found = [*judgement.reasons, *_unlearned(base, unseen)]
        reasons = reasons or found
        if not found:
            break
    else:
        tell("finished", 1.0, f"refused: {'; '.join(reasons)}. {serving} goes on serving{left_out}")
        return REFUSED
    learned = _answered(base, "candidate", corrections)
    taken_back = len(set(serving_manifest.examples) - snapshot.standing)
    figures = {
        "held_out": judgement.after.to_json(),
        **judgement.to_json(),
        "corrections": len(corrections),
        "corrections answered as the moderators say": learned,
        "before the refresh": _answered(base, "serving", corrections),
        "of authors held out": len(unseen),
        "of those, answered as the moderators say": _answered(base, "candidate", unseen),
        "of those, before the refresh": _answered(base, "serving", unseen),
        **{f"left out: {reason}": count for reason, count in snapshot.left_out.items()},
        **{f"learned from {who}": n for who, n in Counter(each.moderator for each in kept).most_common()},
        "share of the step taken": share,
        "snapshot": snapshot.sha256[:12],
    }
    tell("saving", 0.98, "")
    version = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=registry.root))
    try:
        lineage = list(dict.fromkeys([*manifest.examples, *(each.id for each in kept)]))
        names = dict(name=version, parent=origin, lineage=lineage)
        save(staged, base, candidate, learn, recipe, temperature, figures, **names)  # type: ignore[arg-type]
        adapter = registry.publish(GLOBAL, staged, version)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    tell("promoting", 0.99, "")
    registry.promote(adapter)
    registry.prune(GLOBAL, keep)
    change = f"macro-F1 {judgement.before.macro_f1:.3f} → {judgement.after.macro_f1:.3f}"
    taught = f"{learned} of {len(corrections)} corrections are answered as you said"
    anew = f"; started from {origin}, because {taken_back} examples were taken back" if origin != serving else ""
    tell("finished", 1.0, f"promoted {version}: {taught}, {change} on held-out texts{left_out}{anew}")
    return PROMOTED


def gather(
    served: Callable[[Sequence[Example]], Tensor], public: Sequence[Example], rows: int, seed: int
) -> list[Example]:
    """About `rows` public texts, balanced by label, to be answered as the adapter it starts from answers them.

    So what moderators did not touch stays, and a few hundred rows cannot drag the rest along (Li and Hoiem 2016,
    "Learning without Forgetting").
    """
    if not rows:
        return []
    replay = balanced(public, -(-rows // 3), seed=seed)
    return [replace(e, votes=tuple(row)) for e, row in zip(replay, served(replay).tolist(), strict=True)]


def repeated(corrections: Sequence[Example], replayed: int) -> list[Example]:
    """The corrections, each so often that together they are about `CORRECTION_SHARE` of the replayed texts."""
    repeats = max(1, min(MAX_REPEATS, round(CORRECTION_SHARE * replayed / len(corrections))))
    return [replace(example, weight=1.5) for example in corrections for _ in range(repeats)]


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


def _probabilities(base: Base, adapter: str, temperature: float, examples: Sequence[Example]) -> Tensor:
    """(N, 3) calibrated."""
    return calibrated(logits_of(base, adapter, [example.text for example in examples]), temperature)


def _unlearned(base: Base, unseen: Sequence[Example]) -> list[str]:
    """Why corrections of authors held out speak against the candidate, if they do."""
    was, now = (_answered(base, adapter, unseen) for adapter in ("serving", "candidate"))
    if was - now <= max(1, 0.02 * len(unseen)):
        return []
    return [f"of {len(unseen)} corrections it did not learn from, {now} are answered as you said instead of {was}"]


def _counted(left_out: Mapping[str, int]) -> str:
    """In words, for the end of a sentence."""
    if not left_out:
        return ""
    return f" (left out: {', '.join(f'{count} × {reason}' for reason, count in sorted(left_out.items()))})"


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
    except OSError as error:
        console.print(
            f"error: cannot write ({error}); the adapter that served goes on", style="red", markup=False, soft_wrap=True
        )
        return BAD_INPUT
    except (BadData, AdapterRejected, BaseNotFound) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
