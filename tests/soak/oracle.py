"""Compares what happened on the platforms with the journal, and names every difference in words.

Once everything was given time to settle:

- *Lost*: a message without a row in the journal; one revision of it without, where each was delivered; a row with a
  text that nobody wrote; a row that is still under way; an update that was set aside.
- *Done twice*: two rows for one revision; two warnings for one message; a case in two messages of the moderators' room,
  unless the later one says that it may have been shown before.
- *Not journalled*: a message gone, an author warned, timed out or banned, and no decision of the journal says so.
- *Not done*: a decision that was to be carried out and was not; a message that failed, which here nothing gave cause
  to; a case that was never shown; a digest that shows fewer cases than stand in it. A warning that may or may not have
  been sent (the process ended in between) is marked so, and is counted. What a moderator undid need not have been
  done, and no time-out and no ban of it stands.

Deletions, time-outs and bans are states: done again they look like done once.

After a day with one fault (`steps.broken_by`) three more hold: what moderators were told is done is on disk; every
verdict names an adapter there is, and the one promoted last serves; a warning "may have been sent" only where the
process or the connection ended while it was.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.store import Sealer
from tests.soak.record import Record, Said

LIFTED = {"timeout", "ban"}
"""What a moderator's undo ends."""
FINISHED = ("done", "gone", "exempt", "failed", "unchanged", "stopped")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the journal."""

    platform: str
    message: str
    state: str
    text: str
    decision: Mapping[str, Any]
    unsure: str | None = None
    """The action that may or may not have been done."""
    undone: bool = False
    """A moderator said that it was wrong."""

    @property
    def enforced(self) -> frozenset[str]:
        """The names of the actions that were to be done."""
        if not self.decision.get("enforced"):
            return frozenset()
        return frozenset(action["name"] for action in self.decision["actions"]) - {"alert"}


@dataclass(frozen=True, slots=True)
class Journal:
    """The store's side: rows, the platform of each case, in which message it stands, and updates not handled."""

    rows: tuple[Row, ...] = ()
    cases: Mapping[int, str] = field(default_factory=dict)
    cards: Mapping[int, str] = field(default_factory=dict)
    waiting: int = 0
    set_aside: int = 0

    @property
    def settled(self) -> bool:
        """Nothing is under way, and every case stands somewhere."""
        return not (self.waiting or self.cases.keys() - self.cards.keys()) and all(
            row.state in FINISHED for row in self.rows
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """Sentences, by kind; the last two are counts of what is allowed."""

    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    unjournalled: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    maybe_sent: int = 0
    shown_again: int = 0

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.unjournalled or self.not_done)

    def __str__(self) -> str:
        kinds = ("lost", "doubled", "unjournalled", "not_done")
        found = [f"{kind}: {sentence}" for kind in kinds for sentence in getattr(self, kind)[:10]]
        return "\n".join([", ".join(f"{kind} {len(getattr(self, kind))}" for kind in kinds), *found])


def read_journal(database: Path, key: Path | Sealer) -> Journal:
    """The store as it lies on the disk, without the service. `key` is the sealing key or its file."""
    sealer = key if isinstance(key, Sealer) else Sealer.from_file(key, create=False)
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT platform, message, message.state, text_sealed, decision, unsure, COALESCE(undone, 0) FROM message"
            ' LEFT JOIN "case" ON "case".message_id = message.id'
        )
        cases = 'SELECT "case".id, message.platform FROM "case" JOIN message ON message.id = "case".message_id'
        return Journal(
            tuple(Row(p, m, s, sealer.unseal(t), json.loads(d or "{}"), u, bool(n)) for p, m, s, t, d, u, n in rows),
            dict(connection.execute(cases).fetchall()),
            dict(connection.execute("SELECT case_id, message FROM card WHERE message IS NOT NULL").fetchall()),
            *connection.execute("SELECT TOTAL(state = 'waiting'), TOTAL(state = 'dead') FROM inbox").fetchone(),
        )
    finally:
        connection.close()


def compare(record: Record, journal: Journal) -> Findings:
    """Every difference."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in journal.rows:
        rows[row.platform, row.message].append(row)
    lost, doubled, unjournalled, not_done = [], [], [], []
    maybe_sent = 0
    decided_on: dict[str, set[str]] = defaultdict(set)
    for said in record.said:
        mine = rows.pop((said.platform, said.message), [])
        lost += _lost(said, mine)
        doubled += _rows_twice(said, mine)
        decided = frozenset[str]().union(*(row.enforced for row in mine))
        decided_on[said.author] |= decided
        if said.deleted and "delete" not in decided:
            unjournalled.append(f"{_name(said)}: gone, and no decision says so")
        happened = _happened(said, record)
        undone = frozenset[str]().union(*(row.enforced for row in mine if row.undone))
        missing = decided - undone - happened
        if "warn" in missing and any(row.unsure == "warn" for row in mine):
            maybe_sent += 1
            missing -= {"warn"}
        not_done += [f"{_name(said)}: no {what}, though decided; {_states(mine)}" for what in sorted(missing)]
        failed = [row for row in mine if row.state == "failed" and not row.undone]
        not_done += [f"{_name(said)}: failed, though nothing was in its way" for _ in failed]
        not_done += [f"{_name(said)}: {what}, though undone" for what in sorted(undone & happened & LIFTED)]
    for what, authors in (("warn", record.warned), ("timeout", record.timed_out), ("ban", record.banned)):
        nobody = sorted(author for author in authors if what not in decided_on[author])
        unjournalled += [f"{author}: {what}, and no decision says so" for author in nobody]
    doubled += [f"{author}: warned {times} times" for author, times in sorted(record.warned.items()) if times > 1]
    names = [one for group in rows.values() for one in group]
    lost += [f"{_names(row)}: still {row.state}" for row in names if row.state not in FINISHED]
    lost += [f"{_names(row)}: nobody wrote it" for row in names if not _of_a_person(row)]
    doubled += [f"{platform} {message}: {len(group)} rows" for (platform, message), group in rows.items() if group[1:]]
    if journal.set_aside or journal.waiting:
        lost.append(f"{journal.set_aside:.0f} updates set aside, {journal.waiting:.0f} waiting")
    twice, unseen, again = _shown(record, journal)
    return Findings(tuple(lost), (*doubled, *twice), tuple(unjournalled), (*not_done, *unseen), maybe_sent, again)


def _lost(said: Said, rows: Iterable[Row]) -> list[str]:
    there = {row.text for row in rows}
    wanted = said.texts if said.each else said.texts[-1:]
    found = [f"{_name(said)}: no row for {text!r}" for text in wanted if text not in there]
    found += [f"{_name(said)}: a row with {text!r}, which nobody wrote" for text in sorted(there - set(said.texts))]
    return found + [f"{_name(said)}: still {row.state}" for row in rows if row.state not in FINISHED]


def _rows_twice(said: Said, rows: Iterable[Row]) -> list[str]:
    return [f"{_name(said)}: {n} rows for {text!r}" for text, n in Counter(r.text for r in rows).items() if n > 1]


def _happened(said: Said, record: Record) -> frozenset[str]:
    """What the platform shows was done about a message and its author."""
    done = {"delete": said.deleted, "warn": bool(record.warned.get(said.author))}
    done |= {"timeout": said.author in record.timed_out, "ban": said.author in record.banned}
    return frozenset(name for name, is_so in done.items() if is_so)


def _shown(record: Record, journal: Journal) -> tuple[list[str], list[str], int]:
    """(cases shown twice, cases never shown, cases shown again and marked)."""
    places: dict[int, dict[str, bool]] = defaultdict(dict)
    for one in record.shown:
        places[one.case][one.message] = places[one.case].get(one.message, False) or one.marked
    messages = {(one.platform, one.message) for one in record.shown}
    twice, unseen, again = [], [], 0
    for case, platform in sorted(journal.cases.items()):
        card = journal.cards.get(case)
        here = places.get(case, {})
        if card is not None and (platform, card) in messages:
            here.setdefault(card, False)  # one of the digest's lines that are not drawn
        unmarked = [message for message, marked in here.items() if not marked]
        if len(unmarked) > 1:
            twice.append(f"case {case} ({platform}) is shown in messages {', '.join(sorted(unmarked))}")
        if not here:
            unseen.append(f"case {case} ({platform}) was never shown")
        again += len(here) > 1
    standing = Counter(f"{journal.cases[case]}:{card}" for case, card in journal.cards.items())
    unseen += [
        f"digest {name} shows {count} of {standing[name]} cases"
        for name, count in record.digests.items()
        if count < standing[name]
    ]
    return twice, unseen, again


def _of_a_person(row: Row) -> bool:
    """A name or a title: read like a message, though nobody sent it."""
    return "name-" in row.message or "title-" in row.message


def _name(said: Said) -> str:
    return f"{said.platform} {said.message} {said.texts[0]!r}"


def _names(row: Row) -> str:
    return f"{row.platform} {row.message} {row.text!r}"


def _states(rows: Iterable[Row]) -> str:
    return "the journal says " + (", ".join(row.state for row in rows) or "nothing")
