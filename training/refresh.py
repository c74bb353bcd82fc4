"""Learns from the moderators' corrections: examples -> train -> evaluate -> gate -> promote.

    python -m training.refresh [--store data/domovoi.db] [--key FILE] [--adapters data/adapters] [--base minilm]
        [--trusted NAME]... [--community NAME]

Corrections with a basis and a sample of public texts teach a copy of the serving adapter. The copy serves only when it
is not worse on held-out texts. Only communities that are `--trusted` teach what serves all; what others say teaches
their own norms and, from some hundred words on, an adapter of their own. With `--community` the copy is that
community's own, and only its corrections teach it.
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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from model.adapters import canaries
from model.adapters.files import open_lock_file
from model.adapters.registry import GLOBAL, Registry, open_registry, read_manifest, scope_of
from model.base import BaseNotFound
from model.choice import BaseChoice, add_base_options, read_base_choice
from model.classifier import AdapterRejected
from model.norms import PLAIN_NORM, Norm
from model.open import open_chosen_base
from model.serving import core_dumps
from model.serving.scorer import attach_adapter, read_adapter
from model.table import BadData
from training.attached_adapter import AttachedAdapter, find_serving
from training.corrections import Correction, Snapshot, read_corrections, split_by_author
from training.examples import Example, exclude_texts
from training.gate import NEW_COMMUNITY, CommunityCheck, false_action_reason, judge
from training.hate_recall import ACTION_THRESHOLDS, is_slur_sentence
from training.lineage import ANCESTOR, find_ancestor, find_clean_origin
from training.mixture import contrast_examples, correction_examples, replay_examples
from training.quarantine import find_rare_words, quarantine_all
from training.refresh_summary import describe_left_out, describe_norm_changes, report_section
from training.samples import read_held_out, read_replay
from training.slur_sentences import make_slur_sentences
from training.train import TrainedAdapter, progress_bar, save_adapter, train
from training.training_loop import Recipe, TrainingHistory
from training.trigger_words import find_trigger_words
from training.trust import (
    MAX_OWN_CORRECTIONS,
    TRUSTED,
    describe_unknown_communities,
    describe_untrusted,
    ready_for_own_adapter,
)

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
    choice: BaseChoice | None = None,
    scope: str = GLOBAL,
    *,
    tries_adapters: bool = True,
) -> int:
    """One refresh of a scope; returns an exit status. `tries_adapters`: none serves that `model.adapters.canaries`
    refuses.

    Raises `BadData`, `AdapterRejected`, `BaseNotFound`; never half-promotes.
    """
    alone = describe_untrusted(snapshot)
    if not snapshot.corrections and not _learned_what_must_go(registry, scope, snapshot.standing):
        tell(
            "finished",
            1.0,
            f"nothing to learn from yet: no corrections with a basis{describe_left_out(snapshot.left_out)}",
        )
        return NOTHING
    tell("loading the model", 0.02, "")
    base = open_chosen_base(choice or BaseChoice(read_manifest(registry.shipped).base), training=True)
    serving, refused = find_serving(base, registry, scope, tries_adapters)
    public = read_replay()
    now = AttachedAdapter(base, "serving", attach_adapter(base, "serving", registry.folder(serving)))
    origin, why = find_clean_origin(registry, serving, snapshot.standing, refused), ""
    if origin != serving:
        gone = len(set(now.manifest.examples) - snapshot.standing)
        why = f"{gone} examples of {serving} were taken back or are not trusted"
    ancestor = find_ancestor(registry, serving)
    first = now
    if ancestor != serving:
        first = AttachedAdapter(base, "first", attach_adapter(base, "first", registry.folder(ancestor)))
    then = now
    if origin != serving:
        then = AttachedAdapter(base, "origin", attach_adapter(base, "origin", registry.folder(origin)))
    if scope != GLOBAL:  # another community's norm is none of its business
        for each in (now, then):
            each.norms = {name: norm for name, norm in each.norms.items() if scope_of(name) == scope}
    tell("looking for what is suspicious", 0.04, "")
    theirs = {name: norm for name, norm in now.norms.items() if name in snapshot.untrusted}
    sifted = quarantine_all(snapshot, public, now.correction_probabilities, {**then.norms, **theirs})
    known = {each.example.key: each.example.label for each in sifted.snapshot.corrections}
    test = [e for part in read_held_out() for e in part if known.get(e.key) is not e.label]
    test = [*exclude_texts(test, []), *make_slur_sentences()]
    if drift := judge(
        then.probabilities(test), then.probabilities(test), test, [NEW_COMMUNITY], first.probabilities(test)
    ).reasons:
        why = f"{origin} is worse than it: {'; '.join(drift)}"
        origin, then = ancestor, first
    must_go = origin != serving and serving.startswith(f"{scope}/")
    manifest, lora, tensors = read_adapter(base, registry.folder(origin))
    start = {name: tensor.float() for name, tensor in tensors.items()}
    norms, harsh = bearable(sifted.norms, now, test, snapshot)
    snapshot, left_out = sifted.snapshot, describe_left_out(sifted.snapshot.left_out)
    notes = "".join(f"; {note}" for note in (*harsh, alone) if note)
    if not snapshot.corrections and norms == now.norms and not must_go:
        if sifted.refused:
            tell("finished", 1.0, f"refused: {'; '.join(sifted.refused)}. {serving} goes on serving{left_out}{notes}")
            return REFUSED
        tell("finished", 1.0, f"nothing to learn from yet: no correction is left{left_out}{notes}")
        return NOTHING
    kept, unseen = split_by_author(snapshot, HELD_OUT_AUTHORS, HELD_OUT_FROM)
    fresh = exclude_texts(public, [each.example for each in snapshot.corrections])
    rate = GENTLE * base.default_learning_rate
    recipe = replace(RECIPE, learning_rate=rate, head_learning_rate=rate)
    learn, trained = list[Example](), TrainedAdapter(start, lora, TrainingHistory())
    if kept:
        replay = replay_examples(then.uncalibrated_probabilities, fresh, replay_rows, seed=len(kept))
        learn = [
            *replay,
            *contrast_examples(kept, fresh, then.uncalibrated_probabilities, seed=len(kept)),
            *correction_examples(
                kept,
                then.correction_probabilities(kept),
                then.uncalibrated_probabilities([each.example for each in kept]),
                norms,
                len(replay),
            ),
        ]
        trained = train(
            base,
            learn,
            recipe,
            lora=lora,
            start=start,
            advance=lambda done, loss: tell(f"learning from {len(kept)} corrections", 0.05 + 0.8 * done, ""),
            watched=[e for e in test if not is_slur_sentence(e)][::WATCHED_EVERY],
        )
    # What must not serve any longer is nothing to be compared with.
    before, reasons, secret = then.probabilities(test), list(() if kept else sifted.refused), list[str]()
    rare = find_rare_words(kept, public)
    norms_alone = (0.0,) if norms != now.norms or must_go else ()
    for tried, share in enumerate((*(STEPS_BACK if kept else ()), *norms_alone)):
        tell("testing on held-out texts", 0.87 + 0.025 * tried, "")
        candidate = replace(trained, tensors=_between(start, trained.tensors, share))
        base.attach("candidate", candidate.lora, candidate.tensors)
        new = AttachedAdapter(base, "candidate", manifest, norms)
        judgement = judge(
            before, new.probabilities(test), test, stakes(snapshot, now.norms, norms), first.probabilities(test)
        )
        found = [*judgement.reasons, *_unlearned(then, new, unseen), *(_untaught(then, new, kept) if share else ())]
        if tries_adapters and (complaint := canaries.find_problem(base, "candidate", manifest.temperature)):
            found.append(complaint)
        secret = (
            find_trigger_words(
                rare, then.probabilities, new.probabilities, [e for e in test if not is_slur_sentence(e)]
            )
            if not tried
            else secret
        )
        found += secret if share else []
        reasons = reasons or found
        if not found:
            break
    else:
        reasons = list(dict.fromkeys([*reasons, *sifted.refused]))
        tell("finished", 1.0, f"refused: {'; '.join(reasons)}. {serving} goes on serving{left_out}{notes}")
        return REFUSED
    learned = new.count_agreeing(kept)
    told = [f"{learned} of {len(kept)} corrections are answered as you said"] if kept else []
    told += describe_norm_changes(now.norms, new.norms)
    told += [f"macro-F1 {judgement.before.macro_f1:.3f} → {judgement.after.macro_f1:.3f} on held-out texts"]
    told += [f"the weights stay, because {'; '.join(reasons)}"] if not share and reasons else sifted.refused
    told += [f"started from {origin}, because {why}"] if why else []
    answered = {
        "corrections answered as the moderators say": (len(kept), now.count_agreeing(kept), learned),
        "corrections of authors held out": (len(unseen), now.count_agreeing(unseen), new.count_agreeing(unseen)),
    }
    taught_by = dict(Counter(each.moderator for each in kept).most_common())
    account = report_section(
        [*told, *harsh, *([alone] if alone else [])], judgement, answered, norms, snapshot, taught_by, share
    )
    figures = {"held_out": judgement.after.to_json(), "refresh": account}
    tell("saving", 0.98, "")
    version = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    registry.root.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=registry.root))
    try:
        lineage = list(dict.fromkeys([*manifest.examples, *(each.id for each in snapshot.corrections)]))
        names = dict(name=version, parent=origin, lineage=lineage, norms=norms, more={ANCESTOR: ancestor})
        save_adapter(staged, base, candidate, learn, recipe, manifest.temperature, figures, **names)  # type: ignore[arg-type]
        adapter = registry.publish(scope, staged, version)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    tell("promoting", 0.99, "")
    registry.promote(adapter)
    registry.prune(scope, keep, ancestor)
    tell("finished", 1.0, f"promoted {version}: {', '.join(told)}{left_out}{notes}")
    return PROMOTED


def bearable(
    norms: Mapping[str, Norm], now: AttachedAdapter, test: Sequence[Example], snapshot: Snapshot
) -> tuple[dict[str, Norm], list[str]]:
    """(the norms that may hold, why others may not): who has no veto on what serves all must not be harmed either."""
    found, refused = dict(norms), list[str]()
    for stake in stakes(snapshot, now.norms, norms):
        if stake.has_veto or stake.before.counts_as == stake.after.counts_as:
            continue
        if reason := false_action_reason(now.probabilities(test), now.probabilities(test), test, stake):
            refused.append(f"the norm of {stake.community} stays: {reason}")
            found.pop(stake.community, None)
            if stake.before.changes:
                found[stake.community] = stake.before
    return found, refused


def stakes(snapshot: Snapshot, before: Mapping[str, Norm], after: Mapping[str, Norm]) -> list[CommunityCheck]:
    """What each community has at stake that the snapshot knows of, and one that joins tomorrow."""
    known = sorted({*before, *after, *snapshot.action_thresholds, *snapshot.prevalence})
    norms = [(name, before.get(name, PLAIN_NORM), after.get(name, PLAIN_NORM)) for name in known]
    action_thresholds, prevalence = snapshot.action_thresholds, snapshot.prevalence
    return [
        NEW_COMMUNITY,
        *(
            CommunityCheck(
                name,
                was,
                now,
                action_thresholds.get(name, ACTION_THRESHOLDS),
                prevalence.get(name),
                name not in snapshot.untrusted,
            )
            for name, was, now in norms
        ),
    ]


@contextlib.contextmanager
def only_one(adapters: Path) -> Iterator[None]:
    """Holds the lock of the adapters' folder and clears away what a killed refresh left; raises `BadData`."""
    adapters.mkdir(parents=True, exist_ok=True)
    with open_lock_file(adapters / ".refresh.lock") as lock:
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


def _unlearned(now: AttachedAdapter, new: AttachedAdapter, unseen: Sequence[Correction]) -> list[str]:
    """Why corrections of authors held out speak against the candidate, if they do."""
    was, will = now.count_agreeing(unseen), new.count_agreeing(unseen)
    if was - will <= max(1, 0.02 * len(unseen)):
        return []
    return [f"of {len(unseen)} corrections it did not learn from, {will} are answered as you said instead of {was}"]


def _learned_what_must_go(registry: Registry, scope: str, standing: Set[str]) -> bool:
    """Whether what serves the scope learned from words that were taken back or are not trusted."""
    return not set(_learned_by(registry, scope)) <= standing


def _untaught(now: AttachedAdapter, new: AttachedAdapter, kept: Sequence[Correction]) -> list[str]:
    """Why there is no point in the candidate, if there is none: it is a risk, and moderators would see no change."""
    was, will = now.count_agreeing(kept), new.count_agreeing(kept)
    if will > was or was == len(kept) or new.norms != now.norms:
        return []
    return [f"{will} of {len(kept)} corrections are answered as you said, no more than before"]


def for_all(
    snapshot: Snapshot,
    trusted: Sequence[str],
    registry: Registry,
    one: Callable[[Snapshot, str, Tell], int],
    tell: Tell,
) -> int:
    """A refresh of what serves all, and of the own adapters of communities that are not trusted and said enough.

    Promoted if one of them was; else the status of the first. `tell` hears one result, when all are over.
    """
    results = list[str]()

    def quietly(prefix: str) -> Tell:
        def passed_on(stage: str, share: float, result: str) -> None:
            if result:
                results.append(f"{prefix}{result}")
            else:
                tell(f"{prefix}{stage}", share, "")

        return passed_on

    own = ready_for_own_adapter(snapshot.trusting(trusted), lambda name: _learned_by(registry, scope_of(name)))
    statuses = [one(snapshot.trusting(trusted), GLOBAL, quietly(""))]
    for name in own:
        try:
            theirs = snapshot.for_community(name, trusted)
            theirs = replace(theirs, corrections=theirs.corrections[-MAX_OWN_CORRECTIONS:])
            statuses.append(one(theirs, scope_of(name), quietly(f"{name}: ")))
        except (BadData, AdapterRejected) as error:  # its own affair
            results.append(f"{name}: {error}")
    results += [note for note in (describe_unknown_communities(trusted, snapshot),) if note]
    tell("finished", 1.0, "; ".join(results))
    return PROMOTED if PROMOTED in statuses else statuses[0]


def _learned_by(registry: Registry, scope: str) -> Collection[str]:
    """Ids of what the scope's own serving adapter learned from; none where it has none."""
    try:
        serving, _ = registry.newest_sound(scope)
        return read_manifest(registry.folder(serving)).examples if serving.startswith(f"{scope}/") else ()
    except AdapterRejected:
        return ()


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module for the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.refresh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("data/domovoi.db"))
    parser.add_argument("--key", type=Path, default=Path("~/.config/domovoi/sealing.key"))
    parser.add_argument("--adapters", type=Path, default=Path("data/adapters"))
    parser.add_argument("--replay-rows", type=int, default=2300)
    parser.add_argument("--keep", type=int, default=5)
    parser.add_argument("--community", metavar="NAME", help="an adapter of its own, from its own corrections alone")
    parser.add_argument(
        "--trusted",
        metavar="NAME",
        action="append",
        help=f'a community that teaches what serves all; again for each, "" for none (default: {", ".join(TRUSTED)})',
    )
    parser.add_argument("--untried", action="store_true", help="adapters need not read plain English texts right")
    parser.add_argument("--progress", choices=("bar", "json"), default="bar")
    add_base_options(parser)
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

    trusted = TRUSTED if options.trusted is None else [name for name in options.trusted if name]
    try:
        registry = open_registry(options.base, options.adapters)
        with only_one(registry.root), contextlib.nullcontext() if options.progress == "json" else bar:
            tell("reading corrections", 0.0, "")
            snapshot = read_corrections(options.store, options.key.expanduser())

            def one(snapshot: Snapshot, scope: str, tell: Tell) -> int:
                rows, keep, tries = options.replay_rows, options.keep, not options.untried
                return refresh(
                    snapshot, registry, rows, keep, tell, read_base_choice(options), scope, tries_adapters=tries
                )

            if options.community is not None:
                return one(snapshot.for_community(options.community, trusted), scope_of(options.community), tell)
            return for_all(snapshot, trusted, registry, one, tell)
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
