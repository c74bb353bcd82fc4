"""Many communities share one base: mixed in a batch, swapped between batches, within the memory limit."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from model.adapters.registry import GLOBAL, SHIPPED, Manifest, Registry, read_manifest, write_adapter
from model.base import LoraSpec
from model.choice import BaseChoice
from model.classifier import AdapterRejected, Item
from model.gptj.base import GPTJ, open_gptj
from model.labels import Label
from model.open import open_base
from model.prompts import category_prompt
from model.serving.scorer import Scorer
from model.serving.worker import Worker
from tests.model.tiny import TEXTS, make_gptj, plain_model, plain_probabilities, random_adapter

LORA = LoraSpec(2, 4.0, ("q_proj", "v_proj"))
COMMUNITIES = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"), n_layer=2)


@pytest.fixture(scope="module")
def base(folder: Path) -> GPTJ:
    return open_gptj(str(folder))


@pytest.fixture(scope="module")
def adapters(base: GPTJ, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A hundred communities, each with its own adapter and temperature."""
    root = tmp_path_factory.mktemp("adapters")
    return {f"c{n}/v1": written(root / f"c{n}", base, seed=n) for n in range(COMMUNITIES)}


def written(folder: Path, base: GPTJ, seed: int) -> Path:
    folder.mkdir(parents=True)
    weights = save(random_adapter(base, LORA, seed, std=0.3))
    manifest = Manifest(
        base.name, base.fingerprint, base.prompt, f"v{seed}", "2026-01-01", LORA.to_json(), 1 + seed % 7, {}
    )
    write_adapter(folder, manifest, weights)
    return folder


def harms(scorer: Scorer, items: list[Item]) -> list[float]:
    return [verdict.harm for verdict in scorer.classify(items)]


def test_a_hundred_communities_share_one_batch(
    base: GPTJ, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch of a text per community gives what each adapter gives alone, in a few passes."""
    scorer = Scorer(base)
    for adapter, place in adapters.items():
        scorer.load(adapter, place)
    items = [Item(TEXTS[n % 2], adapter) for n, adapter in enumerate(adapters)]
    passes = []
    ask = base.label_logits
    with monkeypatch.context() as watched:
        watched.setattr(base, "label_logits", lambda batch, names: passes.append(names) or ask(batch, names))
        together = harms(scorer, items)
    assert len(passes) <= 3 and sum(len(set(names)) for names in passes) == COMMUNITIES
    assert len({round(harm, 4) for harm in together}) > COMMUNITIES // 2
    for item, harm in list(zip(items, together, strict=True))[::9]:
        assert harms(scorer, [item])[0] == pytest.approx(harm, abs=1e-5)


def test_adapters_stay_within_their_limit_and_come_back(
    base: GPTJ, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With memory for ten adapters a hundred communities are served, also from one batch."""
    unlimited = Scorer(base)
    for adapter, place in adapters.items():
        unlimited.load(adapter, place)
    items = [Item(TEXTS[1], adapter) for adapter in adapters]
    expected = harms(unlimited, items)
    one_mib = base.held_bytes("c0/v1") / 2**20
    fresh = open_gptj(base.name)
    scorer = Scorer(fresh, max_adapter_mib=10.5 * one_mib)
    most = 0.0
    attach = fresh.attach

    def watched(*arguments: object) -> None:
        nonlocal most
        attach(*arguments)  # type: ignore[arg-type]
        most = max(most, sum(a.held_bytes for a in fresh._adapters.values()) / 2**20)

    monkeypatch.setattr(fresh, "attach", watched)
    for adapter, place in adapters.items():
        scorer.load(adapter, place)
    assert len(fresh._adapters) == 10 and "c99/v1" in fresh._adapters
    assert harms(scorer, items) == pytest.approx(expected, abs=1e-5)
    assert scorer.attached_mib <= 10.5 * one_mib and most <= 11.5 * one_mib
    assert fresh._prefixes.adapters <= set(fresh._adapters)


def test_a_new_version_answers_from_the_next_batch_on(base: GPTJ, tmp_path: Path) -> None:
    """Promotion and rollback take effect between two batches, and the prefix follows the version."""
    scorer, registry = Scorer(base), Registry(tmp_path, SHIPPED)
    for seed in (1, 10):  # "global/v1" is the beginning of "global/v10"
        written(tmp_path / GLOBAL / f"v{seed}", base, seed)
    said = []
    for version in ("v1", "v10", None):
        registry.promote(f"{GLOBAL}/{version}") if version else registry.rollback()
        current = registry.current()
        scorer.load(current, registry.folder(current))
        said.append(harms(scorer, [Item(TEXTS[1], current)])[0])
    assert said[0] == said[2] != said[1]


def test_equal_texts_are_computed_once(base: GPTJ, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that differ only in what normalising removes are computed once for each adapter."""
    scorer = Scorer(base)
    for adapter in ("c1/v1", "c2/v1"):
        scorer.load(adapter, adapters[adapter])
    computed = []
    ask = base.label_logits
    monkeypatch.setattr(base, "label_logits", lambda batch, names: computed.extend(batch) or ask(batch, names))
    items = [Item(text, name) for name in ("c1/v1", "c2/v1") for text in ("buy now", "buy  now", "buy now\u200b")]
    verdicts = scorer.classify([*items, *items])
    assert len(computed) == 2 and len({verdict.harm for verdict in verdicts}) == 2
    assert [verdict.adapter for verdict in verdicts] == [item.adapter for item in [*items, *items]]


def test_a_long_text_is_as_bad_as_its_worst_window(base: GPTJ, adapters: dict[str, Path]) -> None:
    """A long text is read completely in overlapping windows, and its verdict is one window's."""
    scorer = Scorer(base)
    scorer.load("c3/v1", adapters["c3/v1"])
    text = " ".join(f"word{n} hello" for n in range(200))
    verdict = scorer.classify([Item(text, "c3/v1")])[0]
    ids, size = base.encode(text), base.window_tokens
    assert verdict.windows == -(-(len(ids) - 32) // (size - 32)) > 2
    temperature = read_manifest(adapters["c3/v1"]).temperature
    starts = [*range(0, len(ids) - size, size - 32), len(ids) - size]
    logits = base.label_logits([base.frame(ids[s : s + size]) for s in starts], "c3/v1")
    assert verdict.harm == pytest.approx(float(1 - (logits / temperature).softmax(-1)[:, 2].min()), abs=1e-5)


def spoil_shape(folder: Path) -> None:
    edit(folder, lora={**json.loads((folder / "manifest.json").read_text())["lora"], "rank": 3})


def spoil_targets(folder: Path) -> None:
    edit(folder, lora={"rank": 2, "alpha": 4.0, "targets": ["q_proj", "lm_head"]})


def spoil_base(folder: Path) -> None:
    edit(folder, base_sha256="0" * 64)


def spoil_prompt(folder: Path) -> None:
    edit(folder, prompt="somethingelse")


def spoil_hash(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def spoil_values(folder: Path) -> None:
    tensors = load((folder / "adapter_model.safetensors").read_bytes())
    tensors["layer.1.attn.q_proj.lora_B"][3, 1] = float("inf")
    write_adapter(folder, read_manifest(folder), save(tensors))


def spoil_norm(folder: Path) -> None:
    tensors = load((folder / "adapter_model.safetensors").read_bytes())
    write_adapter(folder, read_manifest(folder), save({name: tensor * 1e6 for name, tensor in tensors.items()}))


def spoil_type(folder: Path) -> None:
    tensors = load((folder / "adapter_model.safetensors").read_bytes())
    write_adapter(
        folder, read_manifest(folder), save({name: tensor.to(torch.int8) for name, tensor in tensors.items()})
    )


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "spoil",
    [spoil_shape, spoil_targets, spoil_base, spoil_prompt, spoil_hash, spoil_values, spoil_norm, spoil_type],
)
def test_hostile_adapters_are_refused(spoil: object, tmp_path: Path, base: GPTJ) -> None:
    """Wrong shapes, targets, base, prompt, hash, values, size or type are never attached."""
    place = written(tmp_path / "adapter", base, seed=1)
    spoil(place)  # type: ignore[operator]
    with pytest.raises(AdapterRejected):
        Scorer(base).load("bad", place)
    assert "bad" not in base._adapters


def test_each_community_is_answered_by_its_own_norm(base: GPTJ, tmp_path: Path) -> None:
    """With one adapter, each community's norm applies, also to a long text's worst window; a bad norm is refused."""
    folder = written(tmp_path / "a" / "v1", base, seed=3)
    norms = {"relaxed": {"counts_as": {"offensive": "neutral"}, "words": 30, "moderators": 2}}
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "norms": norms}))
    scorer = Scorer(base)
    scorer.load("a/v1", folder)
    long = " ".join(TEXTS[1] for _ in range(60))
    items = [Item(text, "a/v1", community=name) for text in (TEXTS[1], long) for name in ("strict", "relaxed", "")]
    strict, relaxed, alone, worst, worst_relaxed, _ = scorer.classify(items)
    assert worst.windows > 1
    for plain, allowed in ((strict, relaxed), (worst, worst_relaxed)):
        assert allowed.probabilities[Label.OFFENSIVE] == 0 < plain.probabilities[Label.OFFENSIVE]
        assert sum(allowed.probabilities.values()) == pytest.approx(1.0)
    assert relaxed.probabilities[Label.HATE] == strict.probabilities[Label.HATE]
    assert alone.probabilities == relaxed.probabilities  # without a name: the only norm there is
    (folder / "manifest.json").write_text(json.dumps({**manifest, "norms": {"x": {"counts_as": {"neutral": "hate"}}}}))
    with pytest.raises(AdapterRejected, match="not a manifest"):
        Scorer(base).load("a/v1", folder)


def test_own_categories_need_a_base_that_reads(base: GPTJ, folder: Path) -> None:
    """The scorer returns probabilities by category name from the bare base; the embedded model says why it cannot."""
    prompt = category_prompt({"business": "companies and markets", "sport": "", "world news": "abroad"})
    found = Scorer(base).categorise(TEXTS[:2], prompt)
    expected = plain_probabilities(plain_model(folder), base, TEXTS[:2], prompt)
    assert [list(row) for row in found] == [["business", "sport", "world news"]] * 2
    assert torch.allclose(torch.tensor([list(row.values()) for row in found]), expected, atol=1e-5)
    with pytest.raises(ValueError, match="GPT-J"):
        Scorer(open_base("minilm")).categorise(["x"], prompt)


async def test_the_models_process_serves_a_gptj(base: GPTJ, adapters: dict[str, Path]) -> None:
    """The worker gives the same verdict as this process."""
    scorer = Scorer(base)
    scorer.load("c4/v1", adapters["c4/v1"])
    expected = scorer.classify([Item(TEXTS[0], "c4/v1")])[0]
    async with Worker(
        BaseChoice(base.name, adapter_mib=1.0), adapters.__getitem__, threads=1, tries_adapters=False
    ) as worker:
        verdict = (await worker.classify([Item(TEXTS[0], "c4/v1")]))[0]
    assert verdict.harm == pytest.approx(expected.harm, abs=1e-5)
    assert (verdict.base, verdict.prompt) == (base.name, base.prompt)
