"""Tells the kinds of harmful texts (`model.kinds`) for the scorer: by a head over the frozen base, or by instruction.

Only what looks harmful is read, so the price is a pass over a few texts of a batch; docs/measurements.md has it.
"""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from model.base import Base, Encoded, ReadsInstructions
from model.classifier import AdapterRejected
from model.kind_head import KindHead, open_kind_head
from model.kinds import DESCRIPTIONS, HARM_BAR, KINDS, Kind
from model.labels import LABELS, Label
from model.prompts import Prompt, category_prompt

log = logging.getLogger(__name__)

KIND_PROMPT: Prompt = category_prompt(
    {str(kind): text for kind, text in DESCRIPTIONS.items()},
    "This chat message was reported. Say what is wrong with it.",
)
Piece = tuple[str, Encoded]
"""A text or a part of it, and its framed ids."""
_NEUTRAL = LABELS.index(Label.NEUTRAL)


class KindReader:
    """The kinds of texts, by one base. A damaged head is reported once in the log; then kinds are unknown, and the
    labels are as without it."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._head: KindHead | None = None
        self._instructs: ReadsInstructions | None = None
        try:
            self._head = open_kind_head(base)
            if self._head is None and isinstance(base, ReadsInstructions):
                base.category_probabilities([], KIND_PROMPT)
                self._instructs = base
        except (AdapterRejected, ValueError) as error:  # a damaged head, or a base with too small a window
            log.error("the kinds of harmful messages are unknown: %s", error)

    def read(self, pieces: Sequence[Piece]) -> list[list[float]]:
        """(N, kinds) probabilities in the order of `KINDS`; an empty row where they are unknown.

        Equal pieces are computed once. Raises RuntimeError or MemoryError if memory runs out.
        """
        if not pieces:
            return []
        unique = {(text, tuple(ids)): (text, ids) for text, ids in pieces}
        rows = self._probabilities(list(unique.values()))
        finite = torch.isfinite(rows).all(dim=-1).tolist()
        found = {key: row if ok else [] for key, row, ok in zip(unique, rows.tolist(), finite, strict=True)}
        return [found[text, tuple(ids)] for text, ids in pieces]

    def _probabilities(self, pieces: Sequence[Piece]) -> Tensor:
        """(N, kinds); not a number where the base does not tell kinds."""
        if self._instructs is not None:
            return self._instructs.category_probabilities([text for text, _ in pieces], KIND_PROMPT)
        if self._head is None:
            return torch.full((len(pieces), len(KINDS)), torch.nan)
        order = sorted(range(len(pieces)), key=lambda i: len(pieces[i][1]))
        rows: dict[int, Tensor] = {}
        for chunk in self._passes(order, pieces):
            vectors = self._base.embed([pieces[i][1] for i in chunk]).float().cpu()
            rows |= dict(zip(chunk, self._head.probabilities(vectors), strict=True))
        return torch.stack([rows[i] for i in range(len(pieces))])

    def _passes(self, order: Sequence[int], pieces: Sequence[Piece]) -> list[list[int]]:
        """Cuts sorted numbers into passes of at most `Base.batch_tokens` tokens."""
        passes: list[list[int]] = []
        tokens = 0
        for i in order:
            size = len(pieces[i][1])
            if not passes or tokens + size > self._base.batch_tokens:
                passes.append([])
                tokens = 0
            passes[-1].append(i)
            tokens += size
        return passes


def has_kinds(row: Sequence[float]) -> bool:
    """Whether a text with these probabilities is harmful enough to be of a kind."""
    return 1 - row[_NEUTRAL] >= HARM_BAR


def named(row: Sequence[float]) -> dict[Kind, float]:
    """The kinds of a row of `KindReader.read`, by name; empty for an empty row."""
    return dict(zip(KINDS, row, strict=False))
