"""What a refresh tells moderators, in one line when it ends and on the first page of its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.labels import LABELS
from model.norms import PLAIN_NORM, Norm
from model.quality import MIN_AUDITED
from training.corrections import Snapshot
from training.gate import Judgement


def counted(left_out: Mapping[str, int]) -> str:
    """What was left out and why, in words, for the end of a sentence."""
    if not left_out:
        return ""
    return f" (left out: {', '.join(f'{count} × {reason}' for reason, count in sorted(left_out.items()))})"


def changed(before: Mapping[str, Norm], after: Mapping[str, Norm]) -> list[str]:
    """What moderators must know of each community whose norm is another one now."""
    found = []
    for name in sorted({*before, *after}):
        was, now = before.get(name, PLAIN_NORM), after.get(name, PLAIN_NORM)
        if was.counts_as != now.counts_as:
            found.append(f"in {name} {now.sentence or 'every label counts as itself'} from now on")
    return found


def for_report(
    told: Sequence[str],
    judgement: Judgement,
    answered: Mapping[str, tuple[int, int, int]],
    norms: Mapping[str, Norm],
    snapshot: Snapshot,
    learned_from: Mapping[str, int],
    step: float,
) -> dict[str, Any]:
    """The report's section on a refresh.

    `told` are its sentences; `answered` has (of how many, before, after) for each kind of corrections, `learned_from`
    how many each moderator taught, `step` the share of the step taken.
    """
    low, high = judgement.f1_interval
    sentences = [
        *told,
        f"change in macro-F1 on held-out texts between {low:+.3f} and {high:+.3f} (90 % interval)",
        *(f"in {name} {norm.sentence} ({_evidence(norm)})" for name, norm in sorted(norms.items())),
        *_daily_mix(snapshot),
    ]
    compared = [(f"{what}, of {of}", str(was), str(now)) for what, (of, was, now) in answered.items() if of]
    return {
        "sentences": [sentence[0].upper() + sentence[1:] for sentence in sentences],
        "compared": [*compared, *judgement.compared],
        "learned_from": dict(learned_from),
        "left_out": dict(snapshot.left_out),
        "step": step,
        "snapshot": snapshot.sha256[:12],
    }


def _evidence(norm: Norm) -> str:
    return f"{norm.corrections} words of {norm.moderators} moderator{'s' if norm.moderators != 1 else ''}"


def _daily_mix(snapshot: Snapshot) -> list[str]:
    """How common each label is where that was audited."""
    if not snapshot.prevalence:
        return [
            f"how common harm is among all messages was not measured: look at {MIN_AUDITED} random ones on the page"
        ]
    found = []
    for name, mix in sorted(snapshot.prevalence.items()):
        shares = ", ".join(f"{share:.1%} {label}" for label, share in zip(LABELS, mix.shares, strict=True))
        found.append(f"daily mix of {name}: {shares} (by {mix.audited} random messages and {mix.answered} cards)")
    return found
