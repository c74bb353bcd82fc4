"""The kinds of harmful texts, told by the shipped model itself."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.adapters.registry import SHIPPED
from model.choice import EMBEDDED
from model.classifier import AdapterRejected, Item, Verdict
from model.gptj.base import open_gptj
from model.kind_head import KindHead, open_kind_head
from model.kinds import HARM_BAR, KINDS, Kind, likeliest
from model.labels import Label
from model.norms import Norm
from model.open import open_base
from model.serving.kind_reader import KIND_PROMPT
from model.serving.scorer import Scorer
from model.serving.worker import Worker
from tests.model.adapters.test_adapters_in_use import written
from tests.model.tiny import make_gptj, plain_model, plain_probabilities
from training.kind_examples import read_judge
from training.kinds import embed_texts, measure_kinds

ADAPTER = "global/shipped"


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    scorer = Scorer(open_base(EMBEDDED))
    scorer.load(ADAPTER, SHIPPED)
    return scorer


def score(scorer: Scorer, text: str, community: str = "") -> Verdict:
    return scorer.classify([Item(text, ADAPTER, community=community)])[0]


def test_hand_written_lines_get_their_kind(scorer: Scorer) -> None:
    """The bars of the shipped head, on lines that it never learned from."""
    judged = read_judge()
    assert all(sum(each.kind is kind for each in judged) >= 25 for kind in KINDS)
    head = open_kind_head(scorer.base)
    assert head is not None
    figures = measure_kinds(head.probabilities(embed_texts(scorer.base, [each.text for each in judged])), judged)
    assert figures["accuracy"] >= 0.85 and figures["swearing or insult"] >= 0.9
    assert figures == json.loads((SHIPPED / "kinds.json").read_text())["metrics"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("what the actual fuck was that ending", Kind.SWEARING),
        ("you stupid bitch", Kind.INSULT),
        ("I'm going to break your jaw", Kind.THREAT),
        ("I'd love to bend you over that desk", Kind.SEXUAL),
        ("shut up tranny", Kind.SLUR),
        ("Jews are rats spreading disease", Kind.DEHUMANISING),
    ],
)
def test_a_harmful_text_has_kinds_that_sum_to_one(scorer: Scorer, text: str, kind: Kind) -> None:
    verdict = score(scorer, text)
    assert likeliest(verdict.kinds) is kind and sum(verdict.kinds.values()) == pytest.approx(1, abs=1e-5)


def test_a_harmless_text_has_no_kind(scorer: Scorer) -> None:
    assert score(scorer, "see you at seven").kinds == {}


def test_the_kind_is_that_of_the_part_that_decided(scorer: Scorer) -> None:
    polite = "Good morning everyone! The soup is ready and the bread comes in ten minutes."
    verdict = score(scorer, f"{polite} You are a worthless idiot. Have a nice day. {polite}")
    assert "idiot" in verdict.part and likeliest(verdict.kinds) is Kind.INSULT


def test_an_allowed_kind_does_not_hide_another(scorer: Scorer) -> None:
    """A norm that allows swearing moves the sentence that swears, and not the one that insults."""
    scorer._loaded[ADAPTER].norms = {"town": Norm(neutral_kinds=frozenset({Kind.SWEARING}))}
    swearing, both = "that exam was a bitch", "that exam was a bitch. and you are a worthless idiot."
    assert score(scorer, swearing, "other").harm > 0.7 > 0.3 > score(scorer, swearing, "town").harm
    assert score(scorer, both, "town").harm > 0.95 * score(scorer, both, "other").harm
    assert score(scorer, "Jews are rats", "town").probabilities[Label.HATE] > 0.85


def damage_weights(folder: Path) -> None:
    path = folder / "kinds.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")


def damage_base(folder: Path) -> None:
    change(folder, base_sha256="0" * 64)


def damage_kinds(folder: Path) -> None:
    change(folder, kinds=["spam"])


def change(folder: Path, **fields: object) -> None:
    path = folder / "kinds.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize("damage", [damage_weights, damage_base, damage_kinds])
def test_a_head_that_does_not_fit_is_refused(scorer: Scorer, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "minilm"
    shutil.copytree(SHIPPED, folder)
    damage(folder)
    with pytest.raises(AdapterRejected):
        open_kind_head(scorer.base, folder)
    (folder / "kinds.json").unlink()
    assert open_kind_head(scorer.base, folder) is None


def test_the_head_answers_with_probabilities() -> None:
    shapes = {"dense.weight": (384, 8), "dense.bias": (384,), "out.weight": (6, 384), "out.bias": (6,)}
    rows = KindHead({name: torch.randn(shape) for name, shape in shapes.items()}).probabilities(torch.randn(3, 8))
    assert rows.shape == (3, len(KINDS)) and rows.sum(1).tolist() == pytest.approx([1, 1, 1])


async def test_kinds_pass_through_the_models_process(scorer: Scorer) -> None:
    """They survive the JSON between the two processes."""
    insult, plain = "you stupid bitch", "see you at seven"
    async with Worker(EMBEDDED, lambda _: SHIPPED, threads=1) as worker:
        harmful, harmless = await worker.classify([Item(insult, ADAPTER), Item(plain, ADAPTER)])
    assert harmful.kinds == pytest.approx(score(scorer, insult).kinds, abs=1e-4) and harmless.kinds == {}
    assert all(isinstance(kind, Kind) for kind in harmful.kinds)


def test_a_gptj_is_asked_through_its_instruction(tmp_path: Path) -> None:
    """Its kinds are the plain model's answers; a base whose window is too small for the question has none."""
    assert KIND_PROMPT.names == tuple(map(str, KINDS))
    text = "you are a complete idiot"
    for positions, is_known in ((2048, True), (256, False)):
        folder = make_gptj(tmp_path / str(positions), n_layer=2, n_positions=positions)
        base = open_gptj(str(folder))
        gptj = Scorer(base)
        gptj.load("a", written(tmp_path / f"adapter {positions}", base, seed=1))
        (verdict,) = gptj.classify([Item(text, "a")])
        if is_known:
            plain = plain_probabilities(plain_model(folder), base, [text], KIND_PROMPT)[0]
            assert verdict.harm > HARM_BAR and list(verdict.kinds.values()) == pytest.approx(plain.tolist(), abs=1e-5)
        else:
            assert verdict.kinds == {}
