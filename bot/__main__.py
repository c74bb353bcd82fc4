"""python -m bot [run | link | check | backup FILE | restore [FILE]] [--config FILE]
    python -m bot replay FILE --text COLUMN [--label COLUMN] [--out REPORT.html] [--community NAME] [--config FILE]

run     the service with its page (the default)
link    prints a link that signs one browser in to the page, once; the service may run
check   looks at the configuration, the data folder, the key, the adapter and the device, asks Discord and Telegram
        about their tokens, says what it found, and prints the links that add the bot
backup  copies the store to a file that can be taken elsewhere; the service may run
restore makes the store again from that file or its own newest sound backup, and every later change; the service must
        stand still
replay  runs a CSV file through the whole pipeline in shadow mode and writes a report
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot import app
from bot import check as checking
from bot.config import BadConfig, Config, read_config
from bot.console.one_time_links import new_link
from bot.domain.platform import PlatformRefuses
from bot.process import data_folder
from bot.process.http_listener import PortInUse
from bot.replay import replay, report
from bot.store import Damaged, KeyMissing, NewerStore
from model.classifier import AdapterRejected
from model.serving import core_dumps
from model.table import BadData

CONFIG = Path(__file__).parents[1] / "config.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 2 with one line that names what is wrong and the fix; 130 when interrupted."""
    options = _parser().parse_args(arguments)
    console, errors = Console(), Console(stderr=True)
    try:
        config = read_config(options.config)
        if options.command == "check":
            return asyncio.run(check(config, options.config, console, errors))
        elif options.command == "link":
            console.print(new_link(config), soft_wrap=True, markup=False, highlight=False)
        elif options.command == "backup":
            console.print(data_folder.back_up(config, options.file), soft_wrap=True, markup=False)
        elif options.command == "restore":
            console.print(data_folder.restore(config, options.file), soft_wrap=True, markup=False)
        elif options.command == "replay":
            asyncio.run(
                replay_file(config, options.file, options.text, options.label, options.out, errors, options.community)
            )
        else:
            asyncio.run(app.run(config, lambda page, link: _announce(console, page, link)))
    except* KeyboardInterrupt:
        return_status = 130
    except* (
        BadConfig,
        BadData,
        PlatformRefuses,
        PortInUse,
        data_folder.AlreadyRuns,
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


def _announce(console: Console, page: str, link: str) -> None:
    for line in (
        f"Domovoi is at {page}",
        f"Open {link} to sign in: it works once, and python -m bot link prints another.",
    ):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


async def check(config: Config, path: Path, console: Console, errors: Console) -> int:
    """One line for each thing that was looked at; exit status 2 where one of them is not in order."""
    status = 0
    async for is_well, line in checking.check(config, path):
        if is_well:
            console.print(line, soft_wrap=True, markup=False, highlight=False)
        else:
            errors.print(f"error: {line}", style="red", markup=False, soft_wrap=True)
            status = 2
    return status


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
            findings = await replay.replay(
                source,
                text,
                label,
                classifier,
                adapter,
                lambda so_far: bar.update(task, completed=so_far.rows),
                community,
            )
    report.write_report(out, source.name, findings, replay.IN_HAND)
    speed = (findings.rows - findings.empty) / max(findings.seconds, 1e-9)
    console.print(f"{findings.rows:,} rows at {speed:,.0f} messages/s; report written to {out}", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot", description="The moderation service.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=CONFIG)
    parser.set_defaults(command="run", config=CONFIG)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", parents=[common], help="the service with its page (the default)")
    commands.add_parser("link", parents=[common], help="prints a link that signs one browser in to the page, once")
    commands.add_parser("check", parents=[common], help="looks whether a start would find everything in order")
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
    core_dumps.forbid()
    os.umask(0o077)  # what it writes is for its user alone
    sys.exit(main())
