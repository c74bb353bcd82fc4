"""What the corrections say about a candidate: those it learned from, and those of authors held out."""

from collections.abc import Sequence

from training.attached_adapter import AttachedAdapter
from training.corrections import Correction

MIN_GAIN_SHARE = 0.1
"""A candidate answers at least this share of the corrections that the adapter before it answers otherwise. If less is
left of what was taught, only a short step away from it passes the gate, and that is a risk without a gain."""
UNSEEN_MARGIN = 0.02
"""This share of the corrections of authors held out may be lost, or one correction."""


def unseen_objections(before: AttachedAdapter, after: AttachedAdapter, unseen: Sequence[Correction]) -> list[str]:
    """Says why the corrections of held-out authors speak against the candidate; empty if they do not."""
    was, will = before.count_agreeing(unseen), after.count_agreeing(unseen)
    if was - will <= max(1, UNSEEN_MARGIN * len(unseen)):
        return []
    return [f"of {len(unseen)} corrections it did not learn from, {will} are answered as you said instead of {was}"]


def gain_objections(before: AttachedAdapter, after: AttachedAdapter, kept: Sequence[Correction]) -> list[str]:
    """Says why the candidate is a risk without a gain, if moderators would see hardly a change; empty otherwise."""
    was, will = before.count_agreeing(kept), after.count_agreeing(kept)
    contradicted = len(kept) - was
    if will - was >= max(1, MIN_GAIN_SHARE * contradicted) or not contradicted or after.norms != before.norms:
        return []
    if will <= was:
        return [f"{will} of {len(kept)} corrections are answered as you said, no more than before"]
    return [
        f"of {contradicted} corrections that were answered otherwise, only {will - was} more are answered as you said"
    ]
