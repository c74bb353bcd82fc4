"""What a killed training goes on from: the trained parameters, the optimizer, the schedule and the dice."""

import os
import pickle
import time
from pathlib import Path
from typing import Any

import torch

from model.base import TrainingModule

EVERY_S = 30.0


class Checkpoint:
    """One file. `key` names data and recipe: another training's checkpoint is not gone on from.

    Written whole or not at all, at most every `every_s` seconds; read without unpickling code.
    """

    def __init__(self, path: Path, key: str, every_s: float = EVERY_S) -> None:
        self.path = path
        self._key = key
        self._every_s = every_s
        self._saved_at = time.monotonic()

    def load(self, learner: TrainingModule, optimizer: Any, schedule: Any) -> dict[str, Any] | None:
        """Puts everything back and returns the course so far; None where there is nothing to go on from."""
        try:
            state = torch.load(self.path, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
            return None
        if not isinstance(state, dict) or state.get("key") != self._key:
            return None
        for name, parameter in learner.module.named_parameters():
            if name in state["parameters"]:
                parameter.data.copy_(state["parameters"][name])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["dice"])
        if torch.cuda.is_available() and state["gpu_dice"]:
            torch.cuda.set_rng_state_all(state["gpu_dice"])
        course: dict[str, Any] = state["course"]
        return course

    def maybe_save(self, learner: TrainingModule, optimizer: Any, schedule: Any, course: dict[str, Any]) -> None:
        """Writes the file, unless the last time was a moment ago."""
        if time.monotonic() - self._saved_at < self._every_s:
            return
        mine = {name: p.detach().clone() for name, p in learner.module.named_parameters() if p.requires_grad}
        gpu_dice = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        state = {
            "key": self._key,
            "parameters": mine,
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "dice": torch.get_rng_state(),
            "gpu_dice": gpu_dice,
            "course": course,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".part")
        torch.save(state, partial)
        os.replace(partial, self.path)
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """The training is over."""
        self.path.unlink(missing_ok=True)
