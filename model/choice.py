"""Which base is meant and how it shall compute: the same words in config.toml, on command lines and between processes.

No torch in it, so that the bot can speak of a base it does not load; `model.open` loads it.
"""

import argparse
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
Int8: TypeAlias = Literal["off", "weight-only", "threshold-0", "threshold-6"]
EMBEDDED = "minilm"
ADAPTER_MIB = 256.0
"""What attached adapters may take together; seven or more of the default shape on a 6B, hundreds on a small one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`base` is "minilm", "mini", or a GPT-J by hub id or folder. `device` "auto" is a GPU where there is one.

    `int8` other than "off" keeps a GPT-J's linear weights in 8 bit and says how they multiply; see `model.gptj.int8`.
    Attached adapters take at most `adapter_mib`.
    """

    base: str = EMBEDDED
    device: str = "auto"
    precision: Precision = "auto"
    int8: Int8 = "off"
    adapter_mib: float = ADAPTER_MIB

    @property
    def embedded(self) -> bool:
        """Whether it is the base that every installation has."""
        return self.base == EMBEDDED

    def arguments(self) -> list[str]:
        """As a command line that `chosen` reads back."""
        line = ["--base", self.base, "--device", self.device, "--precision", self.precision]
        return [*line, "--int8", self.int8, "--adapter-mib", str(self.adapter_mib)]


def finite(text: str) -> float:
    """A number of a command line; ValueError for "nan" and "inf", which no comparison holds back."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options of a command that loads a base."""
    default = Choice()
    parser.add_argument("--base", default=default.base, metavar="NAME", help="minilm, mini, or a GPT-J's folder or id")
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default=default.precision, choices=get_args(Precision))
    parser.add_argument("--int8", default=default.int8, choices=get_args(Int8), help="a GPT-J's arithmetic in 8 bit")
    parser.add_argument("--adapter-mib", type=finite, default=default.adapter_mib, help="memory for attached adapters")


def chosen(options: argparse.Namespace) -> Choice:
    """What was asked for on the command line."""
    return Choice(options.base, options.device, options.precision, options.int8, options.adapter_mib)
