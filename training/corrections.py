"""Reads the corrections from the bot's store: only the views whose names begin with `training_`."""

import contextlib
import hashlib
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from model.choice import E5
from model.labels import HARMFUL, Label
from model.languages import foreign_language
from model.table import BadData
from training.examples import Example
from training.prevalence import Prevalence, measure_prevalence

NONCE_BYTES = 12  # texts are sealed as nonce + AES-256-GCM ciphertext and tag (docs/concepts.md)
TEXT_FORGOTTEN = "text forgotten"
OTHER_LANGUAGE = "in a language that another base reads"
DISAGREED, REPEATED = "moderators disagree about the same text", "the same text again"


@dataclass(frozen=True, slots=True)
class Correction:
    """A moderator's latest correction of one message. `author` is a pseudonym; `agreeing` moderators gave the same
    label, this one included."""

    id: str
    example: Example
    moderator: str
    author: str = ""
    community: str = ""
    agreeing: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The corrections for a refresh, and how many were left out for which reason (`left_out_in`: by community).

    `standing` has the ids of all corrections that were not withdrawn, even if their text has expired, and
    `community_of` the community of each. By community: `passed_over` counts the unanswered cards of each label between
    answered ones, `action_thresholds` are those of the policy, and `prevalence` is the share of each label among all
    messages, if enough were audited. Corrections of `untrusted` communities teach their norms, but no weights.
    """

    corrections: Sequence[Correction]
    left_out: Mapping[str, int] = field(default_factory=dict)
    standing: frozenset[str] = frozenset()
    passed_over: Mapping[str, Mapping[Label, int]] = field(default_factory=dict)
    action_thresholds: Mapping[str, Mapping[Label, float]] = field(default_factory=dict)
    prevalence: Mapping[str, Prevalence] = field(default_factory=dict)
    community_of: Mapping[str, str] = field(default_factory=dict)
    untrusted: frozenset[str] = frozenset()
    left_out_in: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def communities(self) -> frozenset[str]:
        """All communities that the store has data of."""
        correcting = (each.community for each in self.corrections)
        return frozenset([*correcting, *self.community_of.values(), *self.action_thresholds, *self.prevalence])

    @property
    def sha256(self) -> str:
        """SHA-256 of ids, texts and labels: equal snapshots have equal hashes."""
        digest = hashlib.sha256()
        for each in self.corrections:
            digest.update(f"{each.id}\0{each.example.text}\0{each.example.label}\0".encode())
        return digest.hexdigest()

    def without(self, ids: Mapping[str, str]) -> "Snapshot":
        """The snapshot without these corrections (id -> reason), each counted under its reason."""
        kept = [each for each in self.corrections if each.id not in ids]
        left_out_in = {name: Counter(counts) for name, counts in self.left_out_in.items()}
        for each in self.corrections:
            if each.id in ids:
                left_out_in.setdefault(each.community, Counter())[ids[each.id]] += 1
        return replace(
            self,
            corrections=kept,
            left_out=dict(Counter(self.left_out) + Counter(ids.values())),
            left_out_in={name: dict(counts) for name, counts in left_out_in.items()},
        )

    def trusting(self, trusted: Collection[str]) -> "Snapshot":
        """The snapshot for the adapter that serves all: only these communities' corrections count as standing."""
        return replace(
            self, untrusted=self.communities - frozenset(trusted), standing=self._standing_in(frozenset(trusted))
        )

    def for_community(self, community: str, trusted: Collection[str] | None = None) -> "Snapshot":
        """The snapshot of one community only, for its own adapter.

        That adapter may start from one that learned from the `trusted` communities (None: from any).
        """
        return replace(
            self,
            corrections=[each for each in self.corrections if each.community == community],
            left_out=self.left_out_in.get(community, {}),
            action_thresholds={name: acting for name, acting in self.action_thresholds.items() if name == community},
            prevalence={name: mix for name, mix in self.prevalence.items() if name == community},
            standing=self.standing if trusted is None else self._standing_in({community, *trusted}),
            untrusted=frozenset(),
        )

    def read_by(self, base: str) -> "Snapshot":
        """The snapshot of the corrections whose texts this base reads where two embedded bases share the languages."""
        reads_others = base == E5
        return self.without(
            {
                c.id: OTHER_LANGUAGE
                for c in self.corrections
                if bool(foreign_language(c.example.text)) is not reads_others
            }
        )

    def _standing_in(self, communities: Set[str]) -> frozenset[str]:
        community_of = {**{each.id: each.community for each in self.corrections}, **self.community_of}
        return frozenset(id for id in self.standing if community_of.get(id) in communities)


def read_corrections(store: Path, key: Path) -> Snapshot:
    """Reads every correction with a basis, oldest first; raises `BadData` for an unreadable store or key."""
    if not store.is_file():
        raise BadData(f"{store}: no store at this path; start the bot once, or give its path with --store")
    try:
        cipher = AESGCM(bytes.fromhex(key.read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        raise BadData(f"{key}: not a sealing key ({error}); give the bot's key file with --key") from error
    columns = "id, text_sealed, label, moderator, author, community, agreeing"
    try:
        with contextlib.closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(f"SELECT {columns} FROM training_example ORDER BY id").fetchall()  # noqa: S608
            others = connection.execute("SELECT id, community, reason FROM training_left_out").fetchall()
            passed = connection.execute("SELECT community, label, cards FROM training_passed_over").fetchall()
            policies = connection.execute("SELECT community, policy FROM training_policy").fetchall()
            counted = connection.execute("SELECT community, band, label, messages FROM training_audit").fetchall()
    except sqlite3.DatabaseError as error:
        raise BadData(f"{store}: not a store of this version ({error}); start the bot once to update it") from error
    corrections = []
    for number, sealed, label, moderator, author, community, agreeing in rows:
        try:
            text = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode()
        except InvalidTag as error:
            raise BadData(f"{key}: this store was sealed with another key") from error
        example = Example(text, Label(label), "correction")
        corrections.append(Correction(str(number), example, moderator, author, community, agreeing))
    community_of = {str(row[0]): str(row[5]) for row in rows}
    community_of |= {str(number): str(where) for number, where, reason in others if reason == TEXT_FORGOTTEN}
    reasons: dict[str, Counter[str]] = {}
    for _, where, reason in others:
        reasons.setdefault(where, Counter())[reason] += 1
    passed_over: dict[str, dict[Label, int]] = {}
    for where, label, cards in passed:
        passed_over.setdefault(where, {})[Label(label)] = cards
    return without_repetitions(
        Snapshot(
            corrections,
            left_out=dict(Counter(reason for *_, reason in others)),
            standing=frozenset(community_of),
            passed_over=passed_over,
            action_thresholds={where: _action_thresholds(json.loads(policy)) for where, policy in policies},
            prevalence=measure_prevalence(counted),
            community_of=community_of,
            left_out_in={where: dict(counts) for where, counts in reasons.items()},
        )
    )


def _action_thresholds(policy: Mapping[str, Mapping[str, float]]) -> dict[Label, float]:
    action_thresholds = {label: float(policy[label]["act_at"]) for label in HARMFUL}
    if not all(map(math.isfinite, action_thresholds.values())):
        raise BadData("a policy in the store has a threshold that is not a number; start the bot once to repair it")
    return action_thresholds


def without_repetitions(snapshot: Snapshot) -> Snapshot:
    """Keeps only the latest correction for each text of a community.

    If different moderators' corrections of the same text contradict each other, none of them is kept.
    """
    by_text: dict[tuple[str, str], list[Correction]] = {}
    for each in snapshot.corrections:
        by_text.setdefault((each.community, each.example.key), []).append(each)
    dropped: dict[str, str] = {}
    for same in by_text.values():
        last_labels = {each.moderator: each.example.label for each in same}
        if len(set(last_labels.values())) > 1:
            dropped |= {each.id: DISAGREED for each in same}
        else:
            dropped |= {each.id: REPEATED for each in same[:-1]}
    return snapshot.without(dropped)


def split_by_author(
    snapshot: Snapshot, share: float, min_corrections: int
) -> tuple[Sequence[Correction], Sequence[Correction]]:
    """(corrections to learn from, held-out corrections): about `share` of the authors are held out completely.

    With fewer than `min_corrections` corrections or fewer than five authors, none is held out: learning from them is
    worth more than a test on a few texts.
    """
    if len(snapshot.corrections) < min_corrections or len({each.author for each in snapshot.corrections}) < 5:
        return snapshot.corrections, ()
    kept: list[Correction] = []
    held: list[Correction] = []
    for each in snapshot.corrections:
        draw = int.from_bytes(hashlib.sha256(each.author.encode()).digest()[:8], "big") / 2**64
        (held if draw < share else kept).append(each)
    return kept, held
