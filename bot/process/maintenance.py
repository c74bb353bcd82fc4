"""What the store needs while the service runs: texts forgotten in time, backups, and an end where it is damaged."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from bot.domain.notice import Notice
from bot.store import Damaged, Store
from bot.store.retry import StoreRetry

FORGET_EVERY_S = 3600.0
BACKUP_EVERY_S, BACKUP_AGAIN_S = 24 * 3600.0, 600.0
ERASED_WITHIN_S = 3600.0
"""What somebody had erased is out of the backups after so long."""
log = structlog.get_logger()


def log_recovery(store: Store) -> None:
    """What this start had to do to the store; the page says it too where it was a repair."""
    if store.recovery is not None and not store.recovery.is_repair:  # as after any kill
        log.info("the store is complete again", found=str(store.recovery))
    elif store.recovery is not None:
        log.error("the store was repaired", found=str(store.recovery))


async def keep_retention(store: Store, days: int) -> None:
    """Once an hour, texts beyond their retention time are forgotten."""
    store_retry = StoreRetry()
    while True:
        before = datetime.now(UTC) - timedelta(days=days)
        if forgotten := await store_retry(lambda: store.forget_texts(before)):  # noqa: B023
            log.info("texts forgotten", messages=forgotten)
        await asyncio.sleep(FORGET_EVERY_S)


async def keep_backups(store: Store, on_notice: Callable[[Notice], None]) -> None:
    """Once a day, counted from the last backup and not from the start; within an hour where somebody had something
    erased. One that fails is told and tried again."""
    age_s = await asyncio.to_thread(lambda: store.backups.newest_age_s)
    await store.personal_data.look_for_erased(datetime.now(UTC) - timedelta(seconds=age_s or 0.0))
    while True:
        try:
            age_s = await asyncio.to_thread(lambda: store.backups.newest_age_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, BACKUP_EVERY_S - (BACKUP_EVERY_S if age_s is None else age_s))):
                    await store.personal_data.erased.wait()
                    await asyncio.sleep(max(0.0, ERASED_WITHIN_S - (age_s or 0.0)))
            await store.back_up()
            log.info("backed up", folder=str(store.backups.folder))
        except Damaged as error:
            log.error("no backup could be made", error=str(error))
            store.damaged.set()
        except (OSError, sqlite3.Error, sa.exc.DBAPIError) as error:
            log.error("no backup could be made", error=str(error))
            on_notice(Notice("notice-no-backup", {"error": str(error)}))
            await asyncio.sleep(BACKUP_AGAIN_S)


async def watch_for_damage(store: Store) -> None:
    """Ends the service, wherever the damage was noticed."""
    await store.damaged.wait()
    raise sqlite3.DatabaseError("the store's file is malformed")
