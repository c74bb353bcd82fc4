"""What training reads of the bot's store: the views whose names begin with `training_`, and nothing else."""

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

from model.labels import HARMFUL, Label
from model.table import BadData
from training.examples import Example
from training.prevalence import Prevalence, prevalences

NONCE_BYTES = 12  # texts are sealed as nonce + AES-256-GCM ciphertext and tag (docs/concepts.md)
FORGOTTEN = "text forgotten"
DISAGREED, REPEATED = "moderators disagree about the same text", "the same text again"


@dataclass(frozen=True, slots=True)
class Correction:
    """A moderator's last word on one message. `author` is a pseudonym; `agreeing` moderators said the same, this one
    included."""

    id: str
    example: Example
    moderator: str
    author: str = ""
    community: str = ""
    agreeing: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The corrections a refresh may learn from, and how many were left out for which reason (`left_out_in`: the same of
    each community).

    `standing` are the ids of all that were not taken back, those whose text was forgotten in time included, and `homes`
    has the community of each. By community: `passed_over` counts the cards of each label left unanswered between
    answered ones, `acting` has the action thresholds, `prevalence` the share of each label among all messages where
    enough were looked at. What `untrusted` communities say teaches their norms, and no weights.
    """

    corrections: Sequence[Correction]
    left_out: Mapping[str, int] = field(default_factory=dict)
    standing: frozenset[str] = frozenset()
    passed_over: Mapping[str, Mapping[Label, int]] = field(default_factory=dict)
    acting: Mapping[str, Mapping[Label, float]] = field(default_factory=dict)
    prevalence: Mapping[str, Prevalence] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)
    untrusted: frozenset[str] = frozenset()
    left_out_in: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def communities(self) -> frozenset[str]:
        """All that the store knows something of."""
        said = (each.community for each in self.corrections)
        return frozenset([*said, *self.homes.values(), *self.acting, *self.prevalence])

    @property
    def sha256(self) -> str:
        """Of ids, texts and labels: the same snapshot has the same hash."""
        digest = hashlib.sha256()
        for each in self.corrections:
            digest.update(f"{each.id}\0{each.example.text}\0{each.example.label}\0".encode())
        return digest.hexdigest()

    def without(self, ids: Mapping[str, str]) -> "Snapshot":
        """The snapshot without these corrections, each counted under its reason."""
        kept = [each for each in self.corrections if each.id not in ids]
        there = {name: Counter(counts) for name, counts in self.left_out_in.items()}
        for each in self.corrections:
            if each.id in ids:
                there.setdefault(each.community, Counter())[ids[each.id]] += 1
        return replace(
            self,
            corrections=kept,
            left_out=dict(Counter(self.left_out) + Counter(ids.values())),
            left_out_in={name: dict(counts) for name, counts in there.items()},
        )

    def trusting(self, trusted: Collection[str]) -> "Snapshot":
        """The same for an adapter that serves all: only what these communities said counts as standing."""
        return replace(
            self, untrusted=self.communities - frozenset(trusted), standing=self._standing_in(frozenset(trusted))
        )

    def of(self, community: str, trusted: Collection[str] | None = None) -> "Snapshot":
        """One community's corrections alone, and what is known of it, for an adapter of its own.

        That may have come from one that learned from the `trusted` communities (None: from any).
        """
        return replace(
            self,
            corrections=[each for each in self.corrections if each.community == community],
            left_out=self.left_out_in.get(community, {}),
            acting={name: acting for name, acting in self.acting.items() if name == community},
            prevalence={name: found for name, found in self.prevalence.items() if name == community},
            standing=self.standing if trusted is None else self._standing_in({community, *trusted}),
            untrusted=frozenset(),
        )

    def _standing_in(self, communities: Set[str]) -> frozenset[str]:
        homes = {**{each.id: each.community for each in self.corrections}, **self.homes}
        return frozenset(id for id in self.standing if homes.get(id) in communities)


def read_corrections(store: Path, key: Path) -> Snapshot:
    """Every correction with a basis, oldest first; raises `BadData` for a store or key that cannot be read."""
    if not store.is_file():
        raise BadData(f"{store}: no store there; start the bot once, or give its path with --store")
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
        raise BadData(f"{store}: not a store of this version ({error}); start the bot once to bring it up") from error
    corrections = []
    for number, sealed, label, moderator, author, community, agreeing in rows:
        try:
            text = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode()
        except InvalidTag as error:
            raise BadData(f"{key}: not the key this store was sealed with") from error
        example = Example(text, Label(label), "correction")
        corrections.append(Correction(str(number), example, moderator, author, community, agreeing))
    homes = {str(row[0]): str(row[5]) for row in rows}
    homes |= {str(number): str(where) for number, where, reason in others if reason == FORGOTTEN}
    reasons: dict[str, Counter[str]] = {}
    for _, where, reason in others:
        reasons.setdefault(where, Counter())[reason] += 1
    passed_over: dict[str, dict[Label, int]] = {}
    for where, label, cards in passed:
        passed_over.setdefault(where, {})[Label(label)] = cards
    return distinct(
        Snapshot(
            corrections,
            left_out=dict(Counter(reason for *_, reason in others)),
            standing=frozenset(homes),
            passed_over=passed_over,
            acting={where: _action_calls(json.loads(policy)) for where, policy in policies},
            prevalence=prevalences(counted),
            homes=homes,
            left_out_in={where: dict(counts) for where, counts in reasons.items()},
        )
    )


def _action_calls(policy: Mapping[str, Mapping[str, float]]) -> dict[Label, float]:
    acting = {label: float(policy[label]["act_at"]) for label in HARMFUL}
    if not all(map(math.isfinite, acting.values())):
        raise BadData("a policy in the store has a threshold that is no number; start the bot once to mend it")
    return acting


def distinct(snapshot: Snapshot) -> Snapshot:
    """One correction for each text of a community: its latest.

    Where different moderators' words on the same text contradict each other, none of them teaches.
    """
    by_text: dict[tuple[str, str], list[Correction]] = {}
    for each in snapshot.corrections:
        by_text.setdefault((each.community, each.example.key), []).append(each)
    dropped: dict[str, str] = {}
    for same in by_text.values():
        last_words = {each.moderator: each.example.label for each in same}
        if len(set(last_words.values())) > 1:
            dropped |= {each.id: DISAGREED for each in same}
        else:
            dropped |= {each.id: REPEATED for each in same[:-1]}
    return snapshot.without(dropped)


def split_by_author(snapshot: Snapshot, share: float, least: int) -> tuple[Sequence[Correction], Sequence[Correction]]:
    """(to learn from, to be judged by): about `share` of the authors, each on one side only.

    With fewer than `least` corrections, or of fewer than five authors, all are learned from: each is needed more
    there than a judgement on a handful of texts would be worth.
    """
    if len(snapshot.corrections) < least or len({each.author for each in snapshot.corrections}) < 5:
        return snapshot.corrections, ()
    kept: list[Correction] = []
    held: list[Correction] = []
    for each in snapshot.corrections:
        draw = int.from_bytes(hashlib.sha256(each.author.encode()).digest()[:8], "big") / 2**64
        (held if draw < share else kept).append(each)
    return kept, held
