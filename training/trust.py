"""Decides which communities teach the adapter that serves all, and what the others' corrections teach.

Anybody may add the bot to a group of their own, become its moderator and agree with friends about any correction. So
the operator names the communities whose moderators they know (`[learning] trusted`). Corrections of any other community
teach its own norm and, from `OWN_ADAPTER_FROM` corrections on, its own adapter. They change nothing for other
communities.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

from training.corrections import Correction, Snapshot

TRUSTED: Sequence[str] = ("try-out",)
"""Trusted by default: in the try-out chat only the operator can write."""
UNTRUSTED = "community not trusted"
OWN_ADAPTER_FROM = 400
"""Corrections below which a community gains nothing from its own adapter (benchmarks/RESULTS.md)."""
OWN_ADAPTER_NEW_SHARE = 0.1
"""The own adapter is made again when this share of the community's latest corrections is new."""
MAX_OWN_CORRECTIONS = 2000
"""Latest corrections from which the own adapter learns."""
MAX_OWN_ADAPTERS = 4
"""Communities that get their own adapter within one refresh: those with the most new corrections."""
MAX_UNTRUSTED_COMMUNITIES, MAX_UNTRUSTED_CORRECTIONS = 100, 500
"""Untrusted communities (the most recently active) and corrections of each that one refresh handles, so that its time
is bounded for any number of groups."""
_NEAR = 0.7


def describe_unknown_communities(trusted: Collection[str], snapshot: Snapshot) -> str:
    """A sentence on trusted names that match no community; "" if all match. The try-out chat may be unused."""
    known, unknown = sorted(snapshot.communities), []
    for name in trusted:
        if name not in known and name not in TRUSTED:
            near = difflib.get_close_matches(name, known, 1, _NEAR)
            unknown.append(f'"{name}"' + (f' (did you mean "{near[0]}"?)' if near else ""))
    if not unknown:
        return ""
    return f"[learning] trusted has names of unknown communities: {', '.join(unknown)}"


def describe_untrusted(snapshot: Snapshot) -> str:
    """A sentence on corrections that teach only their own communities, and what to do; "" if there are none."""
    counts = Counter(each.community for each in snapshot.corrections if each.community in snapshot.untrusted)
    if not counts:
        return ""
    largest = ", ".join(f"{name} ({count})" for name, count in counts.most_common(5)) + (
        ", …" if len(counts) > 5 else ""
    )
    return (
        f"{sum(counts.values())} corrections teach only the norms of their own communities, because these are not"
        f" trusted: {largest}; if you know a community's moderators, add it to [learning] trusted in config.toml"
    )


def untrusted_corrections(snapshot: Snapshot) -> Iterator[tuple[str, list[Correction]]]:
    """Each untrusted community with its latest corrections, from which its norm is learned."""
    by_name: dict[str, list[Correction]] = {}
    for each in reversed(snapshot.corrections):
        if each.community in snapshot.untrusted:
            by_name.setdefault(each.community, []).append(each)
    for name, corrections in islice(by_name.items(), MAX_UNTRUSTED_COMMUNITIES):
        yield name, corrections[:MAX_UNTRUSTED_CORRECTIONS][::-1]


def trusted_snapshot(snapshot: Snapshot) -> Snapshot:
    """The snapshot of the trusted communities, whose corrections teach the weights; the others count as left out."""
    return snapshot.without(
        {each.id: UNTRUSTED for each in snapshot.corrections if each.community in snapshot.untrusted}
    )


def ready_for_own_adapter(snapshot: Snapshot, learned: Callable[[str], Collection[str]]) -> list[str]:
    """Untrusted communities with enough corrections for their own adapter, and enough new ones since the last one.

    `learned` returns the ids of the corrections that a community's own adapter learned from.
    """
    new_corrections = Counter[str]()
    counts = Counter(each.community for each in snapshot.corrections)
    for name, corrections in untrusted_corrections(snapshot):
        if counts[name] >= OWN_ADAPTER_FROM:
            new_count = len({each.id for each in corrections} - set(learned(name)))
            if new_count > OWN_ADAPTER_NEW_SHARE * len(corrections):
                new_corrections[name] = new_count
    return [name for name, _ in new_corrections.most_common(MAX_OWN_ADAPTERS)]
