"""Trains an adapter on the moderators' corrections: examples -> train -> evaluate -> gate -> promote.

    python -m training.refresh [--store data/domovoi.db] [--key FILE] [--adapters data/adapters] [--base minilm]
        [--trusted NAME]... [--community NAME]

A copy of the serving adapter is trained on the corrections that have a basis and on a sample of public texts. The copy
serves only if it is not worse on held-out texts. The adapter for all learns only from `--trusted` communities. The
corrections of the others change their own norms and, from some hundred corrections on, an adapter of their own.
`--community` trains that community's own adapter, on its corrections alone.
Exit status: 0 promoted, 2 bad input, 3 refused (by the gate, or before the training), 4 nothing to learn from.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from model.adapters.files import open_lock_file
from model.adapters.registry import GLOBAL, Registry, open_registry, scope_of
from model.base import BaseNotFound
from model.choice import E5, BaseChoice, add_base_options, read_base_choice
from model.classifier import AdapterRejected
from model.serving import core_dumps
from model.table import BadData
from training.corrections import Snapshot, read_corrections
from training.lineage import learned_by
from training.refresh_run import BAD_INPUT, NOTHING, PROMOTED, REFUSED, STAGED, RefreshRun, Tell
from training.train import progress_bar
from training.trust import MAX_OWN_CORRECTIONS, TRUSTED, describe_unknown_communities, ready_for_own_adapter

__all__ = ["BAD_INPUT", "NOTHING", "PROMOTED", "REFUSED", "Tell", "lock_adapters", "main", "refresh", "refresh_all"]


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
    """One refresh of a scope: see `RefreshRun`."""
    run = RefreshRun(snapshot, registry, replay_rows, keep, tell, choice, scope, tries_adapters=tries_adapters)
    return run.run()


@contextlib.contextmanager
def lock_adapters(adapters: Path) -> Iterator[None]:
    """Locks the adapters' folder and removes what a killed refresh left; raises `BadData` if another refresh runs."""
    adapters.mkdir(parents=True, exist_ok=True)
    with open_lock_file(adapters / ".refresh.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadData(f"{adapters}: another refresh is under way there; wait for it") from None
        for leftover in adapters.glob(f"{STAGED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def refresh_all(
    snapshot: Snapshot,
    trusted: Sequence[str],
    registry: Registry,
    one: Callable[[Snapshot, str, Tell], int],
    tell: Tell,
) -> int:
    """Refreshes the adapter for all, and the own adapter of each untrusted community with enough corrections.

    Returns PROMOTED if one was promoted, else the status of the first. `tell` gets one result, after the last.
    """
    results = list[str]()

    def quietly(prefix: str) -> Tell:
        def passed_on(stage: str, share: float, result: str) -> None:
            if result:
                results.append(f"{prefix}{result}")
            else:
                tell(f"{prefix}{stage}", share, "")

        return passed_on

    own = ready_for_own_adapter(snapshot.trusting(trusted), lambda name: learned_by(registry, scope_of(name)))
    statuses = [one(snapshot.trusting(trusted), GLOBAL, quietly(""))]
    for name in own:
        try:
            own_corrections = snapshot.for_community(name, trusted)
            own_corrections = replace(own_corrections, corrections=own_corrections.corrections[-MAX_OWN_CORRECTIONS:])
            statuses.append(one(own_corrections, scope_of(name), quietly(f"{name}: ")))
        except (BadData, AdapterRejected) as error:  # does not stop the others
            results.append(f"{name}: {error}")
    results += [note for note in (describe_unknown_communities(trusted, snapshot),) if note]
    tell("finished", 1.0, "; ".join(results))
    return PROMOTED if PROMOTED in statuses else statuses[0]


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
    parser.add_argument("--english", action="store_true", help="leave out what the base for other languages reads")
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
        with lock_adapters(registry.root), contextlib.nullcontext() if options.progress == "json" else bar:
            tell("reading corrections", 0.0, "")
            snapshot = read_corrections(options.store, options.key.expanduser())
            if options.base == E5 or options.english:
                snapshot = snapshot.read_by(options.base)

            def one(snapshot: Snapshot, scope: str, tell: Tell) -> int:
                rows, keep, tries = options.replay_rows, options.keep, not options.untried
                return refresh(
                    snapshot, registry, rows, keep, tell, read_base_choice(options), scope, tries_adapters=tries
                )

            if options.community is not None:
                return one(snapshot.for_community(options.community, trusted), scope_of(options.community), tell)
            return refresh_all(snapshot, trusted, registry, one, tell)
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
