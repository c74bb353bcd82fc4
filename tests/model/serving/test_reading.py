"""Polite words around an insult do not disarm it, and harmless texts are read as before."""

import random
from collections.abc import Sequence

import pytest

from benchmarks.parts import is_acted_on, make_attacks
from model.adapters.registry import SHIPPED
from model.classifier import Classifier, Item, Verdict
from model.encoder.minilm import MiniLM
from model.explain import find_evidence
from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from model.serving.reading import MAX_WINDOWS, RULE, combine, read
from model.serving.scorer import Scorer

ADAPTER = "global/shipped"
STILL_ACTED_ON = 0.85
"""Of the texts whose insult is acted on alone."""
MORE_FLAGGED = 0.005
"""Of harmless texts of several sentences, at most."""
# These lists judge: the rule was chosen with the lists of benchmarks/parts.py.
INSULTS = (
    "you are such a fucking moron",
    "shut up you dumb bitch",
    "you filthy whore",
    "go to hell you stupid asshole",
    "what a worthless piece of shit you are",
    "suck a dick you retard",
    "ugly fat cunt",
    "you goddamn faggot",
    "all jews are parasites and should be gassed",
    "muslims are animals, deport every one of them",
    "trannies are disgusting freaks",
    "mexicans are filthy vermin",
)
FRIENDLY = (
    "I wish you a wonderful weekend",
    "Many thanks for the quick answer",
    "The soup was delicious yesterday, I want the recipe",
    "My sister is visiting us next month",
    "Looking forward to the concert",
    "All the best",
    "Does the bus still stop at the town hall",
    "We planted tomatoes and beans this year",
    "It was great to meet you all at the picnic",
    "Greetings from the mountains",
)
HARMLESS = (
    "The train to the coast leaves at nine and takes about two hours.",
    "I bought three books about birds, and one about the history of maps.",
    "We could meet at the library, or at the little café next to the park.",
    "She repaired the bicycle herself and painted it green.",
    "Could you send me the photos from the garden party?",
    "The new version starts faster, but the settings page looks odd to me.",
    "My neighbours from Syria brought us a huge plate of sweets.",
    "He plays the cello in the school orchestra on Thursdays.",
    "There are still two places left in the pottery course!",
    "After the rain the whole street smelled of lime trees.",
    "The museum has a room about women in science.",
    "Our team lost again, what a pity, but the stadium was great.",
)


@pytest.fixture(scope="module")
def base() -> MiniLM:
    return MiniLM()


@pytest.fixture(scope="module")
def scorer(base: MiniLM) -> Scorer:
    scorer = Scorer(base)
    scorer.load(ADAPTER, SHIPPED)
    return scorer


@pytest.fixture(scope="module")
def of_wholes(base: MiniLM) -> Scorer:
    scorer = Scorer(base, rule=None)
    scorer.load(ADAPTER, SHIPPED)
    return scorer


def classify(scorer: Scorer, texts: Sequence[str]) -> list[Verdict]:
    return scorer.classify([Item(text, ADAPTER) for text in texts])


def test_polite_words_do_not_disarm_an_insult(scorer: Scorer, of_wholes: Scorer) -> None:
    """Before, after, on both sides, several sentences, long padding; with and without anything between."""
    insults = [text for text, v in zip(INSULTS, classify(of_wholes, INSULTS), strict=True) if is_acted_on(v)]
    assert len(insults) >= 8
    attacks = make_attacks(insults, FRIENDLY, HARMLESS, 160, seed=7)
    texts = [attack.text for attack in attacks]
    before = sum(map(is_acted_on, classify(of_wholes, texts))) / len(texts)
    after = sum(map(is_acted_on, classify(scorer, texts))) / len(texts)
    assert after >= STILL_ACTED_ON > before, (before, after)


def test_harmless_texts_of_many_sentences_are_not_flagged_more(scorer: Scorer, of_wholes: Scorer) -> None:
    """With every sentence there is one more chance to be wrong; the rule takes that into account."""
    chance = random.Random(3)
    texts = [
        " ".join(chance.sample([*HARMLESS, *(f"{f}." for f in FRIENDLY)], chance.choice((3, 6, 12, 20))))
        for _ in range(60)
    ]
    for flags in (is_acted_on, lambda verdict: verdict.harm >= 0.5):
        before, after = (sum(map(flags, classify(each, texts))) for each in (of_wholes, scorer))
        assert after - before <= MORE_FLAGGED * len(texts)


def test_a_short_sentence_is_read_once(scorer: Scorer, of_wholes: Scorer) -> None:
    """The bulk of chat costs and gets what it did: one window, no part."""
    texts = ["good morning!", "you moron", "brb, dinner", "ok sounds good to me", "", "shut the fuck up"]
    assert all(
        not window.spans for text in ("good morning!", "you moron") for window in read(scorer.base, text).windows
    )
    before = scorer.parts_read
    for verdict, whole in zip(classify(scorer, texts), classify(of_wholes, texts), strict=True):
        assert verdict.harm == pytest.approx(whole.harm, abs=0.01) and verdict.windows == 1 and not verdict.part
    assert scorer.parts_read == before


def test_the_deciding_part_is_named(scorer: Scorer) -> None:
    """A verdict says which sentence decided; "" where it was the whole."""
    polite = "Thank you for the invitation. You are a stupid bitch! See you tomorrow."
    quiet = "Thank you for the invitation. It was a lovely evening! See you tomorrow."
    assert [verdict.part for verdict in classify(scorer, [polite, quiet])] == ["You are a stupid bitch!", ""]


def test_parts_of_a_call_are_read_together_and_equal_ones_once(base: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty texts with the same insult: one pass over the wholes, one over a single part."""
    scorer = Scorer(base)
    scorer.load(ADAPTER, SHIPPED)
    passes: list[int] = []
    ask = base.label_logits
    monkeypatch.setattr(base, "label_logits", lambda batch, name: passes.append(len(batch)) or ask(batch, name))
    texts = [f"{friendly}. You stupid bitch. Bye everybody {n}" for n in range(2) for friendly in FRIENDLY]
    verdicts = classify(scorer, texts)
    assert sum(verdict.part == "You stupid bitch." for verdict in verdicts) > len(texts) / 2
    assert len(passes) == 1 and passes[0] < 0.8 * len(texts) <= scorer.parts_read


def test_an_endless_text_has_a_bounded_price(base: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 characters of insults: so many windows and parts, and no more."""
    scorer = Scorer(base)
    scorer.load(ADAPTER, SHIPPED)
    wholes: list[int] = []
    ask = base.span_logits
    monkeypatch.setattr(
        base, "span_logits", lambda batch, spans, name: wholes.extend(map(len, batch)) or ask(batch, spans, name)
    )
    text = "\n".join(f"you damn fool number {n}, good day" for n in range(2000))
    verdict = classify(scorer, [text])[0]
    assert verdict.windows == MAX_WINDOWS and sum(wholes) <= MAX_WINDOWS * base.max_tokens
    assert scorer.parts_read <= RULE.max_parts


def test_an_insult_anywhere_in_a_long_text_is_found(scorer: Scorer) -> None:
    """At every place within what platforms let somebody write."""
    for place in (0, 7, 19, 30, 41):
        sentences = [HARMLESS[n % len(HARMLESS)] for n in range(42)]
        sentences[place] = "You are a stupid bitch."
        assert is_acted_on(classify(scorer, [" ".join(sentences)])[0]), place


def test_each_score_is_that_of_the_worst_part() -> None:
    """The most hateful row gives P(hate), the most harmful P(harm); a part below the bar counts for nothing."""
    whole, hateful, mild = [0.1, 0.86, 0.04], [0.9, 0.05, 0.05], [0.3, 0.55, 0.15]
    shares, part, _ = combine(RULE, PLAIN_NORM, [whole], [("hateful", hateful), ("mild", mild)])
    assert shares == pytest.approx([0.9, 0.06, 0.04]) and part == "hateful"
    assert combine(RULE, PLAIN_NORM, [whole], [("mild", mild)]) == (whole, "", {})
    relaxed = Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))
    shares, part, _ = combine(RULE, relaxed, [[0.0, 0.2, 0.8]], [("rude", [0.01, 0.98, 0.01])])
    assert shares[LABELS.index(Label.NEUTRAL)] == pytest.approx(0.99)


class InProcess(Classifier):
    """The scorer as a classifier."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        return self._scorer.classify(items)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return self._scorer.embed(texts)


async def test_an_explanation_weighs_the_words_of_the_part_that_decided(scorer: Scorer) -> None:
    """A word of the insult stands out, and the polite words around it weigh nothing; all words are listed."""
    text = "Thank you for the invitation. You are such a stupid bitch! See you tomorrow."
    (verdict,) = classify(scorer, [text])
    evidence = await find_evidence(InProcess(scorer), text, verdict, verdict.label)
    assert " ".join(piece.word for piece in evidence) == text
    assert max(evidence, key=lambda piece: piece.weight).word in ("are", "such", "a", "stupid", "bitch!")
    assert [piece.weight for piece in (evidence[0], evidence[-1])] == [0.0, 0.0]
