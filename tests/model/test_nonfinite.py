"""Scores that are not finite are unscorable where they are made and where they are received, never neutral."""

import math
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from model.adapters.registry import SHIPPED, Manifest, write_adapter
from model.base import LoraSpec
from model.calibration import fit_temperature
from model.classifier import AdapterRejected, Item, Unscorable, Verdict
from model.gptj.base import open_gptj
from model.labels import Label
from model.serving.scorer import Scorer
from model.serving.worker import Worker
from tests.model.tiny import make_gptj, random_adapter

NUMBERS = (math.nan, math.inf, -math.inf, 1e300, -1.0, True, None, "0.5")
OVERFLOW = "kumquat"


@pytest.mark.parametrize("number", NUMBERS, ids=str)
@pytest.mark.parametrize("label", list(Label))
def test_there_is_no_verdict_with_such_a_probability(label: Label, number: float) -> None:
    """A verdict with NaN is refused, because NaN is below every threshold."""
    shares = {**dict.fromkeys(Label, 1 / 3), label: number}
    with pytest.raises(ValueError, match="are not probabilities"):
        Verdict(shares, "stub", "global/stub")
    with pytest.raises(ValueError, match="are not probabilities"):
        Verdict(dict.fromkeys(Label, 1 / 3), "stub", "global/stub", categories={"spam": number})


def test_finite_weights_whose_scores_overflow(tmp_path: Path) -> None:
    """An adapter with huge valid weights makes only its own texts unscorable; the canaries refuse it."""
    base = open_gptj(str(make_gptj(tmp_path / "gptj", n_layer=2)))
    lora = LoraSpec(2, 10_000.0, ("q_proj", "v_proj", "fc_in", "fc_out"))
    for name, scale in (("sound", 0.1), ("bent", 9999.0)):
        tensors = {n: t * scale / t.norm() for n, t in random_adapter(base, lora, seed=1).items()}
        (tmp_path / name).mkdir()
        manifest = Manifest(base.name, base.fingerprint, base.prompt, name, "2026-01-01", lora.to_json(), 1.0, {})
        write_adapter(tmp_path / name, manifest, save(tensors))
    scorer = Scorer(base)
    for name in ("sound", "bent"):
        scorer.load(name, tmp_path / name)
    items = [Item("hello", "sound"), Item("hello", "bent"), Item("good day", "sound"), Item("bye", "bent")]
    with pytest.raises(Unscorable, match="not finite") as raised:
        scorer.classify(items)
    assert raised.value.places == {1, 3}
    assert all(math.isfinite(verdict.harm) for verdict in scorer.classify([items[0], items[2]]))
    with pytest.raises(AdapterRejected, match="not finite"):
        Scorer(base, tries_adapters=True).load("bent", tmp_path / "bent")
    assert "bent" not in base._adapters


_SCRIPT = f"""
import os, runpy, sys
import torch
sys.path.insert(0, os.getcwd())
from model.encoder import minilm

label_logits, span_logits = minilm.MiniLM.label_logits, minilm.MiniLM.span_logits

def overflow(base, batch, logits):
    logits, word = [row.clone() for row in logits], base.encode({OVERFLOW!r})
    for row, ids in enumerate(batch):
        if word == list(ids)[1:1 + len(word)]:
            logits[row].view(-1, 3)[0, 2] = float("inf")
    return logits

def overflowing(base, batch, adapter):
    return torch.stack(overflow(base, batch, label_logits(base, batch, adapter)))

def overflowing_spans(base, batch, spans, adapter):
    return overflow(base, batch, span_logits(base, batch, spans, adapter))

minilm.MiniLM.label_logits, minilm.MiniLM.span_logits = overflowing, overflowing_spans
runpy.run_module("model.serving.worker", run_name="__main__")
"""


async def test_one_text_that_overflows_in_the_real_process(tmp_path: Path) -> None:
    """Only the text with NaN is unscorable, also in one window alone, and the process lives on."""
    script = tmp_path / "overflow.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    async with Worker("minilm", lambda _: SHIPPED, threads=1, attempts=1) as worker:
        python, _, _, *arguments = worker._command
        worker._command = [python, str(script), *arguments]
        await worker.restart()
        texts = ["hello", OVERFLOW, "you moron", OVERFLOW + " and " * 600]
        with pytest.raises(Unscorable, match="not finite") as raised:
            await worker.classify([Item(text, "global/shipped") for text in texts])
        assert raised.value.places == {1, 3}
        hello, rude = await worker.classify([Item(text, "global/shipped") for text in (texts[0], texts[2])])
        assert hello.label is Label.NEUTRAL and rude.label is not Label.NEUTRAL and worker.restarts == 0


_LIES = """
import json, sys
for line in sys.stdin:
    items = json.loads(line)["items"]
    rows = [text.split(",") if "," in text else ["0.1", "0.1", "0.8"] for text, *_ in items]
    told = ", ".join('{"probabilities": [%s], "base": "x", "adapter": "y"}' % ", ".join(row) for row in rows)
    print('{"verdicts": [%s]}' % told, flush=True)
"""


@pytest.mark.parametrize(
    "row", ["NaN,0,0", "0,Infinity,0", "0,0,-Infinity", "1e999,0,0", "null,0,1", '"1",0,0', "7,0,0"]
)
async def test_a_process_that_answers_with_no_probabilities(row: str) -> None:
    """The parent refuses invalid probabilities of its child and keeps the other texts' verdicts."""
    async with Worker("minilm", lambda _: SHIPPED, attempts=1) as worker:
        worker._command = [sys.executable, "-c", _LIES, "--threads", "1"]
        await worker.restart()
        with pytest.raises(Unscorable) as raised:
            await worker.classify([Item("hello", "y"), Item(row, "y"), Item("bye", "y")])
        assert raised.value.places == {1}
        assert (await worker.classify([Item("hello", "y")]))[0].label is Label.NEUTRAL


def test_no_temperature_is_fitted_to_scores_that_are_none() -> None:
    """Scores that are not finite raise an error, else the first candidate would look best."""
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature(torch.tensor([[math.nan, 0.0, 1.0]]), torch.tensor([0]))
