"""Writes the file that a member gets of the texts that are kept."""

import json
from collections.abc import Sequence

from bot.domain.case import Journalled

FILE = "mydata.json"


def as_json(platform: str, community: str, rows: Sequence[Journalled]) -> bytes:
    """UTF-8 JSON: each kept text with its place, time, probabilities and decision."""
    messages = [
        {
            "room": row.key.room,
            "message": row.key.message,
            "sent_at": row.sent_at.isoformat(),
            "text": row.text,
            "decision": row.decision.to_json() if row.decision is not None else {},
            "probabilities": dict(row.probabilities),
        }
        for row in rows
    ]
    data = {"platform": platform, "community": community, "messages": messages}
    return json.dumps(data, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
