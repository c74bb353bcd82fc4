"""The checkpoint from which a killed training continues: parameters, optimizer, schedule and random states."""

import os
import pickle
import time
from pathlib import Path
from typing import Any

import torch

from model.base import TrainingModule

EVERY_S = 30.0


class Checkpoint:
    """One file. `key` identifies data and recipe, so a checkpoint of another training is ignored.

    It is written atomically, at most every `every_s` seconds, and read without unpickling code.
    """

    def __init__(self, path: Path, key: str, every_s: float = EVERY_S) -> None:
        self.path = path
        self._key = key
        self._every_s = every_s
        self._saved_at = time.monotonic()

    def load(self, learner: TrainingModule, optimizer: Any, schedule: Any) -> dict[str, Any] | None:
        """Restores the state and returns the training history so far; None without a usable checkpoint."""
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
        history: dict[str, Any] = state["course"]
        return history

    def maybe_save(self, learner: TrainingModule, optimizer: Any, schedule: Any, history: dict[str, Any]) -> None:
        """Writes the file, unless it was written less than `every_s` seconds ago."""
        if time.monotonic() - self._saved_at < self._every_s:
            return
        parameters = {name: p.detach().clone() for name, p in learner.module.named_parameters() if p.requires_grad}
        gpu_random_states = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        state = {
            "key": self._key,
            "parameters": parameters,
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "dice": torch.get_rng_state(),
            "gpu_dice": gpu_random_states,
            "course": history,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".part")
        torch.save(state, partial)
        os.replace(partial, self.path)
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Deletes the file when the training is complete."""
        self.path.unlink(missing_ok=True)
