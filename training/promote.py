"""Puts an adapter into service, or returns to the one before.

    python -m training.promote VERSION | --rollback [--adapters data/adapters] [--scope global] [--base minilm]

First the base loads the adapter and scores a few plain texts with it (`model.adapters.canaries`). A running bot notices
the promotion within a second, and tests the adapter once more.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from model.adapters.registry import GLOBAL, open_registry
from model.base import BaseNotFound
from model.choice import EMBEDDED, BaseChoice
from model.classifier import AdapterRejected
from model.open import open_chosen_base
from model.serving.scorer import Scorer


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line."""
    parser = argparse.ArgumentParser(prog="python -m training.promote", description=(__doc__ or "").splitlines()[0])
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("version", nargs="?")
    choice.add_argument("--rollback", action="store_true")
    parser.add_argument("--adapters", type=Path, default=Path("data/adapters"))
    parser.add_argument("--scope", default=GLOBAL)
    parser.add_argument("--base", default=EMBEDDED, metavar="NAME", help="the base of the adapters")
    parser.add_argument("--untried", action="store_true", help="do not test the adapter on plain English texts")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        registry = open_registry(options.base, options.adapters)
        if options.rollback:
            registry.rollback(options.scope)
        else:
            known = [manifest.version for manifest in registry.versions(options.scope)]
            if options.version not in known:
                listed = ", ".join(known) or "none yet"
                raise AdapterRejected(f'{options.scope}: there is no version "{options.version}"; versions: {listed}')
            adapter = f"{options.scope}/{options.version}"
            try:
                Scorer(open_chosen_base(BaseChoice(options.base)), tries_adapters=not options.untried).load(
                    adapter, registry.folder(adapter)
                )
            except BaseNotFound as error:
                console.print(f"not tested here: {error}; a running bot tests it before it serves", soft_wrap=True)
            registry.promote(adapter)
        console.print(f"{registry.current(options.scope)} serves now", soft_wrap=True)
    except (AdapterRejected, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
