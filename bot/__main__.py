"""python -m bot [run | check] [--config FILE]

run     the service with its page (the default)
check   reads the configuration, the key and the adapter, and says what it found
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bot import app
from bot.config import BadConfig, read_config
from bot.store import KeyMissing, NewerStore
from model.adapters import Registry, read_manifest, read_weights
from model.classifier import AdapterRejected

CONFIG = Path(__file__).parents[1] / "config.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line that names what is wrong and the fix."""
    parser = argparse.ArgumentParser(prog="python -m bot", description="The moderation service.")
    parser.add_argument("command", nargs="?", default="run", choices=("run", "check"))
    parser.add_argument("--config", type=Path, default=CONFIG)
    options = parser.parse_args(arguments)
    console, errors = Console(), Console(stderr=True)
    try:
        config = read_config(options.config)
        registry = Registry(config.service.data / "adapters", app.SHIPPED)
        if options.command == "check":
            adapter = registry.current()
            manifest = read_manifest(registry.folder(adapter))
            read_weights(registry.folder(adapter), manifest)
            console.print(f"configuration {options.config}: in order", soft_wrap=True)
            console.print(f"adapter {adapter} for {manifest.base}: in order", soft_wrap=True)
        else:
            asyncio.run(app.run(config, lambda url: console.print(f"Domovoi is at {url}", soft_wrap=True)))
    except* (BadConfig, app.PortInUse, app.AlreadyRuns, KeyMissing, NewerStore, AdapterRejected) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        status = 2
    else:
        status = 0
    return status


if __name__ == "__main__":
    sys.exit(main())
