"""What happened on the platforms, as plain data: what people wrote, and what the bot did to them there."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `message` is what the journal calls it; `texts` are its revisions, oldest first.

    A platform with updates delivers each revision (`each`); one with a history only shows the last to whoever was away.
    """

    platform: str
    message: str
    author: str
    texts: tuple[str, ...]
    each: bool
    deleted: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A case that stands, or stood, in a message to the moderators; `marked`: it says it may have been shown before."""

    platform: str
    message: str
    case: int
    marked: bool
    digest: bool


@dataclass(frozen=True, slots=True)
class Record:
    """Of both platforms. Authors are "platform:id"; each wrote at most one message that is punished."""

    said: tuple[Said, ...] = ()
    warned: dict[str, int] = field(default_factory=dict)
    """How often the bot wrote a warning to whom, or asked for it."""
    banned: frozenset[str] = frozenset()
    timed_out: frozenset[str] = frozenset()
    shown: tuple[Shown, ...] = ()
    digests: dict[str, int] = field(default_factory=dict)
    """By "platform:message": how many cases a digest says it has, as it stands."""

    def save(self, path: Path) -> None:
        """As JSON."""
        data = asdict(self) | {"banned": sorted(self.banned), "timed_out": sorted(self.timed_out)}
        path.write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Record":
        """What `save` wrote."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        said = tuple(Said(**one | {"texts": tuple(one["texts"])}) for one in data["said"])
        shown = tuple(Shown(**one) for one in data["shown"])
        return cls(
            said, data["warned"], frozenset(data["banned"]), frozenset(data["timed_out"]), shown, data["digests"]
        )
