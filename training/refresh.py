"""Learns from the moderators' corrections: examples -> train -> evaluate -> gate -> promote.

    python -m training.refresh [--store data/domovoi.db] [--key FILE] [--adapters data/adapters] [--base minilm]
        [--community NAME]

Corrections with a basis and a sample of public texts teach a copy of the serving adapter. The copy serves only when it
is not worse on held-out texts. With `--community` the copy is that community's own, and only its corrections teach it.
Exit status: 0 promoted, 2 bad input, 3 refused (by the gate, or before the training), 4 nothing to learn from.
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from model import canaries, core_dumps
from model.adapter_files import lock_file
from model.adapters import GLOBAL, Manifest, Registry, read_manifest, registry_of, scope_of
from model.base import Base, BaseNotFound
from model.calibration import calibrated
from model.choice import Choice, add_choice, chosen
from model.classifier import AdapterRejected
from model.labels import LABELS
from model.norms import PLAIN, Norm
from model.scorer import SENSELESS, Scorer, attach_checked, read_checked
from model.table import BadData
from training.account import changed, counted, for_report
from training.corrections import Correction, Snapshot, read_corrections, split_by_author
from training.examples import Example, without
from training.fit import Course, Recipe, logits_of
from training.gate import ACTING, NEW_COMMUNITY, Stake, judge
from training.lineage import clean_origin
from training.mixture import contrasts, gather, taught
from training.passwords import passwords
from training.quarantine import normed, rare_words, sift
from training.samples import read_held_out, read_replay
from training.train import Trained, progress_bar, save, train

RECIPE = Recipe(epochs=3, label_smoothing=0.0, balance=False, dropout=False)
GENTLE = 0.25
"""Share of the base's learning rate: the adapter is near where it shall be."""
STEPS_BACK = (1.0, 0.6, 0.3)
"""Shares of the way from the serving adapter to the trained one, tried in turn until the gate lets one through."""
HELD_OUT_AUTHORS, HELD_OUT_FROM = 0.15, 60
"""From so many corrections on, about this share of the authors is not learned from but judged by."""
WATCHED_EVERY = 8
"""Of the held-out texts so many are answered after each epoch, for the report's curve."""
STAGED = ".staged-"
PROMOTED, BAD_INPUT, REFUSED, NOTHING = 0, 2, 3, 4

Tell = Callable[[str, float, str], None]
"""Called with (stage, share done, result or "")."""


def refresh(
    snapshot: Snapshot,
    registry: Registry,
    replay_rows: int,
    keep: int,
    tell: Tell,
    choice: Choice | None = None,
    scope: str = GLOBAL,
    *,
    tries_adapters: bool = True,
) -> int:
    """One refresh of a scope; returns an exit status. `tries_adapters`: none serves that `model.canaries` refuses.

    Raises `BadData`, `AdapterRejected`, `BaseNotFound`; never half-promotes.
    """
    if not snapshot.corrections:
        tell("finished", 1.0, f"nothing to learn from yet: no corrections with a basis{counted(snapshot.left_out)}")
        return NOTHING
    tell("loading the model", 0.02, "")
    base = (choice or Choice(read_manifest(registry.shipped).base)).open(training=True)
    serving, refused = serving_of(base, registry, scope, tries_adapters)
    origin = clean_origin(registry, serving, snapshot.standing, refused)
    now = _Serving(base, "serving", attach_checked(base, "serving", registry.folder(serving)))
    then = (
        now if origin == serving else _Serving(base, "origin", attach_checked(base, "origin", registry.folder(origin)))
    )
    manifest, lora, tensors = read_checked(base, registry.folder(origin))
    start = {name: tensor.float() for name, tensor in tensors.items()}
    public = read_replay()
    tell("looking for what is suspicious", 0.04, "")
    sifted = sift(snapshot, public, now.said_of(snapshot.corrections), then.norms)
    snapshot, left_out = sifted.snapshot, counted(sifted.snapshot.left_out)
    if not snapshot.corrections and sifted.norms == now.norms:
        if sifted.refused:
            tell("finished", 1.0, f"refused: {'; '.join(sifted.refused)}. {serving} goes on serving{left_out}")
            return REFUSED
        tell("finished", 1.0, f"nothing to learn from yet: no correction is left{left_out}")
        return NOTHING
    kept, unseen = split_by_author(snapshot, HELD_OUT_AUTHORS, HELD_OUT_FROM)
    known = [each.example for each in snapshot.corrections]
    test = without((example for texts in read_held_out() for example in texts), known)
    fresh = without(public, known)
    rate = GENTLE * base.default_learning_rate
    recipe = replace(RECIPE, learning_rate=rate, head_learning_rate=rate)
    learn, trained = list[Example](), Trained(start, lora, Course())
    if kept:
        replay = gather(then.raw, fresh, replay_rows, seed=len(kept))
        learn = [
            *replay,
            *contrasts(kept, fresh, then.raw, seed=len(kept)),
            *taught(kept, then.said_of(kept), then.raw([each.example for each in kept]), sifted.norms, len(replay)),
        ]
        trained = train(
            base,
            learn,
            recipe,
            lora=lora,
            start=start,
            advance=lambda done, loss: tell(f"learning from {len(kept)} corrections", 0.05 + 0.8 * done, ""),
            watched=test[::WATCHED_EVERY],
        )
    before, reasons, secret = now.said(test), list(() if kept else sifted.refused), list[str]()
    rare = rare_words(kept, public)
    norms_alone = (0.0,) if sifted.norms != now.norms else ()
    for tried, share in enumerate((*(STEPS_BACK if kept else ()), *norms_alone)):
        tell("testing on held-out texts", 0.87 + 0.025 * tried, "")
        candidate = replace(trained, tensors=_between(start, trained.tensors, share))
        base.attach("candidate", candidate.lora, candidate.tensors)
        new = _Serving(base, "candidate", manifest, sifted.norms)
        judgement = judge(before, new.said(test), test, stakes(snapshot, now.norms, new.norms))
        found = [*judgement.reasons, *_unlearned(now, new, unseen), *_untaught(now, new, kept)]
        if tries_adapters and (complaint := canaries.complaint(base, "candidate", manifest.temperature)):
            found.append(complaint)
        secret = passwords(rare, now.said, new.said, test) if not tried else secret
        found += secret if share else []
        reasons = reasons or found
        if not found:
            break
    else:
        reasons = list(dict.fromkeys([*reasons, *sifted.refused]))
        tell("finished", 1.0, f"refused: {'; '.join(reasons)}. {serving} goes on serving{left_out}")
        return REFUSED
    learned = new.answered(kept)
    told = [f"{learned} of {len(kept)} corrections are answered as you said"] if kept else []
    told += changed(now.norms, new.norms)
    told += [f"macro-F1 {judgement.before.macro_f1:.3f} → {judgement.after.macro_f1:.3f} on held-out texts"]
    told += [f"the weights stay, because {'; '.join(reasons)}"] if not share else sifted.refused
    answered = {
        "corrections answered as the moderators say": (len(kept), now.answered(kept), learned),
        "corrections of authors held out": (len(unseen), now.answered(unseen), new.answered(unseen)),
    }
    taught_by = dict(Counter(each.moderator for each in kept).most_common())
    account = for_report(told, judgement, answered, new.norms, snapshot, taught_by, share)
    figures = {"held_out": judgement.after.to_json(), "refresh": account}
    tell("saving", 0.98, "")
    version = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    registry.root.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=registry.root))
    try:
        lineage = list(dict.fromkeys([*manifest.examples, *(each.id for each in snapshot.corrections)]))
        names = dict(name=version, parent=origin, lineage=lineage, norms=new.norms)
        save(staged, base, candidate, learn, recipe, manifest.temperature, figures, **names)  # type: ignore[arg-type]
        adapter = registry.publish(scope, staged, version)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    tell("promoting", 0.99, "")
    registry.promote(adapter)
    registry.prune(scope, keep)
    taken_back = len(set(now.manifest.examples) - snapshot.standing)
    anew = f"; started from {origin}, because {taken_back} examples were taken back" if origin != serving else ""
    tell("finished", 1.0, f"promoted {version}: {', '.join(told)}{left_out}{anew}")
    return PROMOTED


def serving_of(base: Base, registry: Registry, scope: str, tries_adapters: bool = True) -> tuple[str, dict[str, str]]:
    """(the newest promoted adapter that the base takes, those that it refuses and why).

    Raises `AdapterRejected` where it refuses the shipped one.
    """
    refused: dict[str, str] = {}
    while True:
        adapter, _ = registry.sound(scope, refused)
        if adapter in refused:
            raise AdapterRejected(refused[adapter])
        try:
            Scorer(base, tries_adapters=tries_adapters).load("serving", registry.folder(adapter))
        except AdapterRejected as error:
            refused[adapter] = str(error)
        else:
            return adapter, refused


class _Serving:
    """An attached adapter with its temperature and norms."""

    def __init__(self, base: Base, name: str, manifest: Manifest, norms: Mapping[str, Norm] | None = None) -> None:
        self._base = base
        self._name = name
        self.manifest = manifest
        self.norms: Mapping[str, Norm] = manifest.learned_norms() if norms is None else norms
        self._known: dict[str, Tensor] = {}

    def said(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3) calibrated, before any norm."""
        return calibrated(self._logits(examples), self.manifest.temperature)

    def raw(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3) at temperature 1, as the training computes them: asked for these, the adapter stays what it is."""
        return calibrated(self._logits(examples), 1.0)

    def said_of(self, corrections: Sequence[Correction]) -> Tensor:
        """(N, 3) of the corrections' texts, before any norm."""
        return self.said([each.example for each in corrections])

    def answered(self, corrections: Sequence[Correction]) -> int:
        """How many get the label their moderator gave them, by their community's norm."""
        called = normed(corrections, self.said_of(corrections), self.norms).argmax(dim=-1).tolist()
        return sum(LABELS[i] is each.example.label for i, each in zip(called, corrections, strict=True))

    def _logits(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3); each text is computed once."""
        texts = [example.text for example in examples]
        if new := list(dict.fromkeys(text for text in texts if text not in self._known)):
            logits = logits_of(self._base, self._name, new)
            if not bool(torch.isfinite(logits).all()):
                raise AdapterRejected(f"{self._name} adapter: {SENSELESS}")
            self._known |= dict(zip(new, logits, strict=True))
        return torch.stack([self._known[text] for text in texts]) if texts else torch.zeros(0, len(LABELS))


def stakes(snapshot: Snapshot, before: Mapping[str, Norm], after: Mapping[str, Norm]) -> list[Stake]:
    """What each community has at stake that the snapshot knows of, and one that joins tomorrow."""
    known = sorted({*before, *after, *snapshot.acting, *snapshot.prevalence})
    norms = [(name, before.get(name, PLAIN), after.get(name, PLAIN)) for name in known]
    acting, prevalence = snapshot.acting, snapshot.prevalence
    return [
        NEW_COMMUNITY,
        *(Stake(name, was, now, acting.get(name, ACTING), prevalence.get(name)) for name, was, now in norms),
    ]


@contextlib.contextmanager
def only_one(adapters: Path) -> Iterator[None]:
    """Holds the lock of the adapters' folder and clears away what a killed refresh left; raises `BadData`."""
    adapters.mkdir(parents=True, exist_ok=True)
    with lock_file(adapters / ".refresh.lock") as lock:
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


def _unlearned(now: _Serving, new: _Serving, unseen: Sequence[Correction]) -> list[str]:
    """Why corrections of authors held out speak against the candidate, if they do."""
    was, will = now.answered(unseen), new.answered(unseen)
    if was - will <= max(1, 0.02 * len(unseen)):
        return []
    return [f"of {len(unseen)} corrections it did not learn from, {will} are answered as you said instead of {was}"]


def _untaught(now: _Serving, new: _Serving, kept: Sequence[Correction]) -> list[str]:
    """Why there is no point in the candidate, if there is none: it is a risk, and moderators would see no change."""
    was, will = now.answered(kept), new.answered(kept)
    if will > was or was == len(kept) or new.norms != now.norms:
        return []
    return [f"{will} of {len(kept)} corrections are answered as you said, no more than before"]


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module for the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.refresh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("data/domovoi.db"))
    parser.add_argument("--key", type=Path, default=Path("~/.config/domovoi/sealing.key"))
    parser.add_argument("--adapters", type=Path, default=Path("data/adapters"))
    parser.add_argument("--replay-rows", type=int, default=2300)
    parser.add_argument("--keep", type=int, default=5)
    parser.add_argument("--community", metavar="NAME", help="an adapter of its own, from its own corrections alone")
    parser.add_argument("--untried", action="store_true", help="adapters need not read plain English texts right")
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
            scope = GLOBAL
            if options.community is not None:
                snapshot, scope = snapshot.of(options.community), scope_of(options.community)
            return refresh(
                snapshot,
                registry,
                options.replay_rows,
                options.keep,
                tell,
                chosen(options),
                scope,
                tries_adapters=not options.untried,
            )
    except OSError as error:
        console.print(
            f"error: cannot write ({error}); the adapter that served goes on", style="red", markup=False, soft_wrap=True
        )
        return BAD_INPUT
    except (BadData, AdapterRejected, BaseNotFound) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return BAD_INPUT


if __name__ == "__main__":
    core_dumps.forbid()
    os.umask(0o077)
    sys.exit(main())
