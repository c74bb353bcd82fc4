"""Discord away for an hour, Telegram for most of a day, with the service running: `outages` says what was caught up.

Nobody waits that long: the store says that Discord was read an hour ago, and what people wrote meanwhile has the ids
and dates of the whole time.
"""

import signal
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import discord

from bot.pipeline.decisions import PUNISHED_WITHIN
from tests.soak.crash import begin, judged, settled, start
from tests.soak.oracle import Findings
from tests.soak.processes import Soak, soaking

DISCORD_S, TELEGRAM_S = 1.1 * 3600, 23 * 3600.0
"""A little more than an hour, so that something is too old to be punished for on both."""
MEANWHILE_S = 2.0
"""So long the service finds the platform away, while people write on the other one."""


@dataclass(frozen=True, slots=True)
class OutageResult:
    """What came of it. `old_shown` messages were read too late to be punished for and were shown; `old_punished` must
    be 0; `young_punished` were still acted on."""

    seed: int
    discord: int
    telegram: int
    findings: Findings
    old_shown: int
    old_punished: int
    young_punished: int
    wall_s: float


async def outages(messages: int, seed: int, folder: Path) -> OutageResult:
    """So many messages are written during each outage."""
    began = time.monotonic()
    async with soaking(folder, seed) as soak:
        simulators, service = soak.simulators, soak.service
        await begin(soak)
        await service.kill()
        _read_until(soak, datetime.now(UTC) - timedelta(seconds=DISCORD_S))
        await simulators.ask("down", discord=True, telegram=False)
        await start(soak)
        await service.up.wait()
        await simulators.ask("say", count=messages // 10, over_s=MEANWHILE_S, platform="telegram")
        await simulators.ask("say", count=messages, since_s=DISCORD_S, platform="discord")
        await simulators.ask("down", discord=False, telegram=False)
        await settled(soak)
        await simulators.ask("down", discord=False, telegram=True)
        await simulators.ask("say", count=1, platform="telegram")  # the question that is open is answered with it
        await simulators.ask("say", count=messages // 10, over_s=MEANWHILE_S, platform="discord")
        await simulators.ask("say", count=messages, since_s=TELEGRAM_S, platform="telegram")
        await simulators.ask("down", discord=False, telegram=False)
        await settled(soak)
        service.signal(signal.SIGTERM)
        await service.ended(10.0)
        findings, _ = await judged(soak)
        return OutageResult(seed, messages, messages, findings, *_by_age(soak), time.monotonic() - began)


def _read_until(soak: Soak, moment: datetime) -> None:
    """Discord was last read then."""
    with sqlite3.connect(soak.database) as connection:
        connection.execute("UPDATE watermark SET message = ?", (discord.utils.time_snowflake(moment),))


def _by_age(soak: Soak) -> tuple[int, int, int]:
    """(old ones shown, old ones punished, young ones punished)."""
    late = f"(julianday(seen_at) - julianday(sent_at)) * 86400 > {PUNISHED_WITHIN.total_seconds()}"
    acted = "EXISTS (SELECT 1 FROM json_each(decision, '$.actions') WHERE json_extract(value, '$.name') <> 'alert')"
    sums = f"TOTAL({late} AND NOT {acted} AND decision ->> 'band' = 'alert'), TOTAL({late} AND {acted})"
    with sqlite3.connect(soak.database) as connection:
        query = f"SELECT {sums}, TOTAL(NOT {late} AND {acted}) FROM message WHERE decision IS NOT NULL"  # noqa: S608
        found = connection.execute(query).fetchone()
    return int(found[0]), int(found[1]), int(found[2])
