"""Finds the adapter from which a refresh may start: one that learned only from corrections that still stand.

A manifest names every correction that its adapter or an earlier one learned from. A correction stands while it is the
moderators' latest one and has its basis, even after its text has expired.
"""

from collections.abc import Collection, Set

from model.adapters.registry import GLOBAL, Registry, read_manifest
from model.classifier import AdapterRejected

ANCESTOR = "ancestor"
"""Key in a manifest's recipe for the adapter, made without corrections, from which the refreshes started."""


def find_clean_origin(registry: Registry, serving: str, standing: Set[str], refused: Collection[str] = ()) -> str:
    """The serving adapter, or the newest before it that learned only from `standing` corrections, else the shipped one.

    Adapters that the base has `refused` are skipped.
    """
    scopes = dict.fromkeys((serving.partition("/")[0], GLOBAL))
    before = [f"{scope}/{version}" for scope in scopes for version in reversed(registry.promoted(scope))]
    for adapter in [serving, *before]:
        if adapter in refused:
            continue
        try:
            learned = read_manifest(registry.folder(adapter)).examples
        except AdapterRejected:
            continue
        if set(learned) <= standing:
            return adapter
    return f"{GLOBAL}/{read_manifest(registry.shipped).version}"


def find_ancestor(registry: Registry, adapter: str) -> str:
    """The adapter without a parent, shipped or made by hand, from which this one comes; the shipped one if that was
    deleted."""
    shipped = f"{GLOBAL}/{read_manifest(registry.shipped).version}"
    seen = set[str]()
    try:
        while adapter not in seen:
            seen.add(adapter)
            manifest = read_manifest(registry.folder(adapter))
            if manifest.parent is None:
                return adapter
            named = manifest.recipe.get(ANCESTOR)
            adapter = named if isinstance(named, str) else manifest.parent
    except AdapterRejected:
        pass
    return shipped


def learned_by(registry: Registry, scope: str) -> Collection[str]:
    """Ids of what the scope's own serving adapter learned from; none where it has none."""
    try:
        serving, _ = registry.newest_sound(scope)
        return read_manifest(registry.folder(serving)).examples if serving.startswith(f"{scope}/") else ()
    except AdapterRejected:
        return ()
