"""Which communities teach the adapter that serves all, and what becomes of the others' words.

Anybody may add the bot to a group of their own, make themselves its moderators and agree with each other about
whatever they like. So the operator names the communities whose moderators they know (`[learning] trusted`). What any
other community says teaches its own norm and, from `OWN_FROM` words on, an adapter of its own: it decides for itself,
and for nobody else.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

from training.corrections import Correction, Snapshot

TRUSTED: Sequence[str] = ("try-out",)
"""In the try-out chat only the operator can write."""
UNTRUSTED = "community not trusted"
OWN_FROM = 400
"""Up to so many words a community gains nothing from an adapter of its own (benchmarks/RESULTS.md)."""
OWN_ANEW = 0.1
"""It is made again when it has not learned this share of the community's latest words."""
MOST_OWN_WORDS = 2000
"""The latest ones, which that adapter learns from."""
MOST_OWN = 4
"""Communities that get an adapter of their own within one refresh: those with the most new words."""
MOST_OUTSIDERS, OUTSIDERS_WORDS = 100, 500
"""Communities that are looked at within one refresh, those that spoke last, and their latest words: a refresh must end,
whoever adds the bot to however many groups."""
_NEAR = 0.7


def misspelt(trusted: Collection[str], snapshot: Snapshot) -> str:
    """What is said of names on the list that no community has; "" for nothing. The try-out chat may be unused."""
    known, found = sorted(snapshot.communities), []
    for name in trusted:
        if name not in known and name not in TRUSTED:
            near = difflib.get_close_matches(name, known, 1, _NEAR)
            found.append(f'"{name}"' + (f' (did you mean "{near[0]}"?)' if near else ""))
    if not found:
        return ""
    return f"[learning] trusted names communities of which nothing is known here: {', '.join(found)}"


def left_to_themselves(snapshot: Snapshot) -> str:
    """How many words teach only their own communities, and what to do about that; "" where there are none."""
    counts = Counter(each.community for each in snapshot.corrections if each.community in snapshot.untrusted)
    if not counts:
        return ""
    most = ", ".join(f"{name} ({count})" for name, count in counts.most_common(5)) + (", …" if len(counts) > 5 else "")
    return (
        f"{sum(counts.values())} words teach only the norms of their own communities, because these are not trusted:"
        f" {most}; whose moderators you know, name under [learning] trusted in config.toml"
    )


def outsiders(snapshot: Snapshot) -> Iterator[tuple[str, list[Correction]]]:
    """Each community that is not trusted, with the latest of its words: its norm is learned from these."""
    by_name: dict[str, list[Correction]] = {}
    for each in reversed(snapshot.corrections):
        if each.community in snapshot.untrusted:
            by_name.setdefault(each.community, []).append(each)
    for name, words in islice(by_name.items(), MOST_OUTSIDERS):
        yield name, words[:OUTSIDERS_WORDS][::-1]


def insiders(snapshot: Snapshot) -> Snapshot:
    """What teaches the weights of the adapter that serves all; the others' words are counted as left out."""
    return snapshot.without(
        {each.id: UNTRUSTED for each in snapshot.corrections if each.community in snapshot.untrusted}
    )


def ready_for_their_own(snapshot: Snapshot, learned: Callable[[str], Collection[str]]) -> list[str]:
    """Communities that are not trusted, said enough for an adapter of their own, and something new since the last one.

    `learned` gives the ids of what a community's own adapter learned from, none where there is none.
    """
    fresh = Counter[str]()
    counts = Counter(each.community for each in snapshot.corrections)
    for name, words in outsiders(snapshot):
        if counts[name] >= OWN_FROM:
            new = len({each.id for each in words} - set(learned(name)))
            if new > OWN_ANEW * len(words):
                fresh[name] = new
    return [name for name, _ in fresh.most_common(MOST_OWN)]
