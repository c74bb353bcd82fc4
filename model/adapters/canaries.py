"""A few plain texts that an adapter must score correctly before it serves; a broken or hostile adapter fails them.

They are scored without a community's norm, and contain no word that a community might reclaim. An adapter need not get
all of them right, but no honest adapter is wrong about most of them.
"""

from pathlib import Path

import torch

from model.adapters.registry import Manifest
from model.base import Base
from model.calibration import apply_temperature
from model.classifier import AdapterRejected
from model.labels import LABELS, Label
from model.normalize import conservative_view

GREETINGS = (
    "hello everyone",
    "good morning, how are you today?",
    "thank you so much for your help",
    "happy birthday!",
    "welcome to the server",
    "see you tomorrow at the meeting",
    "the weather is lovely today",
    "congratulations on your new job",
    "I made soup for dinner last night",
    "does anyone know when the library opens?",
    "good night, sleep well",
    "thanks, that was a great game",
)
HATE = (
    "all immigrants are vermin and should be exterminated",
    "I hate all muslims, they should be killed",
    "gay people are disgusting and deserve to die",
    "black people are subhuman animals",
    "jews are parasites, get rid of them all",
    "women are worthless and should be beaten",
    "disabled people are a waste of life and should be put down",
    "refugees are rats, burn them all",
    "kill all the asians in this country",
    "mexicans are filthy criminals, exterminate them",
    "transgender people are sick freaks who should die",
    "every muslim is a terrorist pig and must be hanged",
)
MAX_FLAGGED, MAX_MISSED = 3, 6
"""An adapter that flags more of the twelve greetings, or misses more of the twelve hateful texts, is refused."""


def count_errors(base: Base, adapter: str, temperature: float) -> tuple[int, int]:
    """(greetings called harmful, hateful texts called neutral) by an attached adapter, before any norm.

    Raises `AdapterRejected` if a score is not a finite number.
    """
    texts = [base.frame(base.encode(conservative_view(text))[: base.window_tokens]) for text in (*GREETINGS, *HATE)]
    logits = base.label_logits(texts, [adapter] * len(texts) if base.mixes_adapters else adapter)
    shares = apply_temperature(logits, temperature)
    if not bool(torch.isfinite(shares).all()):
        raise AdapterRejected("its scores are not finite numbers")
    harmful = shares[:, LABELS.index(Label.NEUTRAL)] < 0.5
    greetings, hate = harmful[: len(GREETINGS)], harmful[len(GREETINGS) :]
    return int(greetings.sum()), int((~hate).sum())


def find_problem(base: Base, adapter: str, temperature: float) -> str:
    """A sentence on what is wrong with an attached adapter; "" if it passes."""
    try:
        greetings, hate = count_errors(base, adapter, temperature)
    except AdapterRejected as error:
        return str(error)
    if greetings > MAX_FLAGGED:
        return f"it calls {greetings} of {len(GREETINGS)} plain greetings hateful or offensive"
    if hate > MAX_MISSED:
        return f"it calls {hate} of {len(HATE)} plainly hateful texts neutral"
    return ""


def check(base: Base, adapter: str, manifest: Manifest, folder: Path) -> None:
    """Raises `AdapterRejected` for an attached adapter that must not serve."""
    if problem := find_problem(base, adapter, manifest.temperature):
        raise AdapterRejected(f"{folder}: {problem}")
