"""The shape of an adapter that is made from nothing: rank, alpha, and which layers it touches.

`[lora]` in config.toml says it once for `training.train` and `training.compare`; the command line overrides it. A
refresh keeps the shape of the adapter it starts from.
"""

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.base import Base, LoraSpec
from model.choice import finite_number
from model.gptj.base import GPTJ
from model.gptj.network import EMBEDDING_AND_HEAD
from model.table import BadData

FEED_FORWARD = frozenset({"up", "down", "fc_in", "fc_out"})
"""The linear layers that are not attention's, in both bases."""
ON = ("attention", "linears", "everything")
"""Attention's linear layers; all linear layers; these with embedding and head, as in the article's best run. The
embedded base has a head of its own that is always trained, and leaves its embedding alone."""
KEYS: Mapping[str, type | tuple[type, ...]] = {"rank": int, "alpha": (int, float), "on": str}


def targets_of(base: Base, on: str) -> tuple[str, ...]:
    """The layers an adapter touches; `on` is one of `ON`."""
    linears = base.default_lora.targets
    if on == "attention":
        return tuple(target for target in linears if target not in FEED_FORWARD)
    return (*linears, *EMBEDDING_AND_HEAD) if on == "everything" and isinstance(base, GPTJ) else linears


def add_shape(parser: argparse.ArgumentParser) -> None:
    """The options of a command that makes adapters from nothing."""
    parser.add_argument("--rank", type=int, help="default: [lora] in config.toml, else what suits the base")
    parser.add_argument("--alpha", type=finite_number, help="numerator of the scale; default: twice the rank")
    parser.add_argument("--on", choices=ON, help="which layers; default: linears")
    parser.add_argument(
        "--config", type=Path, default=Path("config.toml"), help="its section [lora], where there is one"
    )


def shape_of(options: argparse.Namespace, base: Base) -> LoraSpec:
    """What was asked for; raises `BadData` for a shape that the base cannot have."""
    table = _section(options.config)
    rank = _first(options.rank, table.get("rank"), base.default_lora.rank)
    alpha = _first(options.alpha, table.get("alpha"), 2.0 * rank)
    on = _first(options.on, table.get("on"), "linears")
    if on not in ON:
        raise BadData(f'{options.config}: [lora] on = "{on}" is none of {", ".join(ON)}')
    lora = LoraSpec(rank, float(alpha), targets_of(base, on))
    try:
        base.adapter_shapes(lora)
    except ValueError as error:
        raise BadData(f"{error}; change it in [lora] of {options.config} or on the command line") from error
    return lora


def _first(*values: Any) -> Any:
    """The first that was given; 0 in config.toml stands for not given."""
    return next(value for value in values if value)


def _section(path: Path) -> Mapping[str, Any]:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("lora", {})
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: not TOML: {error}") from error
    if unknown := sorted(set(table) - set(KEYS)):
        raise BadData(f'{path}: unknown key "lora.{unknown[0]}"; known: {", ".join(KEYS)}')
    for key, kind in KEYS.items():
        if key in table and not isinstance(table[key], kind):
            raise BadData(f"{path}: lora.{key} = {table[key]!r} has the wrong type; see the comment beside it")
    return table
