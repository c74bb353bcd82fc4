"""The shape of a new adapter: rank, alpha, and the layers it changes.

`[lora]` in config.toml sets it for `training.train` and `training.compare`; the command line overrides it. A refresh
keeps the shape of the adapter from which it starts.
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
"""The linear layers outside attention, in both bases."""
LAYER_CHOICES = ("attention", "linears", "everything")
"""Attention's linear layers; all linear layers; all of them with embedding and head, as in the article's best run. The
embedded base always trains its own head and never its embedding."""
LORA_KEYS: Mapping[str, type | tuple[type, ...]] = {"rank": int, "alpha": (int, float), "on": str}


def targets_of(base: Base, on: str) -> tuple[str, ...]:
    """The layers that an adapter changes; `on` is one of `LAYER_CHOICES`."""
    linears = base.default_lora.targets
    if on == "attention":
        return tuple(target for target in linears if target not in FEED_FORWARD)
    return (*linears, *EMBEDDING_AND_HEAD) if on == "everything" and isinstance(base, GPTJ) else linears


def add_shape_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a command that makes a new adapter."""
    parser.add_argument("--rank", type=int, help="default: [lora] in config.toml, else the base's default")
    parser.add_argument("--alpha", type=finite_number, help="numerator of the scale; default: twice the rank")
    parser.add_argument("--on", choices=LAYER_CHOICES, help="which layers; default: linears")
    parser.add_argument("--config", type=Path, default=Path("config.toml"), help="file with a section [lora]")


def read_shape(options: argparse.Namespace, base: Base) -> LoraSpec:
    """Reads the shape from options and config file; raises `BadData` for a shape that the base cannot have."""
    table = _section(options.config)
    rank = _first(options.rank, table.get("rank"), base.default_lora.rank)
    alpha = _first(options.alpha, table.get("alpha"), 2.0 * rank)
    on = _first(options.on, table.get("on"), "linears")
    if on not in LAYER_CHOICES:
        raise BadData(f'{options.config}: [lora] on = "{on}" is not one of {", ".join(LAYER_CHOICES)}')
    lora = LoraSpec(rank, float(alpha), targets_of(base, on))
    try:
        base.adapter_shapes(lora)
    except ValueError as error:
        raise BadData(f"{error}; change it in [lora] of {options.config} or on the command line") from error
    return lora


def _first(*values: Any) -> Any:
    """The first value that is set; 0 in config.toml means not set."""
    return next(value for value in values if value)


def _section(path: Path) -> Mapping[str, Any]:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("lora", {})
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: not TOML: {error}") from error
    if unknown := sorted(set(table) - set(LORA_KEYS)):
        raise BadData(f'{path}: unknown key "lora.{unknown[0]}"; known: {", ".join(LORA_KEYS)}')
    for key, kind in LORA_KEYS.items():
        if key in table and not isinstance(table[key], kind):
            raise BadData(f"{path}: lora.{key} = {table[key]!r} has the wrong type; see the comment beside it")
    return table
