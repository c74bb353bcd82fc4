"""A few plain texts that every adapter must read right before it serves: a broken or hostile one is known by them.

They are read without any community's norm, and no word in them is one that some community might reclaim. An adapter
need not have all of them right: only one that is wrong about most cannot be anybody's honest taste.
"""

from pathlib import Path

import torch

from model.adapters.registry import Manifest
from model.base import Base
from model.calibration import calibrated
from model.classifier import AdapterRejected
from model.labels import LABELS, Label
from model.normalize import conservative

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
MOST_FLAGGED, MOST_MISSED = 3, 6
"""Of each dozen: an adapter that flags more of the greetings, or misses more of the hateful texts, is refused."""


def wrong(base: Base, adapter: str, temperature: float) -> tuple[int, int]:
    """(greetings called harmful, hateful texts called neutral) by an attached adapter, before any norm.

    Raises `AdapterRejected` where a score is not a finite number.
    """
    texts = [base.frame(base.encode(conservative(text))[: base.window_tokens]) for text in (*GREETINGS, *HATE)]
    logits = base.label_logits(texts, [adapter] * len(texts) if base.mixes_adapters else adapter)
    shares = calibrated(logits, temperature)
    if not bool(torch.isfinite(shares).all()):
        raise AdapterRejected("its scores are not finite numbers")
    harmful = shares[:, LABELS.index(Label.NEUTRAL)] < 0.5
    greetings, hate = harmful[: len(GREETINGS)], harmful[len(GREETINGS) :]
    return int(greetings.sum()), int((~hate).sum())


def complaint(base: Base, adapter: str, temperature: float) -> str:
    """What is wrong with an attached adapter, in a sentence; "" for nothing."""
    try:
        greetings, hate = wrong(base, adapter, temperature)
    except AdapterRejected as error:
        return str(error)
    if greetings > MOST_FLAGGED:
        return f"it calls {greetings} of {len(GREETINGS)} plain greetings hateful or offensive"
    if hate > MOST_MISSED:
        return f"it calls {hate} of {len(HATE)} plainly hateful texts neutral"
    return ""


def check(base: Base, adapter: str, manifest: Manifest, folder: Path) -> None:
    """Raises `AdapterRejected` for an attached adapter that must not serve."""
    if found := complaint(base, adapter, manifest.temperature):
        raise AdapterRejected(f"{folder}: {found}")
