"""Describes a refresh for moderators: one line when it ends, and the first section of its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.labels import LABELS
from model.norms import PLAIN_NORM, Norm
from model.quality import MIN_AUDITED
from training.corrections import Snapshot
from training.gate import Judgement


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """The end of a sentence: how many corrections were left out, and why; "" for none."""
    if not left_out:
        return ""
    return f" (left out: {', '.join(f'{count} × {reason}' for reason, count in sorted(left_out.items()))})"


def describe_norm_changes(before: Mapping[str, Norm], after: Mapping[str, Norm]) -> list[str]:
    """One sentence for each community whose norm changed."""
    sentences = []
    for name in sorted({*before, *after}):
        was, now = before.get(name, PLAIN_NORM), after.get(name, PLAIN_NORM)
        if not was.says_the_same_as(now):
            sentences.append(f"in {name} {now.sentence or 'every label counts as itself'} from now on")
    return sentences


def report_section(
    results: Sequence[str],
    judgement: Judgement,
    answered: Mapping[str, tuple[int, int, int]],
    norms: Mapping[str, Norm],
    snapshot: Snapshot,
    learned_from: Mapping[str, int],
    step: float,
) -> dict[str, Any]:
    """The report's section on a refresh.

    `results` are its sentences. `answered` has (number, agreeing before, agreeing after) for each kind of corrections,
    `learned_from` the number of corrections of each moderator, `step` the share of the step taken.
    """
    low, high = judgement.f1_change_interval
    sentences = [
        *results,
        f"change in macro-F1 on held-out texts between {low:+.3f} and {high:+.3f} (90 % interval)",
        *(f"in {name} {norm.sentence} ({_evidence(norm)})" for name, norm in sorted(norms.items())),
        *_daily_mix(snapshot),
    ]
    compared = [(f"{kind}, of {of}", str(was), str(now)) for kind, (of, was, now) in answered.items() if of]
    return {
        "sentences": [sentence[0].upper() + sentence[1:] for sentence in sentences],
        "compared": [*compared, *judgement.compared],
        "learned_from": dict(learned_from),
        "left_out": dict(snapshot.left_out),
        "step": step,
        "snapshot": snapshot.sha256[:12],
    }


def _evidence(norm: Norm) -> str:
    return f"{norm.corrections} corrections of {norm.moderators} moderator{'s' if norm.moderators != 1 else ''}"


def _daily_mix(snapshot: Snapshot) -> list[str]:
    """Sentences on how common each label is in the audited communities."""
    if not snapshot.prevalence:
        return [
            f"the share of harm among all messages was not measured: label {MIN_AUDITED} random messages on the page"
        ]
    sentences = []
    for name, mix in sorted(snapshot.prevalence.items()):
        shares = ", ".join(f"{share:.1%} {label}" for label, share in zip(LABELS, mix.shares, strict=True))
        sentences.append(f"daily mix of {name}: {shares} (from {mix.audited} random messages and {mix.answered} cards)")
    return sentences
