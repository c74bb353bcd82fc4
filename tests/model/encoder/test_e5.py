"""The base for other languages: its file, its tokenizer, serving equals training, a score ignores its neighbours."""

import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from model.base import BaseNotFound, ReadsSpans
from model.classifier import AdapterRejected, Item
from model.encoder import e5
from model.encoder.base import verified, weights_file
from model.encoder.e5 import E5, WEIGHTS_FILE, WEIGHTS_PACKAGE, WEIGHTS_SHA256
from model.encoder.q4_file import Q4File, decode, read_q4_file
from model.labels import LABELS
from model.open import open_base
from model.serving.scorer import Scorer
from tests.model.encoder.test_minilm import (
    spoil_base,
    spoil_hash,
    spoil_manifest,
    spoil_names,
    spoil_shape,
    spoil_values,
)

TEXTS = ["hallo", "ты дурак, и я не хочу тебя здесь больше видеть", "ok", "a b c " * 30, "أهلا وسهلا"]
SENTENCES = [
    "Ich hasse Montage und Regen.",
    "Привет, как дела?",
    "مرحبا بالعالم، كيف الحال؟",
    "¿Quién viene al cine esta noche?",
    "Où est la bibliothèque ?",
    "Não acho o carregador",
    "Gdzie jest szkoła?",
    "Il treno è di nuovo in ritardo",
    "Waar is mijn oplader gebleven",
    "今日はいい天気ですね",
    "안녕하세요 여러분",
    "हम कल मिलेंगे",
    "ქართული ენა",
    "x" * 300,
    "😂😂 kkkkk!!! 100%",
]


@pytest.fixture(scope="module")
def exact() -> E5:
    base = open_base("e5", precision="fp32")
    assert isinstance(base, E5)
    return base


@pytest.fixture(scope="module")
def file() -> Q4File:
    path = weights_file(WEIGHTS_PACKAGE, WEIGHTS_FILE, WEIGHTS_PACKAGE)
    return read_q4_file(path.read_bytes(), E5.shape, torch.device("cpu"))


@pytest.fixture(scope="module")
def adapter(exact: E5, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained adapter with every LoRA matrix active."""
    from training.train import TrainedAdapter, save_adapter
    from training.training_loop import Recipe, TrainingHistory

    folder = tmp_path_factory.mktemp("adapter")
    trained = TrainedAdapter(_active_adapter(exact), exact.default_lora, TrainingHistory())
    save_adapter(folder, exact, trained, [], Recipe(), 1.0, {})
    return folder


def _active_adapter(base: E5) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    learner = base.start_training(base.default_lora)
    for name, parameter in learner.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return learner.adapter_state()


def test_the_tokenizer_gives_the_ids_of_the_library(exact: E5, file: Q4File) -> None:
    """The ids equal those of `tokenizers` with the same vocabulary, in a dozen languages."""
    reference = Tokenizer(models.Unigram(file.vocabulary, unk_id=e5.UNKNOWN))
    reference.pre_tokenizer = pre_tokenizers.Metaspace()
    for text in SENTENCES:
        assert exact.encode(text) == reference.encode(text, add_special_tokens=False).ids, text


def test_a_piece_knows_where_it_begins(exact: E5) -> None:
    """The characters are those of the text as given, also where the tokenizer replaces some."""
    for text in [*SENTENCES, "ﬁne ㎏ ½ of it", "\u200bab  cd"]:
        ids, starts = exact.encode_with_starts(text)
        assert len(ids) == len(starts) and starts == sorted(starts) and all(0 <= s < len(text) for s in starts)
    ids, starts = exact.encode_with_starts("ﬁne day")
    assert ids == exact.encode("fine day") and starts[-1] == len("ﬁne ")


def test_serving_equals_transformers_with_peft(exact: E5) -> None:
    """Merged, unpadded float32 serving equals the peft model with every LoRA matrix active."""
    state = _active_adapter(exact)
    learner = exact.start_training(exact.default_lora, state)
    learner.eval()
    learner._bfloat16 = False
    exact.attach("x", exact.default_lora, state)
    batch = [exact.frame(exact.encode(text)) for text in TEXTS]
    with torch.no_grad():
        expected = learner.label_logits(batch).softmax(-1)
    served = exact.label_logits(batch, "x").softmax(-1)
    assert (served - expected).abs().max() <= 1e-5


def test_the_embeddings_are_those_of_the_model(exact: E5) -> None:
    """A sentence is nearer to its translation than to another sentence, and unlike what is about something else."""
    texts = ["where is the library?", "где находится библиотека?", "my cat is asleep", "meine Katze schläft"]
    vectors = exact.embed([exact.frame(exact.encode(text)) for text in texts])
    near = vectors @ vectors.T
    assert near[0, 1] > near[0, 3] and near[2, 3] > near[1, 2]
    assert near[0, 2] < 0.4 and near[1, 3] < 0.4 < near[0, 1]
    assert torch.allclose(near.diagonal(), torch.ones(4), atol=1e-5)


def test_a_score_does_not_depend_on_its_neighbours(exact: E5, adapter: Path) -> None:
    """A text's probabilities are the same to 1e-5 alone and in a batch of other lengths."""
    scorer = Scorer(exact)
    scorer.load("s", adapter)
    together = scorer.classify([Item(text, "s") for text in TEXTS])
    for text, verdict in zip(TEXTS, together, strict=True):
        alone = scorer.classify([Item(text, "s")])[0]
        assert all(abs(alone.probabilities[label] - verdict.probabilities[label]) <= 1e-5 for label in LABELS)


def test_8_bit_products_change_little(exact: E5, adapter: Path) -> None:
    """They stay near the exact logits and take a third of the memory."""
    rounded = E5(precision="int8")
    for base in (exact, rounded):
        Scorer(base).load("s", adapter)
    batch = [exact.frame(exact.encode(text)) for text in TEXTS]
    assert (rounded.label_logits(batch, "s") - exact.label_logits(batch, "s")).abs().max() <= 0.1
    assert rounded.held_bytes("s") < exact.held_bytes("s") / 3


def test_a_span_of_everything_is_the_whole(exact: E5) -> None:
    """Spans are read in the same pass: one over all tokens differs from the whole only by the frame's two tokens."""
    assert isinstance(exact, ReadsSpans)
    exact.attach("x", exact.default_lora, _active_adapter(exact))
    ids = exact.encode("сегодня хорошая погода, пойдём гулять")
    whole, span = exact.span_logits([exact.frame(ids)], [[(0, len(ids))]], "x")[0]
    assert torch.allclose(whole, exact.label_logits([exact.frame(ids)], "x")[0], atol=1e-5)
    assert (whole - span).abs().max() < 1


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * 100_000, "a " * 50_000, "z\u0335\u0322" * 5000, "<s> </s> <mask>", "\ud800", "\u2581"]
)
def test_any_text_gets_probabilities(text: str, exact: E5, adapter: Path) -> None:
    """Empty, very long, zalgo, special-token and surrogate texts give three numbers that sum to one."""
    scorer = Scorer(exact)
    scorer.load("s", adapter)
    verdict = scorer.classify([Item(text, "s")])[0]
    assert abs(sum(verdict.probabilities.values()) - 1) < 1e-5


def test_a_typed_special_token_stays_text(exact: E5) -> None:
    """A typed special token cannot end the sequence, and is not left out either."""
    ids = exact.encode("<s> </s> <pad> <unk> <mask>")
    assert ids and not set(ids) & {e5.BEGIN, e5.PAD, e5.END, e5.UNKNOWN, 250_001}


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """A file with another hash is not read."""
    (tmp_path / WEIGHTS_FILE).write_bytes(b"E5S1 something else")
    with pytest.raises(BaseNotFound, match="SHA-256"):
        verified(tmp_path / WEIGHTS_FILE, WEIGHTS_SHA256, WEIGHTS_PACKAGE)
    with pytest.raises(ValueError, match="E5S1"):
        read_q4_file(b"something else", E5.shape, torch.device("cpu"))


def test_blocks_are_decoded() -> None:
    """A number is the scale times four bits less eight; the lower halves come first."""
    block = torch.tensor([2.0], dtype=torch.float16).view(torch.uint8).tolist() + [0x0F] + [0x88] * 14 + [0xF0]
    numbers = decode(torch.tensor(block, dtype=torch.uint8))
    assert numbers.tolist() == [14.0, *[0.0] * 14, -16.0, -16.0, *[0.0] * 14, 14.0]


@pytest.mark.parametrize("spoil", [spoil_hash, spoil_base, spoil_shape, spoil_values, spoil_names, spoil_manifest])
def test_hostile_adapters_are_refused(spoil: object, tmp_path: Path, exact: E5, adapter: Path) -> None:
    """Wrong hash, base, shapes, values, names or manifest are refused with the place of the error."""
    folder = tmp_path / "adapter"
    shutil.copytree(adapter, folder)
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(AdapterRejected):
        Scorer(exact).load("bad", folder)
