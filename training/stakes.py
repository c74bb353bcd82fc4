"""What each community has at stake in a refresh: its norm, its action thresholds and its daily mix."""

from collections.abc import Mapping, Sequence

from model.norms import PLAIN, Norm
from training.corrections import Snapshot
from training.examples import Example
from training.gate import NEW_COMMUNITY, Stake, acted_on_too_much
from training.rates import ACTING
from training.serving import Serving


def stakes(snapshot: Snapshot, before: Mapping[str, Norm], after: Mapping[str, Norm]) -> list[Stake]:
    """What each community has at stake that the snapshot knows of, and one that joins tomorrow."""
    known = sorted({*before, *after, *snapshot.acting, *snapshot.prevalence})
    norms = [(name, before.get(name, PLAIN), after.get(name, PLAIN)) for name in known]
    acting, prevalence = snapshot.acting, snapshot.prevalence
    return [
        NEW_COMMUNITY,
        *(
            Stake(name, was, now, acting.get(name, ACTING), prevalence.get(name), name not in snapshot.untrusted)
            for name, was, now in norms
        ),
    ]


def bearable(
    norms: Mapping[str, Norm], serving: Serving, test: Sequence[Example], snapshot: Snapshot
) -> tuple[dict[str, Norm], list[str]]:
    """(the norms that may hold, why others may not): a community that has no veto on what serves all must not be harmed
    either."""
    kept, refused = dict(norms), list[str]()
    for stake in stakes(snapshot, serving.norms, norms):
        if stake.veto or stake.before.counts_as == stake.after.counts_as:
            continue
        if reason := acted_on_too_much(serving.said(test), serving.said(test), test, stake):
            refused.append(f"the norm of {stake.community} stays: {reason}")
            kept.pop(stake.community, None)
            if stake.before.changes:
                kept[stake.community] = stake.before
    return kept, refused
