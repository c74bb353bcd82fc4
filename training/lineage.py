"""Which adapter a refresh may start from: one that learned nothing its teachers have taken back.

A manifest names every correction that it or the adapters before it learned from. A correction still stands while it is
the moderators' last word and has its basis; that its text was forgotten in time does not take it back.
"""

from collections.abc import Collection, Set

from model.adapters import GLOBAL, Registry, read_manifest
from model.classifier import AdapterRejected


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
