"""Numbers that are none in a store of a version that took them: NaN and infinity in JSON.

SQLite calls JSON with them malformed, so a single row breaks every question that looks into a decision. They are mended
when the store is opened, before anything asks.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from bot.domain.policy import Mode, Policy

WRITTEN = ("NaN", "Infinity")
"""Numbers as Python's JSON writes them."""
REASON = "its score was not a number"
_COLUMNS = {"message": ("id", ("probabilities", "decision")), "policy": ("community", ("policy",))}


def mend(connection: sa.Connection) -> int:
    """Counts the rows that held such a number; none does afterwards.

    A message with one counts as not scored. Its decision stays, with 0 for the number: an action can still be undone. A
    policy gets the default for that section, and its community is in shadow mode, because its intent is not known.
    """
    tables = set(sa.inspect(connection).get_table_names())
    mended = set[tuple[str, Any]]()
    for table, (key, columns) in _COLUMNS.items():
        for column in columns if table in tables else ():
            condition = f"instr({column}, '{WRITTEN[0]}') OR instr({column}, '{WRITTEN[1]}')"
            for row, text in connection.exec_driver_sql(f"SELECT {key}, {column} FROM {table} WHERE {condition}").all():  # noqa: S608
                data = json.loads(text)
                if is_finite(data):  # the word stands in a text
                    continue
                update = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"  # noqa: S608
                connection.exec_driver_sql(update, (_mended(column, data), row))
                mended.add((table, row))
    return len(mended)


def is_finite(data: object) -> bool:
    """Whether all numbers in JSON data are finite."""
    if isinstance(data, dict):
        return all(map(is_finite, data.values()))
    if isinstance(data, list | tuple):
        return all(map(is_finite, data))
    return not isinstance(data, float) or math.isfinite(data)


def believed(probabilities: Mapping[str, float] | None) -> Mapping[str, float]:
    """Returns a row's probabilities; none where one of them is no number."""
    return probabilities if probabilities and is_finite(probabilities) else {}


def decided(decision: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row's decision as JSON, with 0 for a number that is none."""
    if is_finite(decision):
        return decision
    finite = {name: value if is_finite(value) else 0.0 for name, value in decision.items()}
    return finite | {"reason": f"{decision.get('reason', '')} ({REASON})"}


def _mended(column: str, data: Any) -> str | None:
    if column == "probabilities":
        return None
    if column == "decision":
        return json.dumps(decided(data), allow_nan=False)
    sections = {name: value for name, value in data.items() if is_finite(value)}
    try:
        policy = Policy.model_validate(sections)
    except ValidationError:
        policy = Policy()
    return json.dumps(policy.model_copy(update={"mode": Mode.SHADOW}).model_dump(mode="json"), allow_nan=False)
