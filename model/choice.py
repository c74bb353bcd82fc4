"""The choice of a base and its arithmetic, with the same words in config.toml, on command lines and between processes.

This module does not need torch, so the bot can name a base without loading it; `model.open` loads it.
"""

import argparse
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Int8: TypeAlias = Literal["off", "weight-only", "threshold-0", "threshold-6"]
EMBEDDED = "minilm"
E5 = "e5"
ADAPTER_MIB = 256.0
"""MiB for all attached adapters together: seven or more of the default shape on a 6B, hundreds on a small base."""


@dataclass(frozen=True, slots=True)
class BaseChoice:
    """`base` is "minilm", "e5", "mini", or a GPT-J by hub id or folder. `device` "auto" is a GPU if there is one.

    `int8` other than "off" keeps a GPT-J's linear weights in 8 bit with this arithmetic; see `model.gptj.int8`.
    Attached adapters take at most `adapter_mib`.
    """

    base: str = EMBEDDED
    device: str = "auto"
    precision: Precision = "auto"
    int8: Int8 = "off"
    adapter_mib: float = ADAPTER_MIB

    @property
    def embedded(self) -> bool:
        """Whether this is the base that every installation has."""
        return self.base == EMBEDDED

    def arguments(self) -> list[str]:
        """The command-line options that `read_base_choice` reads back."""
        line = ["--base", self.base, "--device", self.device, "--precision", self.precision]
        return [*line, "--int8", self.int8, "--adapter-mib", str(self.adapter_mib)]


def finite_number(text: str) -> float:
    """Reads a number of a command line; raises ValueError for "nan" and "inf", which pass every comparison."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


def add_base_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a command that loads a base."""
    default = BaseChoice()
    parser.add_argument(
        "--base", default=default.base, metavar="NAME", help="minilm, e5, mini, or a GPT-J's folder or id"
    )
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default=default.precision, choices=get_args(Precision))
    parser.add_argument("--int8", default=default.int8, choices=get_args(Int8), help="8-bit arithmetic of a GPT-J")
    parser.add_argument(
        "--adapter-mib", type=finite_number, default=default.adapter_mib, help="memory for attached adapters"
    )


def read_base_choice(options: argparse.Namespace) -> BaseChoice:
    """Reads the choice from the command line's options."""
    return BaseChoice(options.base, options.device, options.precision, options.int8, options.adapter_mib)
