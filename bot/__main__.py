"""python -m bot [run | check | backup FILE | restore [FILE]] [--config FILE]
    python -m bot replay FILE --text COLUMN [--label COLUMN] [--out REPORT.html] [--community NAME] [--config FILE]

run     the service with its page (the default)
check   reads the configuration, the key and the adapter, asks Discord about the token, says what it found, and
        prints the link that adds the bot to a server
backup  copies the store to a file that can be taken elsewhere; the service may run
restore makes the store again from that file or its own newest sound backup, and every later change; the service must
        stand still
replay  runs a CSV file through the whole pipeline in shadow mode and writes a report
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot import app, replay, report
from bot.config import BadConfig, Config, read_config
from bot.models import adapters_of
from bot.platforms.base import PlatformRefuses
from bot.platforms.remote import discord_access, telegram_access
from bot.store import Damaged, KeyMissing, NewerStore
from model.adapters import read_manifest, read_weights
from model.classifier import AdapterRejected
from model.table import BadData

CONFIG = Path(__file__).parents[1] / "config.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 2 with one line that names what is wrong and the fix; 130 when interrupted."""
    options = _parser().parse_args(arguments)
    console, errors = Console(), Console(stderr=True)
    try:
        config = read_config(options.config)
        if options.command == "check":
            check(config, options.config, console)
            asyncio.run(check_platforms(config, console))
        elif options.command == "backup":
            console.print(app.back_up(config, options.file), soft_wrap=True, markup=False)
        elif options.command == "restore":
            console.print(app.restore(config, options.file), soft_wrap=True, markup=False)
        elif options.command == "replay":
            asyncio.run(
                replay_file(config, options.file, options.text, options.label, options.out, errors, options.community)
            )
        else:
            asyncio.run(app.run(config, lambda url: console.print(f"Domovoi is at {url}", soft_wrap=True)))
    except* KeyboardInterrupt:
        return_status = 130
    except* (
        BadConfig,
        BadData,
        PlatformRefuses,
        app.PortInUse,
        app.AlreadyRuns,
        KeyMissing,
        NewerStore,
        Damaged,
        AdapterRejected,
    ) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return_status = 2
    else:
        return_status = 0
    return return_status


def check(config: Config, path: Path, console: Console) -> None:
    """Reads what a start would read; raises what it would raise."""
    registry = adapters_of(config)
    adapter = registry.current()
    manifest = read_manifest(registry.folder(adapter))
    read_weights(registry.folder(adapter), manifest)
    console.print(f"configuration {path}: in order", soft_wrap=True)
    console.print(f"adapter {adapter} for {manifest.base}: in order", soft_wrap=True)


async def check_platforms(config: Config, console: Console) -> None:
    """Whether each platform takes its token; raises `PlatformRefuses`."""
    lines: list[str] = []
    if config.discord.token:
        from bot.platforms.discord import checking as discord

        lines += await discord.check_access(discord_access(config))
    else:
        lines.append("Discord: no token; put one into DOMOVOI_DISCORD_TOKEN to moderate a server")
    if config.telegram.token:
        from bot.platforms.telegram import checking as telegram

        lines += await telegram.check_access(telegram_access(config))
    else:
        lines.append("Telegram: no token; put one into DOMOVOI_TELEGRAM_TOKEN to moderate a group")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


async def replay_file(
    config: Config,
    source: Path,
    text: str,
    label: str | None,
    out: Path | None,
    console: Console,
    community: str = "",
) -> None:
    """A replay with its progress bar and its report; raises `BadData` before anything is written."""
    out = out or Path(f"{source.name.split('.')[0]}-replay.html")
    if not out.absolute().parent.is_dir():
        raise BadData(f"{out.parent}: no such folder for the report; make it, or choose another --out")
    rows = replay.count_rows(source, text, label)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"replaying {source.name}", total=rows)
        async with replay.worker_of(config, community) as (classifier, adapter):
            found = await replay.replay(
                source,
                text,
                label,
                classifier,
                adapter,
                lambda so_far: bar.update(task, completed=so_far.rows),
                community,
            )
    report.write_report(out, source.name, found, replay.IN_HAND)
    speed = (found.rows - found.empty) / max(found.seconds, 1e-9)
    console.print(f"{found.rows:,} rows at {speed:,.0f} messages/s; report written to {out}", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot", description="The moderation service.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=CONFIG)
    parser.set_defaults(command="run", config=CONFIG)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", parents=[common], help="the service with its page (the default)")
    commands.add_parser("check", parents=[common], help="reads the configuration and the adapter")
    saved = commands.add_parser("backup", parents=[common], help="copies the store; the service may run")
    saved.add_argument("file", type=Path)
    restored = commands.add_parser("restore", parents=[common], help="makes the store again from its backups")
    restored.add_argument("file", type=Path, nargs="?")
    replayed = commands.add_parser("replay", parents=[common], help="runs a CSV file through the pipeline")
    replayed.add_argument("file", type=Path)
    replayed.add_argument("--text", required=True, metavar="COLUMN")
    replayed.add_argument("--label", metavar="COLUMN")
    replayed.add_argument("--community", default="", metavar="NAME", help="whose adapter and norm")
    replayed.add_argument("--out", type=Path, metavar="REPORT.html")
    return parser


if __name__ == "__main__":
    sys.exit(main())
