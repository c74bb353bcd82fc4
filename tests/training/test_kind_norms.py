"""A community that allows swearing keeps its protection from insults: a whole refresh with the real model."""

from pathlib import Path

import pytest

from model.adapters.registry import GLOBAL, SHIPPED, Registry, read_manifest
from model.choice import EMBEDDED
from model.classifier import Item
from model.kinds import Kind
from model.labels import Label
from model.open import open_base
from model.serving.scorer import Scorer, attach_adapter
from training import refresh
from training.attached_adapter import AttachedAdapter
from training.corrections import Correction, Snapshot
from training.examples import Example
from training.norms import labels_of, learn_norm

pytestmark = pytest.mark.timeout(900)  # it trains for real, and the machine may be busy
TOWN = "town"
SWEARING = (
    "this boss fight can suck my ass",
    "what the fuck was that shitty ending",
    "my damn phone is a piece of shit",
    "that exam was a real bitch",
    "motherfucker, my toe",
    "who the fuck moved my shitty bike",
    "son of a bitch, the milk is sour",
    "Mondays suck ass",
    "bitch of a day, I missed the train",
    "I don't give a fuck about this fucking game",
    "this shit again, my back hurts from the chair",
)
HATEFUL = (
    "all mexicans are lazy thieves",
    "Jews are rats",
    "the Roma are thieves and always will be",
    "Arabs have no culture, only bombs",
    "Africans are closer to apes than to us",
    "no blacks in this server",
    "send every last syrian back",
    "lesbians just need a real man",
    "get these spics out of here",
    "dumb tranny",
)
THREATENING = (
    "I will burn you alive",
    "tomorrow you die",
    "I'll cut your throat",
    "go drink some bleach",
    "I'll gut you",
)
HARMLESS = (
    "which keyboard do you use",
    "the black keys are out of tune",
    "he's low, kill him kill him",
    "my girlfriend beat me at chess again",
    "stop camping the spawn",
    "I'd kill for a nap",
    "who broke the build",
    "this soup needs salt",
    "shoot the left one first, then the healer",
    "it's raining again",
    "could you turn your mic down a bit",
    "what a terrible call by the referee",
)
INSULTS = (
    "you stupid bitch, stop talking",
    "you stupid bitch learn to drive",
    "nobody asked you, you cunt",
    "you cunt",
)
ANSWERED = (
    *((text, Label.NEUTRAL) for text in SWEARING),
    *((text, Label.HATE) for text in HATEFUL),
    *((text, Label.OFFENSIVE) for text in THREATENING),
    *((text, Label.NEUTRAL) for text in HARMLESS),
)
CORRECTIONS = [
    Correction(str(n), Example(text, label), f"mo{n % 3}", f"author {n}", TOWN)
    for n, (text, label) in enumerate(ANSWERED)
]


@pytest.mark.usefixtures("few_held_out")
def test_38_answers_allow_swearing_and_flip_no_insult(tmp_path: Path) -> None:
    """Eleven of them say that swearing is neutral, and none is about an insult."""
    assert len(CORRECTIONS) == 38
    registry = Registry(tmp_path, SHIPPED)
    snapshot = Snapshot(CORRECTIONS, standing=frozenset(each.id for each in CORRECTIONS))
    told: list[str] = []
    status = refresh.refresh(snapshot, registry, 150, 5, lambda stage, share, result: told.append(result))
    assert status == refresh.PROMOTED, told
    folder = registry.folder(registry.current(GLOBAL))
    norm = read_manifest(folder).learned_norms()[TOWN]
    assert norm.neutral_kinds == {Kind.SWEARING} and norm.sentence == "swearing counts as neutral", told
    scorer = Scorer(open_base(EMBEDDED))
    scorer.load("before", SHIPPED)
    scorer.load("after", folder)
    texts = [*INSULTS, *SWEARING, *THREATENING, *HATEFUL]
    before, after = (
        [verdict.harm for verdict in scorer.classify([Item(text, name, community=TOWN) for text in texts])]
        for name in ("before", "after")
    )
    kept, moved = slice(0, len(INSULTS)), slice(len(INSULTS), len(INSULTS) + len(SWEARING))
    assert min(before[kept]) > 0.9 and min(after[kept]) > 0.9
    assert sum(harm >= 0.7 for harm in before[moved]) >= 6 and max(after[moved]) < 0.7
    for was, now in zip(before[moved.stop :], after[moved.stop :], strict=True):
        assert now > 0.85 * was


def test_labels_alone_would_allow_everything_offensive() -> None:
    """The answers about swearing and hate: without kinds, allowing everything offensive explains them best."""
    base = open_base(EMBEDDED)
    adapter = AttachedAdapter(base, "serving", attach_adapter(base, "serving", SHIPPED))
    answered = CORRECTIONS[: len(SWEARING) + len(HATEFUL)]
    rows = adapter.correction_probabilities(answered)
    assert learn_norm(answered, labels_of(rows)).sentence == "offensive counts as neutral"
    assert learn_norm(answered, rows).sentence == "swearing counts as neutral"
