"""How the store's file is opened: SQLite's settings, and the schema brought to this version."""

import functools
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command, script
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000", "foreign_keys=ON", "secure_delete=ON")
"""What was forgotten or erased is overwritten (`secure_delete`)."""


class NewerStore(Exception):
    """The store was written by a newer version; install that version or restore an older backup."""


def engines(path: Path) -> tuple[AsyncEngine, sa.Engine]:
    """(the one that questions are asked with, the writer's); both are to be disposed of."""
    reading = create_async_engine(f"sqlite+aiosqlite:///{path}", json_serializer=_json, hide_parameters=True)
    writing = sa.create_engine(f"sqlite:///{path}", json_serializer=_json, hide_parameters=True)
    for engine in (reading.sync_engine, writing):
        sa.event.listen(engine, "connect", _pragmas)
    sa.event.listen(writing, "connect", _no_transactions_of_its_own)
    sa.event.listen(writing, "begin", _begin)
    return reading, writing


@functools.cache
def _revisions() -> tuple[str, ...]:
    """Returns every version of the schema that this version of the service knows, newest first."""
    return tuple(revision.revision for revision in script.ScriptDirectory.from_config(_config()).walk_revisions())


def migrate(connection: sa.Connection) -> None:
    """Brings the schema to this version; raises `NewerStore` for one from the future."""
    revisions = _revisions()
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision == revisions[0]:
        return
    if revision is not None and revision not in revisions:
        raise NewerStore(
            f"the store has schema {revision}, this version knows up to {max(revisions)}; "
            f"install the newer version or restore an older backup; nothing was changed"
        )
    command.upgrade(_config(connection), "head")


def schema_of(connection: sa.Connection) -> str:
    """The version of the schema that the file has."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def _pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _no_transactions_of_its_own(connection: Any, _record: object) -> None:
    """Python's driver begins one only before some statements, and none before WITH or CREATE."""
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _json(data: object) -> str:
    return json.dumps(data, allow_nan=False)
