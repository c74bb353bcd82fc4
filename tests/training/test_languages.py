"""The adapter for other languages on lines that it did not learn from, and the sentences that it did."""

import pytest

from bot.domain.policy import Policy, band
from model.adapters.registry import SHIPPED_FOLDER
from model.classifier import Item, Verdict
from model.labels import Label
from model.languages import ACTING
from model.open import open_base
from model.serving.scorer import Scorer
from training.evaluation import area_under_curve
from training.examples import Example
from training.languages import language_sentences, plainer, read_languages

MIN_AREA, MAX_ACTED_ON, MIN_LINES = 0.85, 0.05, 30
"""The bar of docs/decisions/0015: below it a language does not act."""


@pytest.fixture(scope="module")
def judged() -> list[tuple[str, Example, Verdict]]:
    """(language, line, verdict as the service gives it) of all hand-written lines."""
    scorer = Scorer(open_base("e5"))
    scorer.load("e5", SHIPPED_FOLDER / "e5")
    lines = read_languages()
    verdicts = scorer.classify([Item(line.text, "e5") for line in lines])
    return [(line.source[:2], line, verdict) for line, verdict in zip(lines, verdicts, strict=True)]


@pytest.mark.parametrize("language", sorted(ACTING))
def test_a_language_that_acts_passes_the_bar(language: str, judged: list[tuple[str, Example, Verdict]]) -> None:
    """Harm is told from harmless lines, and hardly a harmless line is acted on at a new community's thresholds."""
    lines = [(line, verdict) for name, line, verdict in judged if name == language]
    harmless = [verdict for line, verdict in lines if line.label is Label.NEUTRAL]
    assert len(lines) >= MIN_LINES
    harm = [verdict.harm for _, verdict in lines]
    assert area_under_curve(harm, [line.label is not Label.NEUTRAL for line, _ in lines]) >= MIN_AREA
    assert sum(band(verdict, Policy())[0] == "action" for verdict in harmless) <= MAX_ACTED_ON * len(harmless)


def test_the_lines_that_judge_teach_nothing() -> None:
    """No sentence from the templates equals one."""
    lines = {line.key.strip(" .!") for line in read_languages()}
    learned = {sentence.key.strip(" .!") for seed in range(3) for sentence in language_sentences(20_000, seed)}
    assert not lines & learned and len(learned) > 5_000


def test_sentences_are_the_same_for_the_same_seed() -> None:
    """And of every label; another seed makes others."""
    sentences = language_sentences(900, seed=1)
    assert sentences == language_sentences(900, seed=1) != language_sentences(900, seed=2)
    assert {sentence.label for sentence in sentences} == set(Label)
    assert not any("{" in sentence.text for sentence in sentences)


def test_the_plainer_form_keeps_the_words() -> None:
    """Only capitals and the full stop go; a text of dots stays."""
    examples = [Example("Вот так.", Label.NEUTRAL), Example("...", Label.NEUTRAL)] * 10
    changed = plainer(examples, seed=1)
    assert {example.text for example in changed} == {"Вот так.", "вот так.", "Вот так", "вот так", "..."}
