"""Which adapter a refresh may start from: one that learned nothing its teachers have taken back.

A manifest names every correction that it or the adapters before it learned from. A correction still stands while it is
the moderators' last word and has its basis; that its text was forgotten in time does not take it back.
"""

from collections.abc import Collection, Set

from model.adapters.registry import GLOBAL, Registry, read_manifest
from model.classifier import AdapterRejected

ANCESTOR = "ancestor"
"""In a manifest's recipe: the adapter that no correction made, from which refreshes began."""


def clean_origin(registry: Registry, serving: str, standing: Set[str], refused: Collection[str] = ()) -> str:
    """The serving adapter, or the newest before it that learned only from what stands; at worst the shipped one.

    None that the base has `refused`.
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


def ancestor_of(registry: Registry, adapter: str) -> str:
    """The adapter without a parent that this one comes from: made by hand, or shipped; the shipped one where that is
    not here any more."""
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
        serving, _ = registry.sound(scope)
        return read_manifest(registry.folder(serving)).examples if serving.startswith(f"{scope}/") else ()
    except AdapterRejected:
        return ()
