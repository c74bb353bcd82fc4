"""The promises of docs/measurements.md, kept for a long time, in one table.

    python -m tests.soak [--out benchmarks/SOAK.md] [--quick] [--only NAME ...] [--seed 1]

`--quick` is about what `make test` does. Each row says how to run it alone. It ends with status 1 when a promise was
broken; what broke stands below the table.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.flood import describe_machine
from tests.soak.crash import crash
from tests.soak.device import deaths
from tests.soak.flood import flood
from tests.soak.oracle import Findings
from tests.soak.outages import outages
from tests.soak.steps import every_fault
from tests.soak.stops import stops
from tests.soak.storage import disk_full, io_errors, locked
from tests.soak.storage_flips import flips
from tests.soak.swaps import swaps


@dataclass(frozen=True, slots=True)
class Line:
    """One promise: what was done, what came of it, and what broke (nothing where it was kept)."""

    promise: str
    done: str
    figures: str
    broken: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Size:
    """How long the versions are."""

    messages: int
    kills: int
    stops: int
    flood_s: float
    held_s: float
    trials: int
    scores: int
    deaths: int


LONG = Size(100_000, 1000, 200, 60.0, 65.0, 1000, 10_000, 20)
QUICK = Size(20_000, 50, 50, 12.0, 5.0, 100, 1000, 3)


def _counted(findings: Findings) -> str:
    return f"lost {len(findings.lost)}, doubled {len(findings.doubled)}"


async def _crash(size: Size, seed: int, folder: Path) -> Line:
    found = await crash(size.messages, size.kills, seed, folder / "soak")
    return Line(
        "killed at any moment: nothing lost, nothing done twice",
        f"{found.messages:,} messages, {found.kills:,} × SIGKILL",
        f"{_counted(found.findings)}, warnings that may have been sent and say so {found.findings.maybe_sent}, "
        f"slowest start {found.slowest_start_s:.2f} s",
        [str(found.findings)] if found.findings else [],
    )


async def _steps(size: Size, seed: int, folder: Path) -> Line:
    found = await every_fault(folder)
    return Line(
        "any single step may fail: store, log, platform, cards, model, adapters, clock",
        f"{found.combinations} days with one fault each",
        f"invariants broken {len(found.broken)}",
        found.broken,
    )


async def _storage(size: Size, seed: int, folder: Path) -> Line:
    results = {
        "disk full": await disk_full(size.messages // 50, min(size.held_s, 10.0), seed, folder / "full"),
        "locked": await locked(size.messages // 50, size.held_s, seed, folder / "locked"),
        "1 % I/O errors": await io_errors(size.messages // 50, min(size.held_s, 20.0), 0.01, seed, folder / "errors"),
    }
    figures = [
        f"{name} for {one.held_s:.0f} s: lost {len(one.findings.lost)}, back after {one.recovery_s:.1f} s"
        for name, one in results.items()
    ]
    broken = [f"{name}: {one.findings}" for name, one in results.items() if one.findings]
    broken += [f"{name}: back after {one.recovery_s:.1f} s" for name, one in results.items() if one.recovery_s > 30]
    return Line(
        "the disk fails for a while: nothing lost, back within 30 s", "; ".join(results), "; ".join(figures), broken
    )


async def _flips(size: Size, seed: int, folder: Path) -> Line:
    found = await flips(size.trials, seed, folder / "soak")
    classes = ", ".join(f"{name} {count}" for name, count in sorted(found.classes.items()))
    return Line(
        "a damaged file: no row lost, never an empty start",
        f"{found.trials} × one flipped byte, then a thousand at once",
        f"{classes}; slowest start {found.slowest_start_s:.1f} s",
        found.wrong,
    )


async def _device(size: Size, seed: int, folder: Path) -> Line:
    found = await deaths(size.deaths)
    late = [f"back after {found.slowest_back_s:.1f} s"] if found.slowest_back_s > 60 else []
    other = [f"{found.deaths - found.same} answers changed"] if found.same != found.deaths else []
    return Line(
        "a dead model is back within 60 s",
        f"{found.deaths} × SIGKILL, real weights",
        f"slowest {found.slowest_back_s:.1f} s",
        [*late, *other],
    )


async def _flood(size: Size, seed: int, folder: Path) -> Line:
    distinct, same = [await flood(size.flood_s, identical=identical) for identical in (False, True)]
    broken = [
        f"{name}: {one}"
        for name, one in (("distinct", distinct), ("identical", same))
        if one.p99_s > 2 or one.ordinary_shed or one.grown_mb > 200 or one.left or one.handled != one.written
    ]
    return Line(
        "a flood holds up nobody else: ordinary authors' p99 within 2 s, none of theirs shed",
        f"40/s capacity, 20/s ordinary, 400/s from three authors, {size.flood_s:.0f} s",
        f"p99 {distinct.p99_s:.2f} s, {distinct.shed:,} shed and read later, memory +{distinct.grown_mb:.0f} MB; "
        f"three texts repeated: p99 {same.p99_s:.2f} s, {same.scored:,} of {same.written:,} scored",
        broken,
    )


async def _stops(size: Size, seed: int, folder: Path) -> Line:
    found = await stops(4000, size.stops, seed, folder / "soak")
    broken = [str(found.findings)] if found.findings else []
    broken += [f"exit codes {found.codes}"] if found.codes else []
    broken += [f"{found.late} stops took more than 10 s"] if found.late else []
    return Line(
        "asked to stop at any moment: ends within 10 s, nothing lost",
        f"{found.stops} × SIGTERM",
        f"slowest {found.slowest_stop_s:.2f} s, {_counted(found.findings)}",
        broken,
    )


async def _outages(size: Size, seed: int, folder: Path) -> Line:
    found = await outages(1200, seed, folder / "soak")
    broken = [str(found.findings)] if found.findings else []
    broken += [f"{found.old_punished} old messages were punished"] if found.old_punished else []
    return Line(
        "after an outage everything is read, once; what is old is only shown",
        "Discord away for an hour, Telegram for 23",
        f"{found.discord + found.telegram:,} messages, {_counted(found.findings)}, old punished {found.old_punished}",
        broken,
    )


async def _swaps(size: Size, seed: int, folder: Path) -> Line:
    found = await swaps(size.scores, 200, seed, folder)
    broken = [*found.wrong] if found.wrong else []
    broken += [f"rollback took {found.rollback_s:.1f} s"] if found.rollback_s > 5 else []
    return Line(
        "adapters are swapped under load: every score by exactly one version; rollback within 5 s",
        f"{found.swaps} swaps, {found.scores:,} scores, real weights",
        f"{found.answers:,} answers, of no or another version {len(found.wrong)}, rollback {found.rollback_s:.1f} s",
        broken,
    )


Run = Callable[[Size, int, Path], Awaitable[Line]]
COMPONENTS: dict[str, Run] = {
    "crash": _crash,
    "steps": _steps,
    "storage": _storage,
    "flips": _flips,
    "device": _device,
    "flood": _flood,
    "stops": _stops,
    "outages": _outages,
    "swaps": _swaps,
}


def table(lines: dict[str, Line], size: Size) -> str:
    """Markdown."""
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    kind = "long" if size is LONG else "quick"
    head = f"# What was promised, and what came of it\n\nMade by `python -m tests.soak` ({kind}), {when}, "
    head += f"{describe_machine()}.\n\n"
    rows = ["| promise | what was done | what came of it | kept | alone |", "|---|---|---|---|---|"]
    for name, line in lines.items():
        kept = "**no**" if line.broken else "yes"
        rows.append(
            f"| {line.promise} | {line.done} | {line.figures} | {kept} | `python -m tests.soak --only {name}` |"
        )
    broken = [f"- {name}: {sentence}" for name, line in lines.items() for sentence in line.broken]
    return head + "\n".join(rows) + "\n" + ("\nBroken:\n" + "\n".join(broken) + "\n" if broken else "")


async def _all(names: Sequence[str], size: Size, seed: int, console: Console) -> dict[str, Line]:
    lines: dict[str, Line] = {}
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        for name in names:
            task = bar.add_task(name, total=None)
            with tempfile.TemporaryDirectory() as folder:
                lines[name] = await COMPONENTS[name](size, seed, Path(folder))
            kept = "kept" if not lines[name].broken else "BROKEN"
            bar.update(task, total=1, completed=1, description=f"{name}: {kept}; {lines[name].figures}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=COMPONENTS, default=list(COMPONENTS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    console, size = Console(stderr=True), QUICK if options.quick else LONG
    lines = asyncio.run(_all(options.only, size, options.seed, console))
    text = table(lines, size)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
        console.print(f"written to {options.out}")
    else:
        Console().print(text, markup=False, soft_wrap=True)
    return int(any(line.broken for line in lines.values()))


if __name__ == "__main__":
    sys.exit(main())
