"""The worker and the commands refuse an adapter that is wrong about plain texts."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from model.adapters import canaries
from model.adapters.registry import SHIPPED, SHIPPED_FOLDER, Registry, read_manifest, read_weights, write_adapter
from model.classifier import AdapterRejected, Item
from model.labels import LABELS, Label
from model.open import open_base
from model.serving.scorer import Scorer, attach_adapter
from model.serving.worker import Worker

HATE, OFFENSIVE, NEUTRAL = range(3)
Spoil = Callable[[Mapping[str, Tensor]], None]


def made(folder: Path, spoil: Spoil, **changes: object) -> Path:
    """A copy of the shipped adapter with other weights and a correct manifest."""
    folder.mkdir(parents=True)
    manifest = replace(read_manifest(SHIPPED), version=folder.name, **changes)  # type: ignore[arg-type]
    tensors = {name: tensor.clone() for name, tensor in load(read_weights(SHIPPED, read_manifest(SHIPPED))).items()}
    spoil(tensors)
    write_adapter(folder, manifest, save(tensors))
    return folder


def leaning(label: int, by: float = 60.0) -> Spoil:
    def spoil(tensors: Mapping[str, Tensor]) -> None:
        tensors["head.out.bias"][label] += by

    return spoil


def norm_9999(tensors: Mapping[str, Tensor]) -> None:
    tensors["head.out.bias"].copy_(torch.tensor([9999.0, 0.0, 0.0]))


def upside_down(tensors: Mapping[str, Tensor]) -> None:
    for name in ("head.out.weight", "head.out.bias"):
        tensors[name].copy_(tensors[name].flip(0))


def nothing(tensors: Mapping[str, Tensor]) -> None:
    for tensor in tensors.values():
        tensor.zero_()


HOSTILE: dict[str, tuple[Spoil, str]] = {
    "calls greetings hate": (leaning(HATE), "12 of 12 plain greetings"),
    "calls greetings offensive": (leaning(OFFENSIVE), "12 of 12 plain greetings"),
    "calls hate neutral": (leaning(NEUTRAL), "12 of 12 plainly hateful texts neutral"),
    "norm 9,999": (norm_9999, "12 of 12 plain greetings"),
    "labels upside down": (upside_down, "plain greetings"),
    "all zeros": (nothing, "plain greetings"),
}


@pytest.mark.parametrize("name", ["minilm", "mini"])
def test_the_shipped_adapters_pass(name: str) -> None:
    """The shipped adapters pass the canaries with at most half of the allowed errors."""
    base = open_base(name)
    manifest = attach_adapter(base, "x", SHIPPED_FOLDER / name)
    flagged, missed = canaries.count_errors(base, "x", manifest.temperature)
    assert flagged <= canaries.MAX_FLAGGED / 2 and missed <= canaries.MAX_MISSED / 2
    canaries.check(base, "x", manifest, SHIPPED)


async def test_hostile_adapters_are_refused_by_the_models_process(tmp_path: Path) -> None:
    """Each broken adapter is refused with a line that says why, and the process goes on with the shipped one."""
    folders = {f"global/v{n}": made(tmp_path / f"v{n}", spoil) for n, (spoil, _) in enumerate(HOSTILE.values())}
    async with Worker("minilm", (folders | {"global/shipped": SHIPPED}).__getitem__, threads=1) as worker:
        for adapter, (_, said) in zip(folders, HOSTILE.values(), strict=True):
            for _ in range(2):  # refused again, not attached meanwhile
                with pytest.raises(AdapterRejected, match=said):
                    await worker.classify([Item("hello", adapter)])
        (verdict,) = await worker.classify([Item("hello", "global/shipped")])
        assert verdict.label is Label.NEUTRAL and worker.restarts == 0


@pytest.mark.parametrize("name", ["calls greetings hate", "norm 9,999", "calls hate neutral"])
def test_hostile_adapters_are_not_promoted(tmp_path: Path, name: str) -> None:
    """The promote command says why and changes nothing, globally and for a community."""
    spoil, said = HOSTILE[name]
    for scope in ("global", "c-town"):
        registry = Registry(tmp_path / "adapters", SHIPPED)
        before = registry.current(scope)
        made(registry.root / scope / "bad", spoil)
        command = [sys.executable, "-W", "ignore", "-m", "training.promote", "bad", "--scope", scope]
        done = subprocess.run([*command, "--adapters", str(registry.root)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and said in " ".join(done.stderr.split()) and done.stderr.count("error:") == 1
        assert registry.current(scope) == before


def test_a_community_that_reclaims_words_keeps_its_adapter(tmp_path: Path) -> None:
    """An adapter whose community allows much, by norm and weights, still passes."""
    norms = {"town": {"counts_as": {"hate": "offensive", "offensive": "neutral"}, "words": 40, "moderators": 3}}
    folder = made(tmp_path / "v1", leaning(NEUTRAL, 0.8), norms=norms)
    scorer = Scorer(open_base("minilm"), tries_adapters=True)
    scorer.load("c-town/v1", folder)
    (verdict,) = scorer.classify([Item("you stupid idiot", "c-town/v1", community="town")])
    assert verdict.label is Label.NEUTRAL


def test_an_adapter_that_was_detached_is_tried_again_if_its_files_changed(tmp_path: Path) -> None:
    """An adapter that passed is known by its weights, not by its name."""
    scorer = Scorer(open_base("minilm"), tries_adapters=True)
    folder = made(tmp_path / "v1", lambda tensors: None)
    scorer.load("x", folder)
    scorer.base.detach("x")
    scorer._loaded["x"].attached = False
    shutil.rmtree(folder)
    made(folder, leaning(HATE))
    with pytest.raises(AdapterRejected, match="greetings"):
        scorer.classify([Item("hello", "x")])
    assert "x" not in scorer.base._heads  # type: ignore[attr-defined]


def test_no_text_of_the_set_was_trained_on() -> None:
    """No canary is a training text, else the canaries would say nothing about an adapter."""
    from training.samples import read_held_out, read_replay

    known = {example.text.strip().lower() for part in (read_replay(), *read_held_out()) for example in part}
    assert not known & {text.lower() for text in (*canaries.GREETINGS, *canaries.HATE)}
    assert len(set(canaries.GREETINGS)) == len(set(canaries.HATE)) == 12 and len(LABELS) == 3
