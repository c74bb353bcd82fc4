"""A prompt in token ids, for one tokenizer and one length of context, and how its answers are read off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.gptj.network import Lora, Network
from model.gptj.packing import Packed
from model.prompts import Prompt

MAX_MESSAGE_TOKENS = 512
"""A window's share of the message; longer texts are read in several windows. Chat's 99th percentile is about 200."""
MIN_MESSAGE_TOKENS = 16
HEAD_ROWS = 64
"""Positions whose full vocabulary is computed at a time, for answers of several tokens."""


@dataclass(frozen=True, slots=True)
class Question:
    """The three parts around a message, encoded one by one, and how its answers are read off.

    `first[k]` is the first token of answer k. Answers of several tokens have branches: `branches[b]` are the tokens of
    one answer but the last, `branch_targets` what shall follow each branch token, `branch_answer` whose it is.
    """

    prompt: Prompt
    instruction: tuple[int, ...]
    separator: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    window_tokens: int

    @classmethod
    def of(cls, prompt: Prompt, encode: Callable[[str], Sequence[int]], positions: int) -> "Question":
        """Raises ValueError when two answers cannot be told apart, or no message fits behind the instruction."""
        answers = tuple(tuple(encode(answer)) for answer in prompt.answers)
        for a, mine in zip(prompt.answers, answers, strict=True):
            for b, other in zip(prompt.answers, answers, strict=True):
                if a != b and other[: len(mine)] == mine:
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
        """The message and the separator; of a message too long for the window, head and tail (two to one) are kept."""
        size = self.window_tokens
        if len(ids) > size:
            ids = [*ids[: size - size // 3], *ids[-(size // 3) :]]
        return [*ids, *self.separator]

    @property
    def first(self) -> list[int]:
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
    def branch_answer(self) -> list[int]:
        """See the class."""
        return [k for k, answer in enumerate(self.answers) for _ in answer[1:]]

    @property
    def branch_tokens(self) -> int:
        """How many tokens all branches add to each message."""
        return len(self.branch_targets)


def answer_scores(
    network: Network,
    hidden: Tensor,
    packed: Packed,
    question: Question,
    *,
    normalised: bool = False,
    lora: Lora | None = None,
) -> Tensor:
    """(R, C, hidden) -> (N, answers) float32 log-probabilities of the answers' token sequences.

    Unless `normalised`, they lack a constant per row (the first position's normaliser, which every answer shares), so
    that only the label rows of the head are computed there.
    """
    flat, width = hidden.flatten(0, 1), hidden.shape[1]

    def logits(places: Tensor, rows: Tensor | None = None) -> Tensor:
        plain = network.logits(flat[places], rows)
        return plain if lora is None else lora.head(flat[places], places // width, plain, rows)

    first = torch.tensor(question.first, device=flat.device)
    scores = logits(packed.last).log_softmax(dim=-1)[:, first] if normalised else logits(packed.last, first)
    if not question.branch_tokens:
        return scores
    targets = torch.tensor(question.branch_targets, device=flat.device).repeat(len(scores))  # (N * M,)
    places = packed.branches.flatten()
    parts = [
        logits(places[at : at + HEAD_ROWS]).log_softmax(dim=-1).gather(1, targets[at : at + HEAD_ROWS, None])
        for at in range(0, len(places), HEAD_ROWS)
    ]
    following = torch.cat(parts).view(len(scores), -1)  # (N, M)
    answer = torch.tensor(question.branch_answer, device=flat.device)
    return scores.index_add(1, answer, following)
