"""Linear layers with int8 weights, and three ways to multiply with them.

A weight row w is stored as round(127 w / max|w|) and its max|w| (Dettmers et al. 2022, "LLM.int8(): 8-bit Matrix
Multiplication for Transformers at Scale", section 2.1); the file format is bitsandbytes'. The arithmetic can be chosen:

`weight-only`   the rows are scaled back to the activations' type and multiplied as usual. A row of the result depends
                only on its own input row. Works on every device; costs one pass over the weights per product.
`threshold-0`   activations are also rounded to int8, row by row. Fastest with large batches and independent of the
                other rows, but models with outlier features (such as GPT-J-6B) lose accuracy.
`threshold-6`   LLM.int8 as published: input columns with a value above 6 are multiplied without rounding. As accurate
                as weight-only, but an outlier in one message changes how the other messages are rounded, and each
                product waits for the host.
"""

import logging
from typing import Any, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Arithmetic: TypeAlias = Literal["weight-only", "threshold-0", "threshold-6"]
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)


class DenseLinear:
    """A frozen linear layer in a floating-point type. `weight` (out, in), `bias` (out,) or None."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(x, self.weight, self.bias)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that the layer keeps on the device."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class Int8Linear:
    """A frozen linear layer in int8. `rows` (out, in) int8, `maxima` (out,) float32, `bias` (out,) or None."""

    def __init__(self, rows: Tensor, maxima: Tensor, bias: Tensor | None, arithmetic: Arithmetic) -> None:
        self.rows = rows
        self._per_row = maxima / 127.0 if arithmetic == "weight-only" else maxima
        self.bias = bias
        self.arithmetic = arithmetic
        self._state: Any = None
        if arithmetic != "weight-only":
            self._state = load_bitsandbytes().MatmulLtState()
            self._state.CB, self._state.SCB = rows, maxima
            self._state.has_fp16_weights = False
            self._state.is_training = False  # on a CPU, training mode would silently use weight-only
            self._state.threshold = float(arithmetic.removeprefix("threshold-"))

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out) in the type of x; differentiable with respect to x."""
        if self._state is None:
            product: Tensor = _WeightOnly.apply(x, self.rows, self._per_row, self.bias)  # type: ignore[no-untyped-call]
            return product
        flat = x.reshape(-1, x.shape[-1]).contiguous()  # bitsandbytes' CUDA kernels ignore strides
        y: Tensor = load_bitsandbytes().matmul(flat, self.rows, state=self._state, bias=self.bias)
        return y.view(*x.shape[:-1], -1)

    @property
    def maxima(self) -> Tensor:
        """(out,) float32: the largest magnitude of each row."""
        return 127.0 * self._per_row if self._state is None else self._per_row

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that the layer keeps on the device."""
        return [self.rows, self._per_row] if self.bias is None else [self.rows, self._per_row, self.bias]


class _WeightOnly(torch.autograd.Function):
    """x @ (rows * scale)^T + bias; only the int8 weights are kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, scale)
        return F.linear(x, _scaled(rows, scale, x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        rows, scale = ctx.saved_tensors
        return gradient @ _scaled(rows, scale, gradient.dtype), None, None, None


def _scaled(rows: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """(out, in) weights in `dtype`, multiplied in float32 and rounded once, without a float32 copy."""
    scaled = torch.empty(rows.shape, dtype=dtype, device=rows.device)
    return torch.mul(rows, scale[:, None], out=scaled)


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) weights -> int8 rows (out, in) and float32 maxima (out,), by bitsandbytes, through float16."""
    rows, maxima, _ = load_bitsandbytes().functional.int8_vectorwise_quant(weight.to(torch.float16).contiguous())
    return rows, maxima


def load_bitsandbytes() -> Any:
    """Imports bitsandbytes when it is first needed, and stops the log line it writes for each product."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    import bitsandbytes as library

    return library
