"""A prompt in token ids, for one tokenizer and context length, and how its answers are scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.gptj.network import Lora, Network
from model.gptj.packing import PackedBatch
from model.prompts import Prompt

MAX_MESSAGE_TOKENS = 512
"""Message tokens in one window; longer texts are read in several windows. Chat's 99th percentile is about 200."""
MIN_MESSAGE_TOKENS = 16
HEAD_ROWS = 64
"""Positions for which the full vocabulary is computed at a time, for answers of several tokens."""


@dataclass(frozen=True, slots=True)
class Question:
    """The parts of a prompt, each encoded by itself, and what scoring its answers needs.

    `first_tokens[k]` is the first token of answer k. An answer of several tokens has a branch: `branches[b]` are all
    its tokens except the last, `branch_targets` the token to predict after each branch token, and `branch_answers` the
    number of the answer that each branch token belongs to.
    """

    prompt: Prompt
    instruction: tuple[int, ...]
    separator: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    window_tokens: int

    @classmethod
    def from_prompt(cls, prompt: Prompt, encode: Callable[[str], Sequence[int]], positions: int) -> "Question":
        """Raises ValueError if one answer begins with another, or if no message fits after the instruction."""
        answers = tuple(tuple(encode(answer)) for answer in prompt.answers)
        for a, a_tokens in zip(prompt.answers, answers, strict=True):
            for b, b_tokens in zip(prompt.answers, answers, strict=True):
                if a != b and b_tokens[: len(a_tokens)] == a_tokens:
                    raise ValueError(f'the answer "{a.strip()}" is the beginning of "{b.strip()}"; rename one')
        instruction, separator = tuple(encode(prompt.instruction)), tuple(encode(prompt.separator))
        room = positions - len(instruction) - len(separator) - max(len(answer) for answer in answers)
        if not separator or room < MIN_MESSAGE_TOKENS:
            raise ValueError(
                f"an instruction of {len(instruction)} tokens and a separator of {len(separator)} leave {room} of "
                f"{positions} for the message; shorten the instruction"
            )
        return cls(prompt, instruction, separator, answers, min(room, MAX_MESSAGE_TOKENS))

    def frame(self, ids: Sequence[int]) -> list[int]:
        """The message and the separator; a message too long for the window keeps its start and its end (two to one)."""
        size = self.window_tokens
        if len(ids) > size:
            ids = [*ids[: size - size // 3], *ids[-(size // 3) :]]
        return [*ids, *self.separator]

    @property
    def first_tokens(self) -> list[int]:
        """See the class."""
        return [answer[0] for answer in self.answers]

    @property
    def branches(self) -> list[tuple[int, ...]]:
        """See the class."""
        return [answer[:-1] for answer in self.answers if len(answer) > 1]

    @property
    def branch_targets(self) -> list[int]:
        """See the class."""
        return [token for answer in self.answers for token in answer[1:]]

    @property
    def branch_answers(self) -> list[int]:
        """See the class."""
        return [k for k, answer in enumerate(self.answers) for _ in answer[1:]]

    @property
    def branch_tokens(self) -> int:
        """Tokens that all branches together add to each message."""
        return len(self.branch_targets)


def answer_scores(
    network: Network,
    hidden: Tensor,
    packed: PackedBatch,
    question: Question,
    *,
    normalised: bool = False,
    lora: Lora | None = None,
) -> Tensor:
    """(R, C, hidden) -> (N, answers) float32 log-probabilities of the answers' token sequences.

    Without `normalised`, each row lacks a constant (the normaliser of the first position, which all answers share), so
    that only the label rows of the head are computed at that position.
    """
    flat, width = hidden.flatten(0, 1), hidden.shape[1]

    def logits(places: Tensor, rows: Tensor | None = None) -> Tensor:
        plain = network.logits(flat[places], rows)
        return plain if lora is None else lora.head(flat[places], places // width, plain, rows)

    first = torch.tensor(question.first_tokens, device=flat.device)
    scores = (
        logits(packed.last_places).log_softmax(dim=-1)[:, first] if normalised else logits(packed.last_places, first)
    )
    if not question.branch_tokens:
        return scores
    targets = torch.tensor(question.branch_targets, device=flat.device).repeat(len(scores))  # (N * M,)
    places = packed.branch_places.flatten()
    parts = [
        logits(places[at : at + HEAD_ROWS]).log_softmax(dim=-1).gather(1, targets[at : at + HEAD_ROWS, None])
        for at in range(0, len(places), HEAD_ROWS)
    ]
    following = torch.cat(parts).view(len(scores), -1)  # (N, M)
    answer = torch.tensor(question.branch_answers, device=flat.device)
    return scores.index_add(1, answer, following)
