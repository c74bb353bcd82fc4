"""Moments as Telegram gives them: seconds since 1970."""

from datetime import UTC, datetime

LAST_S = 253_402_300_799
"""The last second of the year 9999."""


def moment(seconds: object) -> datetime:
    """Returns the moment of a timestamp; the current moment for a value that is none."""
    if isinstance(seconds, int) and 0 < seconds <= LAST_S:
        return datetime.fromtimestamp(seconds, UTC)
    return datetime.now(UTC)
