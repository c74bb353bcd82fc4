"""Packs several messages into one row, instead of one padded row for each message.

A row holds messages of one adapter, one after another. A block-diagonal mask lets each token see only the shared prefix
and the earlier tokens of its own message. The positions of every message begin right after the prefix. So a message is
read exactly as if it were alone after the prompt (Krell et al. 2021, "Efficient Sequence Packing without
Cross-contamination").

An answer of several tokens is scored as a sequence: all its tokens except the last stand after the message as a branch,
which sees the message and itself but no other branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROW_TOKENS = 256
"""Attention costs the square of a row's length, so rows are short. A longer message gets a longer row."""
ALIGNMENT = 8
"""The keys of a row, with the prefix, are a multiple of this, because fused attention kernels need an aligned mask."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """R rows of C tokens. A padding token belongs to message -1 and is seen by padding only.

    `ids` and `positions` are (R, C); `mask` (R, 1, C, P + C) is 0 where a token may look and -inf elsewhere;
    `last_places` (N,) and `branch_places` (N, M) are the places of the messages' last tokens and of their branch tokens
    in the flattened (R * C) grid; `message` (R, C) is the number of each token's message; `row_group` is the group of
    each row.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    last_places: Tensor
    branch_places: Tensor
    message: Tensor
    row_group: list[int]


def pack(
    batch: Sequence[Sequence[int]],
    groups: Sequence[int],
    prefix_tokens: int,
    branches: Sequence[Sequence[int]] = (),
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    row_tokens: int = ROW_TOKENS,
) -> PackedBatch:
    """Packs messages (lists of ids, none empty) of the given groups after a prefix of `prefix_tokens` tokens."""
    extra = sum(len(branch) for branch in branches)
    rows, row_group = _rows([len(ids) + extra for ids in batch], groups, row_tokens)
    longest = max(sum(len(batch[i]) + extra for i in row) for row in rows)
    width = longest + -(longest + prefix_tokens) % ALIGNMENT
    shape = (len(rows), width)
    ids, positions = [0] * (len(rows) * width), [prefix_tokens] * (len(rows) * width)
    message, branch_of = [-1] * (len(rows) * width), [0] * (len(rows) * width)
    last, branch_places = [0] * len(batch), [[0] * extra for _ in batch]
    for number, row in enumerate(rows):
        at = number * width
        for i in row:
            size = len(batch[i])
            ids[at : at + size] = batch[i]
            positions[at : at + size] = range(prefix_tokens, prefix_tokens + size)
            message[at : at + size + extra] = [i] * (size + extra)
            at += size
            last[i] = at - 1
            done = 0
            for name, branch in enumerate(branches, start=1):
                here = slice(at, at + len(branch))
                ids[here] = branch
                positions[here] = range(prefix_tokens + size, prefix_tokens + size + len(branch))
                branch_of[here] = [name] * len(branch)
                branch_places[i][done : done + len(branch)] = range(at, at + len(branch))
                at += len(branch)
                done += len(branch)
    owner = torch.tensor(message, device=device).view(shape)
    return PackedBatch(
        torch.tensor(ids, device=device).view(shape),
        torch.tensor(positions, device=device).view(shape),
        _mask(owner, torch.tensor(branch_of, device=device).view(shape) if extra else None, prefix_tokens, dtype),
        torch.tensor(last, device=device),
        torch.tensor(branch_places, device=device, dtype=torch.long).view(len(batch), extra),
        owner,
        row_group,
    )


def _rows(lengths: Sequence[int], groups: Sequence[int], row_tokens: int) -> tuple[list[list[int]], list[int]]:
    """(message numbers of each row, group of each row): the longest first, each into the first row with room."""
    capacity = max(row_tokens, *lengths)
    rows: list[list[int]] = []
    row_group: list[int] = []
    room: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (groups[i], -lengths[i])):
        for row in range(len(rows)):
            if row_group[row] == groups[i] and room[row] >= lengths[i]:
                break
        else:
            row = len(rows)
            rows.append([])
            row_group.append(groups[i])
            room.append(capacity)
        rows[row].append(i)
        room[row] -= lengths[i]
    return rows, row_group


def _mask(message: Tensor, branch: Tensor | None, prefix_tokens: int, dtype: torch.dtype) -> Tensor:
    """(R, C) owners -> (R, 1, C, P + C) additive mask."""
    rows, width = message.shape
    own = (message[:, :, None] == message[:, None, :]).tril()  # (R, C, C)
    if branch is not None:
        own &= (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    mask = torch.zeros(rows, 1, width, prefix_tokens + width, dtype=dtype, device=message.device)
    mask[:, 0, :, prefix_tokens:].masked_fill_(~own, float("-inf"))
    return mask
