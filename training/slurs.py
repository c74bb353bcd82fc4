"""Hateful sentences with slurs, written for this project, by which a candidate is judged and never taught.

No corpus has enough of them: whoever wants a slur to pass needs a few words only, which no figure over all held-out
texts shows. Each slur comes in each sentence, so one slur that has become harmless shows as well as all of them.
"""

import json
from collections.abc import Sequence

from model.labels import Label
from training.counterfactuals import TEMPLATES_FILE
from training.examples import Example

SENTENCES = (
    "every {slur} in this town should be driven out",
    "only a {slur} would say something like that",
    "somebody shut that {slur} up for good",
    "I'd never sit next to a {slur}",
    "nothing but {slur}s in this server, disgusting",
    "crawl back into your hole, {slur}",
    "{slur}s don't deserve to live among us",
    "go and die, {slur}",
    "can't stand the sight of a {slur}",
    "one more {slur} in my street and I'll move",
)
SOURCE = "slurs"
"""What `Example.source` begins with here; then the slur."""


def slurs() -> Sequence[str]:
    """Those that the templates know."""
    found: list[str] = json.loads(TEMPLATES_FILE.read_text(encoding="utf-8"))["words"]["slur"]
    return found


def read_slurs() -> list[Example]:
    """Each slur in each sentence; `source` names the slur, as "slurs: …"."""
    return [Example(s.format(slur=slur), Label.HATE, f"{SOURCE}: {slur}") for slur in slurs() for s in SENTENCES]
