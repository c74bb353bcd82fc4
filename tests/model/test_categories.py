"""A community's own categories are scored through the instruction, in the same request as the labels."""

from pathlib import Path

import pytest

from model.adapters.registry import SHIPPED
from model.choice import BaseChoice
from model.classifier import Item
from model.gptj.base import GPTJ, open_gptj
from model.open import open_base
from model.prompts import category_prompt
from model.serving.scorer import Scorer
from model.serving.two_stages import TwoStages
from model.serving.worker import Worker
from tests.conftest import StubClassifier
from tests.model.adapters.test_adapters_in_use import written
from tests.model.tiny import make_gptj, plain_model, plain_probabilities

NEWS = (("business", "money and firms"), ("sport", "games and matches"), ("world", ""))
CHAT = (("sport", ""), ("news", ""))
TEXTS = ["a b c", "hello there", "you are a complete idiot"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"), n_layer=2)


@pytest.fixture(scope="module")
def base(folder: Path) -> GPTJ:
    return open_gptj(str(folder))


@pytest.fixture
def adapter(base: GPTJ, tmp_path: Path) -> Path:
    return written(tmp_path / "adapter", base, seed=1)


def test_each_community_is_answered_in_its_own_words(base: GPTJ, folder: Path, adapter: Path) -> None:
    """In one mixed request, categories get the plain model's answers, and the labels stay the same."""
    scorer = Scorer(base)
    scorer.load("a", adapter)
    mixed = scorer.classify([Item(TEXTS[0], "a", NEWS), Item(TEXTS[1], "a", CHAT), Item(TEXTS[2], "a")])
    for text, asked, verdict in zip(TEXTS, (NEWS, CHAT, ()), mixed, strict=True):
        assert verdict.probabilities == pytest.approx(scorer.classify([Item(text, "a")])[0].probabilities, abs=1e-5)
        assert list(verdict.categories) == [name for name, _ in asked]
        if asked:
            plain = plain_probabilities(plain_model(folder), base, [text], category_prompt(dict(asked)))[0]
            assert list(verdict.categories.values()) == pytest.approx(plain.tolist(), abs=1e-5)


def test_a_base_that_reads_no_instructions_leaves_them_out() -> None:
    """The embedded model scores the labels and returns no categories."""
    scorer = Scorer(open_base("minilm"))
    scorer.load("s", SHIPPED)
    assert scorer.classify([Item("hello", "s", NEWS)])[0].categories == {}


async def test_they_pass_through_the_models_process(folder: Path, base: GPTJ, adapter: Path) -> None:
    """Categories survive the JSON between the two processes."""
    scorer = Scorer(base)
    scorer.load("a", adapter)
    expected = scorer.classify([Item(TEXTS[0], "a", NEWS)])[0].categories
    async with Worker(BaseChoice(str(folder)), lambda _: adapter, threads=1, tries_adapters=False) as worker:
        (verdict,) = await worker.classify([Item(TEXTS[0], "a", NEWS)])
    assert verdict.categories == pytest.approx(expected, abs=1e-5)


async def test_the_first_stage_does_not_answer_for_them() -> None:
    """A message with own categories is read by the second stage, even if it is neutral."""
    first, second = StubClassifier(), StubClassifier()
    stages = TwoStages(first, second, first_adapter="own", skip_below=0.2, audit_share=0.0001)
    await stages.classify([Item("hello", "a", NEWS), Item("good morning", "a")])
    assert second.batches == [["hello"]]
