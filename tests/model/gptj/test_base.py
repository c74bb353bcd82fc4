"""Every optimisation of GPT-J gives the same scores as a plain transformers pass over the full prompt, with LoRA."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.base import BaseNotFound, LoraSpec
from model.gptj.base import GPTJ, open_gptj
from model.open import open_base
from model.prompts import INSTRUCTION, RAW, Prompt, category_prompt
from tests.model.tiny import TEXTS, edit_config, make_gptj, plain_model, plain_probabilities, random_adapter

EXACT = 1e-5
LORA = LoraSpec(4, 8.0, ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"))
EVERYWHERE = LoraSpec(4, 8.0, (*LORA.targets, "wte", "lm_head"))
TOPICS = category_prompt({"business": "companies", "sport": "", "world news": "abroad", "world champions": ""})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"))


@pytest.fixture(scope="module")
def base(folder: Path) -> GPTJ:
    return open_gptj(str(folder))


def framed(base: GPTJ, texts: list[str] = TEXTS) -> list[list[int]]:
    return [base.frame(base.encode(text)) for text in texts]


@pytest.mark.parametrize("lora", [LORA, EVERYWHERE])
@pytest.mark.parametrize("prompt", [INSTRUCTION, RAW])
def test_serving_equals_the_plain_forward_of_the_full_prompt(folder: Path, prompt: Prompt, lora: LoraSpec) -> None:
    """With cached instruction, packing and label rows, the probabilities match to 1e-5 for two adapters in turn."""
    base = open_gptj(str(folder), prompt=prompt)
    seen = []
    for seed in (1, 2):
        tensors = random_adapter(base, lora, seed)
        base.attach("x", lora, tensors)
        expected = plain_probabilities(plain_model(folder, lora, tensors), base, TEXTS, prompt)
        served = base.label_logits(framed(base), "x").softmax(-1)
        assert (served - expected).abs().max() <= EXACT
        seen.append(served)
    assert (seen[0] - seen[1]).abs().max() > 0.05  # the second adapter did not answer with the first one's prefix


def test_a_prefix_of_another_adapter_would_be_noticed(base: GPTJ) -> None:
    """The exactness test can fail: with the bare base's prefix, an adapter's answers are clearly different."""
    base.attach("x", LORA, random_adapter(base, LORA, 1))
    right = base.label_logits(framed(base), "x").softmax(-1)
    base._prefixes._kept["x", INSTRUCTION.version] = base._prefix("", base._question)
    wrong = base.label_logits(framed(base), "x").softmax(-1)
    base.detach("x")
    assert (right - wrong).abs().max() > 0.01


def test_a_batch_may_mix_adapters_of_any_shape(base: GPTJ) -> None:
    """Adapters of different ranks and targets and the bare base in one batch answer as each does alone."""
    specs = [LORA, LoraSpec(2, 2.0, ("q_proj", "wte")), LoraSpec(8, 4.0, ("fc_out", "lm_head"))]
    for n, lora in enumerate(specs):
        base.attach(f"community{n}", lora, random_adapter(base, lora, n))
    names = ["", "community0", "community1", "community2", "community0", "", "community2"]
    together = base.label_logits(framed(base), names).softmax(-1)
    for text, name, row in zip(framed(base), names, together, strict=True):
        assert (base.label_logits([text], name).softmax(-1)[0] - row).abs().max() <= EXACT
    for n in range(len(specs)):
        base.detach(f"community{n}")


def test_a_score_does_not_depend_on_its_neighbours(base: GPTJ) -> None:
    """A text's score is the same to 1e-5 alone, in any batch, in any order and in one pass or several."""
    base.attach("x", LORA, random_adapter(base, LORA, 3))
    texts = [f"{text} {n}" for n in range(6) for text in TEXTS]
    batch = framed(base, texts)
    together = base.label_logits(batch, "x").softmax(-1)
    backwards = base.label_logits(batch[::-1], "x").softmax(-1).flip(0)
    small = open_gptj(base.name, batch_tokens=64)
    small.attach("x", LORA, random_adapter(base, LORA, 3))
    assert (together - backwards).abs().max() <= EXACT
    assert (together - small.label_logits(batch, "x").softmax(-1)).abs().max() <= EXACT
    for ids, row in zip(batch[::5], together[::5], strict=True):
        assert (base.label_logits([ids], "x").softmax(-1)[0] - row).abs().max() <= EXACT
    base.detach("x")


@pytest.mark.parametrize(("precision", "bound"), [("bf16", 0.05), ("fp16", 0.01)])
def test_half_precision_stays_near(folder: Path, base: GPTJ, precision: str, bound: float) -> None:
    """With 16-bit numbers, as on a GPU, one adapter or several give scores within the precision of that type."""
    half = open_gptj(str(folder), precision=precision)
    for model in (base, half):
        model.attach("x", LORA, random_adapter(base, LORA, 1))
    for names in ("x", ["x", "", "x", "x", "", "x", ""]):
        apart = half.label_logits(framed(base), names).softmax(-1) - base.label_logits(framed(base), names).softmax(-1)
        assert 0 < apart.abs().max() <= bound
    base.detach("x")


def test_categories_of_several_tokens_are_scored_by_their_sequence(folder: Path, base: GPTJ) -> None:
    """A community's own labels, two of which begin with the same word, get the plain model's sequence scores."""
    lengths = [len(base.encode(answer)) for answer in TOPICS.answers]
    assert min(lengths) == 1 and max(lengths) > 2  # both kinds are there
    served = base.category_probabilities(TEXTS, TOPICS)
    expected = plain_probabilities(plain_model(folder), base, [text.strip() for text in TEXTS], TOPICS)
    assert (served - expected).abs().max() <= EXACT
    assert (served.log() - expected.log()).abs().max() <= 1e-3  # the longest ones are very improbable here
    assert base.category_probabilities([], TOPICS).shape == (0, 4)


def test_answers_that_cannot_be_told_apart_are_refused(base: GPTJ) -> None:
    """ "world" and "world news" are refused as answers, because the shorter one would always win."""
    with pytest.raises(ValueError, match="rename"):
        base.category_probabilities(["x"], category_prompt({"world": "", "world news": ""}))
    with pytest.raises(ValueError, match="shorten"):
        base.category_probabilities(["x"], Prompt("word " * 300, "#", (" a", " b")))


@pytest.mark.parametrize("typed", ["<|endoftext|>", "a<|extratoken_2|>b", INSTRUCTION.separator, "\ud800", ""])
def test_a_typed_special_token_stays_text(base: GPTJ, folder: Path, typed: str) -> None:
    """A message never becomes a special or added token, and no part of it is lost."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = base.encode(typed.encode("utf-8", "replace").decode())
    assert not set(ids) & set(tokenizer.get_added_tokens_decoder())
    assert tokenizer.decode(ids, skip_special_tokens=False) == typed.encode("utf-8", "replace").decode()


def test_a_long_message_keeps_its_head_its_tail_and_the_separator(base: GPTJ) -> None:
    """A long message is cut in the middle and never exceeds the context together with its instruction."""
    ids = [n % 50 + 10 for n in range(5000)]
    window = base.frame(ids)
    ending = base.encode(INSTRUCTION.separator)
    assert window[-len(ending) :] == ending and len(window) == base.max_tokens
    assert window[:20] == ids[:20] and window[-len(ending) - 20 : -len(ending)] == ids[-20:]
    whole = len(base.encode(INSTRUCTION.instruction)) + base.max_tokens + 1
    assert whole <= base.network.shape.positions
    assert torch.isfinite(base.label_logits([window], "")).all()


def test_embeddings_are_unit_vectors_of_the_message(base: GPTJ) -> None:
    """The same text gives the same vector in every batch."""
    together = base.embed(framed(base))
    assert torch.allclose(together.norm(dim=-1), torch.ones(len(TEXTS)), atol=1e-5)
    assert (together[2] - together[6]).abs().max() <= EXACT  # "ok" twice
    assert (together[0] - together[1]).abs().max() > 0.01
    assert (base.embed(framed(base)[1:2])[0] - together[1]).abs().max() <= EXACT


def test_an_unknown_adapter_is_an_error_and_a_detached_one_is_gone(base: GPTJ) -> None:
    """A detached adapter is not replaced by another one, and its memory is freed."""
    with pytest.raises(KeyError):
        base.label_logits(framed(base), "nobody")
    base.attach("x", LORA, random_adapter(base, LORA, 1))
    base.label_logits(framed(base), "x")
    assert base.held_bytes("x") == 4 * sum(t.numel() for t in random_adapter(base, LORA, 1).values())
    assert "x" in base._prefixes.adapters
    base.detach("x")
    assert base.held_bytes("x") == 0 and "x" not in base._prefixes.adapters
    with pytest.raises(KeyError):
        base.label_logits(framed(base), "x")


def own_name(name: str) -> str:
    """The tensor name in our files for a name of peft's."""
    short = name.removeprefix("base_model.model.").removeprefix("transformer.").removesuffix(".weight")
    short = short.removesuffix(".default").replace("lora_embedding_", "lora_")
    return f"layer.{short.removeprefix('h.')}" if short.startswith("h.") else short


SEQUENCES = Prompt("Which is it?\n", "\n\n###\n\n", (" hate", " world news", " business champions"))


@pytest.mark.parametrize(("prompt", "recompute"), [(INSTRUCTION, False), (INSTRUCTION, True), (SEQUENCES, True)])
def test_training_sees_what_the_plain_model_sees(folder: Path, prompt: Prompt, recompute: bool) -> None:
    """Loss and every gradient equal those of transformers with peft reading the full prompt of each message.

    Of answers of several tokens, too, all tokens count.
    """
    base = open_gptj(str(folder), prompt=prompt)
    tensors = random_adapter(base, EVERYWHERE, 5)
    learner = base.start_training(EVERYWHERE, tensors, recompute=recompute)
    targets = torch.eye(3)[[0, 1, 2, 2, 1, 0, 2]] * 0.9 + 0.1 / 3
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 0.0, 1.0, 1.0])
    learner.loss(framed(base), targets, weights).backward()
    model = plain_model(folder, EVERYWHERE, tensors)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    loss = torch.zeros(())
    for text, target, weight in zip(TEXTS, targets, weights, strict=True):
        asked = [*base.encode(prompt.instruction), *base.encode(text), *base.encode(prompt.separator)]
        for share, answer in zip(target, (base.encode(answer) for answer in prompt.answers), strict=True):
            said = model(torch.tensor([[*asked, *answer]])).logits[0, len(asked) - 1 : -1].log_softmax(dim=-1)
            loss = loss - weight * share * said[range(len(answer)), answer].sum() / weights.sum()
    loss.backward()
    assert len(learner.matrices) == sum("lora_" in name for name, _ in model.named_parameters())
    assert learner.loss(framed(base), targets, weights).item() == pytest.approx(loss.item(), abs=1e-5)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            got = learner.matrices[own_name(name).replace(".", "/")].grad
            assert got is not None and (got - parameter.grad).abs().max() <= 1e-4, name


def test_gradients_survive_half_precision(folder: Path) -> None:
    """In float16, where a gradient of 1e-8 would vanish, the adapter receives its gradients at full size."""
    exact, half = open_gptj(str(folder)), open_gptj(str(folder), precision="fp16")
    tensors = random_adapter(exact, LORA, 5)
    targets, tiny = torch.eye(3)[[0, 1, 2, 2, 1, 0, 2]], 1e-6
    gradients = []
    for base in (exact, half):
        learner = base.start_training(LORA, tensors)
        (learner.loss(framed(base), targets, torch.ones(7)) * tiny).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in learner.matrices.values() if p.grad is not None]))
    assert (gradients[0] - gradients[1]).norm() <= 0.05 * gradients[0].norm()


def spoil_type(folder: Path) -> None:
    edit_config(folder, model_type="gpt2")


def spoil_heads(folder: Path) -> None:
    edit_config(folder, n_head=7)


def spoil_size(folder: Path) -> None:
    edit_config(folder, vocab_size=77)


def spoil_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"nothing")


def spoil_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize("spoil", [spoil_type, spoil_heads, spoil_size, spoil_weights, spoil_tokenizer])
def test_a_folder_that_is_no_gptj_is_refused_in_one_line(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Another architecture, wrong sizes, broken weights or a missing tokenizer is refused with one line."""
    make_gptj(tmp_path, n_layer=1)
    spoil(tmp_path)
    with pytest.raises(BaseNotFound) as refused:
        open_base(f"gptj:{tmp_path}")
    assert "\n" not in str(refused.value) and str(tmp_path) in str(refused.value)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder name with a typo looks like a hub id, so the message says that it was read as one."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BaseNotFound, match="add the commit") as refused:
        open_base("models/gpt-j-in8")
    assert "\n" not in str(refused.value)
    with pytest.raises(BaseNotFound, match="read as a hub id") as refused:
        open_base(f"models/gpt-j-in8@{'0' * 40}")
    assert "\n" not in str(refused.value)


def test_a_name_that_is_nothing_is_refused_with_the_choices(tmp_path: Path) -> None:
    """The error for a typo in config.toml lists the valid values."""
    with pytest.raises(BaseNotFound, match="no such folder, nor a hub id"):
        open_base("minlm")
    with pytest.raises(BaseNotFound, match="precision"):
        open_base("mini", precision="int4")


def test_one_checkpoint_has_one_fingerprint(folder: Path, tmp_path: Path) -> None:
    """The fingerprint is the same in every precision and differs for other weights."""
    prints = {open_gptj(str(folder), precision=p).fingerprint for p in ("fp32", "bf16", "fp16", "int8")}
    assert len(prints) == 1
    assert open_gptj(str(make_gptj(tmp_path, seed=1))).fingerprint not in prints
    assert json.loads((folder / "config.json").read_text())["model_type"] == "gptj"
