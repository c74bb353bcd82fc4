"""The thresholds of the three presets, from which a community chooses instead of setting four numbers.

They are chosen on the curve of `training.quality_page`: false alerts among everyday messages beside recall.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from model.labels import Label

Preset: TypeAlias = Literal["relaxed", "standard", "strict"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score on moderators are shown a message, and from which on the bot acts.

    The score of *offensive* includes *hate* (docs/concepts.md).
    """

    alert_at: Mapping[Label, float]
    act_at: Mapping[Label, float]


def _thresholds(hate: tuple[float, float], offensive: tuple[float, float]) -> Thresholds:
    """Each pair is (alert, act)."""
    alert, act = zip(hate, offensive, strict=True)
    return Thresholds(*(dict(zip((Label.HATE, Label.OFFENSIVE), of, strict=True)) for of in (alert, act)))


PRESET_THRESHOLDS: Mapping[Preset, Thresholds] = {
    "relaxed": _thresholds((0.7, 0.95), (0.9, 0.99)),
    "standard": _thresholds((0.6, 0.85), (0.7, 0.95)),
    "strict": _thresholds((0.5, 0.7), (0.5, 0.85)),
}
"""A new community starts with "standard"."""
