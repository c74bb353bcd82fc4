"""The article's table on a base and data small enough for a test."""

import argparse
import csv
import json
from pathlib import Path

import pytest
import torch

from model.base import LoraSpec
from model.gptj.base import open_gptj
from model.labels import Label
from tests.model.tiny import make_gptj
from training import compare
from training.adapter_shape import add_shape_options, read_shape
from training.training_loop import compute_training_logits

WORDS = {Label.HATE: "red", Label.OFFENSIVE: "green", Label.NEUTRAL: "blue"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"), n_layer=1, n_positions=512)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    with path.open("w", newline="") as file:
        rows = [(f"{word} {n}", label) for label, word in WORDS.items() for n in range(40)]
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def test_every_way_is_in_the_table(folder: Path, data: Path, tmp_path: Path) -> None:
    """The table has both prompts and five methods with trained parameters, and the plots and figures are written."""
    out = tmp_path / "out"
    options = ["--base", str(folder), "--data", str(data), "--out", str(out), "--epochs", "1", "--rank", "2"]
    assert compare.main(options) == 0
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert [(row["method"].split(",")[0], row["prompt"]) for row in rows] == [
        ("zero-shot (instruction)", "instruction"),
        ("few-shot", "instruction"),
        *((method, prompt) for prompt in ("instruction", "raw text") for method in
          ("layer norms only", "LoRA on attention", "LoRA on all linears", "LoRA on all linears")),
    ]  # fmt: skip
    trained = {row["method"]: row["trained"] for row in rows}
    hidden, vocabulary = 64, open_gptj(str(folder)).network.shape.vocabulary
    assert trained["layer norms only"] == 4 * hidden
    assert trained["LoRA on attention"] == 4 * 2 * 2 * hidden
    assert trained["LoRA on all linears"] == 4 * 2 * 2 * hidden + 2 * 2 * (hidden + 4 * hidden)
    ends = trained["LoRA on all linears, embedding and head"] - trained["LoRA on all linears"]
    assert ends == 2 * 2 * (hidden + vocabulary)
    assert (out / "table.md").read_text().count("\n") == len(rows) + 2
    page = (out / "report.html").read_text()
    assert page.count("<img") == len(rows) + 1


def test_the_embedded_base_compares_sentences(data: Path, tmp_path: Path) -> None:
    """The embedded base compares texts with descriptions and examples, and LoRA learns colours."""
    out = tmp_path / "out"
    assert compare.main(["--base", "minilm", "--data", str(data), "--out", str(out), "--epochs", "4"]) == 0
    rows = {row["method"]: row for row in json.loads((out / "results.json").read_text())["rows"]}
    assert len(rows) == 5 and rows["LoRA on all linears"]["accuracy"] > 0.9
    assert rows["layer norms only"]["trained"] < rows["LoRA on all linears"]["trained"] / 2


def test_untouched_norms_answer_as_the_base_does(folder: Path) -> None:
    """Before the first step, trainable copies of the norms change nothing."""
    base = open_gptj(str(folder))
    texts = ["hello there", "red 1"]
    learner = base.start_norm_training()
    expected = base.label_logits([base.frame(base.encode(text)) for text in texts], "")
    found = compute_training_logits(base, learner, texts)
    assert torch.allclose(found.log_softmax(-1), expected.log_softmax(-1), atol=1e-4)


def test_a_rank_that_does_not_fit_is_one_line(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and it names the rank."""
    options = ["--base", str(folder), "--data", str(data), "--out", str(tmp_path / "out"), "--rank", "9999"]
    assert compare.main(options) == 2 and "9999" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("rank = 9999", "LoRA rank 9999"),
        ('rank = "two"', "lora.rank"),
        ('on = "heads"', 'on = "heads"'),
        ("ranks = 2", '"lora.ranks"'),
        ("rank 2", "not TOML"),
    ],
)
def test_a_bad_shape_in_the_configuration_is_one_line(
    section: str, expected: str, folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and it names the file and the key."""
    config = tmp_path / "config.toml"
    config.write_text(f"[lora]\n{section}\n")
    options = ["--base", str(folder), "--data", str(data), "--out", str(tmp_path / "out"), "--config", str(config)]
    assert compare.main(options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line and str(config) in line


def test_the_configuration_says_the_shape_and_the_command_line_overrides_it(folder: Path, tmp_path: Path) -> None:
    """Zero in the file, or a missing file, gives the base's default."""
    config = tmp_path / "config.toml"
    config.write_text('[lora]\nrank = 2\non = "everything"\n')
    base = open_gptj(str(folder))
    parser = argparse.ArgumentParser()
    add_shape_options(parser)

    def shape(*options: str) -> LoraSpec:
        return read_shape(parser.parse_args([*options]), base)

    everything = (*base.default_lora.targets, "wte", "lm_head")
    assert shape("--config", str(config)) == LoraSpec(2, 4.0, everything)
    attention = ("q_proj", "k_proj", "v_proj", "out_proj")
    assert shape("--config", str(config), "--rank", "4", "--alpha", "1", "--on", "attention") == LoraSpec(
        4, 1.0, attention
    )
    config.write_text("[lora]\nrank = 0\nalpha = 0.0\n")
    assert shape("--config", str(config)) == shape("--config", str(tmp_path / "none.toml")) == base.default_lora
