"""Pretraining `mini`: without Davidson's texts, with single-token labels, and with exact fast scoring."""

import csv
import gzip
import io
import random
from pathlib import Path

import pytest
import torch
from transformers import GPT2Tokenizer

from model.labels import Label
from model.prompts import INSTRUCTION, RAW, Prompt
from training import pretrain
from training.corpus import PostedTextStyle, read_corpus
from training.examples import Example
from training.pretraining_stages import Stage, answer_logits, draw_evenly, message_ids, new_model
from training.vocabulary import make_vocabulary

SENTENCES = [f"the {a} {b} {c} today" for a in ("red", "old", "loud") for b in ("dog", "car") for c in ("sings", "is")]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> GPT2Tokenizer:
    return make_vocabulary(SENTENCES * 20, 300, tmp_path_factory.mktemp("vocabulary"))


def write_data(folder: Path) -> None:
    """A small folder for `--data`."""
    rows = {
        "davidson.csv": [("text", "label"), ("You ARE a test text", "offensive")],
        "seed_train.csv": [("text", "label"), ("another test text", "hate")],
        "public_mix.csv.gz": [("source", "label", "text"), ("a", "neutral", "you are a test text")]
        + [(f"source {n % 4}", list(Label)[n % 3], f"{text} {n}") for n, text in enumerate(SENTENCES * 60)],
    }
    for name, lines in rows.items():
        text = io.StringIO()
        csv.writer(text).writerows(lines)
        content = text.getvalue().encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with gzip.open(folder / "lm_text.txt.gz", "wt") as file:
        file.write("Another test  text\nhello\tthere\n")


def test_davidsons_texts_are_left_out_everywhere(tmp_path: Path) -> None:
    """Davidson's texts are excluded despite other case or spacing, also from unlabelled texts."""
    write_data(tmp_path)
    corpus = read_corpus(tmp_path)
    assert corpus.plain == ["hello there"]
    assert all("test text" not in example.text for example in [*corpus.labelled, *corpus.held_out])
    assert corpus.held_out and not {e.key for e in corpus.held_out} & {e.key for e in corpus.labelled}


def test_labels_are_single_tokens_and_the_last_token_ends_a_text(tokenizer: GPT2Tokenizer) -> None:
    """Each label is one token, and a typed end of text stays text."""
    assert [len(tokenizer.encode(answer)) for answer in INSTRUCTION.answers] == [1, 1, 1]
    assert tokenizer.eos_token_id == len(tokenizer) - 1 == 299
    assert max(message_ids(tokenizer, "<|endoftext|> hello")) < 299


@pytest.mark.parametrize("prompt", [INSTRUCTION, RAW])
def test_the_shared_instruction_changes_nothing(prompt: Prompt, tokenizer: GPT2Tokenizer) -> None:
    """Logits and gradients equal those of each full prompt alone."""
    model = new_model(len(tokenizer), seed=3)
    messages = [message_ids(tokenizer, text) for text in ("the red dog", "hi", "the loud car sings " * 40)]

    def gradient(logits: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        logits.logsumexp(-1).sum().backward()
        return model.transformer.h[2].attn.k_proj.weight.grad.clone()

    parts = tokenizer.encode(prompt.instruction), tokenizer.encode(prompt.separator)
    plain = torch.cat([model(torch.tensor([[*parts[0], *ids, *parts[1]]])).logits[:, -1] for ids in messages])
    shared = answer_logits(model, tokenizer, prompt, messages)
    assert (shared - plain).abs().max() < 1e-5
    assert torch.allclose(gradient(shared), gradient(plain), atol=1e-5)


def test_labels_and_sources_are_drawn_evenly() -> None:
    """Rare labels are drawn as often as common ones, and small sources are represented."""
    rows = [("neutral", "big")] * 900 + [("neutral", "small")] * 100 + [("hate", "big")] * 50 + [("offensive", "x")] * 9
    examples = [Example(str(n), Label(label), source) for n, (label, source) in enumerate(rows)]
    drawn = [examples[i] for i in draw_evenly(examples, 300, random.Random(1))]
    counts = {label: sum(e.label is label for e in drawn) for label in Label}
    assert len(drawn) == 300 and all(98 <= count <= 102 for count in counts.values())
    assert sum((e.label, e.source) == ("neutral", "small") for e in drawn) == pytest.approx(25, abs=1)


def test_masked_names_stand_again() -> None:
    """Most masked mentions get a made-up name, and the rest of the text stays."""
    styled = PostedTextStyle(SENTENCES, seed=1)
    texts = [styled("@user hello &amp; welcome URL") for _ in range(50)]
    assert all("hello & welcome" in text for text in texts)
    assert 5 < sum("@user" in text for text in texts) < 35


def test_both_stages_leave_a_model_that_transformers_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls on a few rows write half-precision weights, tokenizer and manifest."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    write_data(tmp_path)
    monkeypatch.setattr(pretrain, "VOCABULARY_TOKENS", 320)
    monkeypatch.setattr(pretrain, "LANGUAGE_STAGE", Stage(3, 4, 1e-3))
    monkeypatch.setattr(pretrain, "LABEL_STAGE", Stage(3, 4, 1e-3))
    monkeypatch.setattr(pretrain, "TEMPLATE_SENTENCES", 50)
    monkeypatch.setattr(pretrain, "TESTED_PER_LABEL", 8)
    where = ["--data", str(tmp_path), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "mini")]
    assert pretrain.main([*where, "--stage", "labels"]) == 2
    assert pretrain.main([*where, "--stage", "language"]) == 0
    assert pretrain.main([*where, "--stage", "labels"]) == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "mini")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "mini")
    assert model.dtype == torch.float16 and model.config.model_type == "gptj"
    assert len(tokenizer.encode(" offensive")) == 1
    assert (tmp_path / "mini" / "manifest.json").stat().st_size > 500
