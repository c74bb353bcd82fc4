"""Puts an adapter into service, or the one before it back.

    python -m training.promote VERSION | --rollback [--adapters data/adapters] [--scope global] [--base minilm]

The base takes the adapter first and reads a few plain texts with it (`model.adapters.canaries`). A running bot notices
within a second, and tries it once more.
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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("version", nargs="?")
    what.add_argument("--rollback", action="store_true")
    parser.add_argument("--adapters", type=Path, default=Path("data/adapters"))
    parser.add_argument("--scope", default=GLOBAL)
    parser.add_argument("--base", default=EMBEDDED, metavar="NAME", help="whose adapters")
    parser.add_argument("--untried", action="store_true", help="it need not read plain English texts right")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        registry = open_registry(options.base, options.adapters)
        if options.rollback:
            registry.rollback(options.scope)
        else:
            known = [manifest.version for manifest in registry.versions(options.scope)]
            if options.version not in known:
                there = ", ".join(known) or "none yet"
                raise AdapterRejected(f'{options.scope}: there is no version "{options.version}"; there are: {there}')
            adapter = f"{options.scope}/{options.version}"
            try:
                Scorer(open_chosen_base(BaseChoice(options.base)), tries_adapters=not options.untried).load(
                    adapter, registry.folder(adapter)
                )
            except BaseNotFound as error:
                console.print(f"not tried here: {error}; a running bot tries it before it serves", soft_wrap=True)
            registry.promote(adapter)
        console.print(f"{registry.current(options.scope)} serves now", soft_wrap=True)
    except (AdapterRejected, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
