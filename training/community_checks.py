"""What the gate checks for each community: its norm, its action thresholds and its daily mix."""

from collections.abc import Mapping, Sequence

from model.norms import PLAIN_NORM, Norm
from training.attached_adapter import AttachedAdapter
from training.corrections import Snapshot
from training.examples import Example
from training.gate import NEW_COMMUNITY, CommunityCheck, false_action_reason
from training.hate_recall import ACTION_THRESHOLDS


def community_checks(snapshot: Snapshot, before: Mapping[str, Norm], after: Mapping[str, Norm]) -> list[CommunityCheck]:
    """One check for each community that the snapshot knows, and one for a community that joins tomorrow."""
    known = sorted({*before, *after, *snapshot.action_thresholds, *snapshot.prevalence})
    norms = [(name, before.get(name, PLAIN_NORM), after.get(name, PLAIN_NORM)) for name in known]
    acting, prevalence = snapshot.action_thresholds, snapshot.prevalence
    return [
        NEW_COMMUNITY,
        *(
            CommunityCheck(
                name,
                was,
                now,
                acting.get(name, ACTION_THRESHOLDS),
                prevalence.get(name),
                name not in snapshot.untrusted,
            )
            for name, was, now in norms
        ),
    ]


def tolerable_norms(
    norms: Mapping[str, Norm], serving: AttachedAdapter, test: Sequence[Example], snapshot: Snapshot
) -> tuple[dict[str, Norm], list[str]]:
    """Returns (the norms that may hold, the reasons why others may not).

    A community without a veto on the adapter for all must not be harmed either."""
    kept, refused = dict(norms), list[str]()
    for stake in community_checks(snapshot, serving.norms, norms):
        if stake.has_veto or stake.before.counts_as == stake.after.counts_as:
            continue
        if reason := false_action_reason(serving.probabilities(test), serving.probabilities(test), test, stake):
            refused.append(f"the norm of {stake.community} stays: {reason}")
            kept.pop(stake.community, None)
            if not stake.before.is_plain:
                kept[stake.community] = stake.before
    return kept, refused
