"""Two bases side by side: who reads what, and what happens while one of them fails."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from model.classifier import AdapterRejected, Died, Item, Unavailable, Unscorable, Verdict
from model.labels import Label
from model.package_files import PackageFileUnusable
from model.serving.by_language import ByLanguage

CALM = {Label.HATE: 0.0, Label.OFFENSIVE: 0.1, Label.NEUTRAL: 0.9}


@dataclass
class Stub:
    """A base that answers everything, or fails."""

    name: str
    failure: Exception | None = None
    calls: list[list[Item]] = field(default_factory=list)

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        self.calls.append(list(items))
        if self.failure:
            raise self.failure
        return [Verdict(CALM, self.name, item.adapter) for item in items]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.failure:
            raise self.failure
        return [[float(self.name == "e5"), float(len(text))] for text in texts]


def language_of(text: str) -> str:
    return text.partition(":")[0] if ":" in text else ""


def items(*texts: str, **more: object) -> list[Item]:
    return [Item(text, "global/shipped", community="c", **more) for text in texts]  # type: ignore[arg-type]


def pair() -> tuple[Stub, Stub, ByLanguage]:
    english, other = Stub("minilm"), Stub("e5")
    return english, other, ByLanguage(english, other, other_adapter=lambda: "e5/e5-1", language_of=language_of)


async def test_the_other_bases_adapter_may_change() -> None:
    """A promoted adapter serves from the next call on; an old case is explained by its own."""
    names = ["e5/e5-1"]
    other = Stub("e5")
    classifier = ByLanguage(Stub("minilm"), other, other_adapter=lambda: names[-1], language_of=language_of)
    await classifier.classify(items("de: eins"))
    names.append("e5/second")
    await classifier.classify([*items("de: zwei"), Item("de: eins", "e5/e5-1")])
    assert [item.adapter for call in other.calls for item in call] == ["e5/e5-1", "e5/second", "e5/e5-1"]


async def test_each_text_is_read_by_the_base_of_its_language() -> None:
    """One call each, in order; the other base gets its own adapter and the community, whose norm counts."""
    english, other, classifier = pair()
    verdicts = await classifier.classify(items("hi", "de: hallo", "you", "ka: x", "und: y"))
    assert [verdict.base for verdict in verdicts] == ["minilm", "e5", "minilm", "e5", "e5"]
    assert [verdict.language for verdict in verdicts] == ["", "de", "", "ka", "und"]
    assert [verdict.acts for verdict in verdicts] == [True, True, True, False, False]
    assert english.calls == [items("hi", "you")]
    assert other.calls == [[Item(text, "e5/e5-1", community="c") for text in ("de: hallo", "ka: x", "und: y")]]
    assert not any(verdict.stand_in for verdict in verdicts)


async def test_english_alone_never_asks_the_other_base() -> None:
    """Its process starts with its first request, so it must not get an empty one."""
    _, other, classifier = pair()
    await classifier.classify(items("hi"))
    assert other.calls == [] and await classifier.embed(["abc"]) == [[0.0, 3.0]]


async def test_an_old_case_is_explained_by_the_base_that_read_it() -> None:
    """The words that are left of a text may look English."""
    _, _, classifier = pair()
    (verdict,) = await classifier.classify([Item("hallo", "e5/e5-0")])
    assert (verdict.base, verdict.adapter, verdict.language, verdict.acts) == ("e5", "e5/e5-0", "", True)


@pytest.mark.parametrize("failure", [Unavailable("gone"), Died("killed"), AdapterRejected("damaged")])
async def test_while_the_other_base_fails_the_first_stands_in(failure: Exception) -> None:
    """Nothing waits and nothing is punished; moderators can see why."""
    _, other, classifier = pair()
    other.failure = failure
    english, german = await classifier.classify(items("hi", "de: hallo"))
    assert (english.base, english.stand_in) == ("minilm", False)
    assert (german.base, german.stand_in, german.language) == ("minilm", True, "de")
    assert str(failure) in classifier.trouble
    other.failure = None
    assert (await classifier.classify(items("de: hallo")))[0].base == "e5" and classifier.trouble == ""


async def test_where_languages_cannot_be_told_all_is_english() -> None:
    """A package is missing: the bot goes on as before, and says what to do."""

    def language_of(text: str) -> str:
        raise PackageFileUnusable("run: make install")

    english, other = Stub("minilm"), Stub("e5")
    classifier = ByLanguage(english, other, other_adapter=lambda: "e5/e5-1", language_of=language_of)
    (verdict,) = await classifier.classify(items("de: hallo"))
    assert (verdict.base, verdict.acts, verdict.stand_in) == ("minilm", True, False)
    assert "make install" in classifier.trouble and not other.calls


async def test_unscorable_texts_have_their_places_in_the_call() -> None:
    """Whichever base says so."""
    english, other, classifier = pair()
    other.failure = Unscorable("too long", frozenset({1}))
    with pytest.raises(Unscorable) as raised:
        await classifier.classify(items("hi", "de: a", "you", "de: b"))
    assert raised.value.places == {3}
    other.failure, english.failure = None, Unscorable("too long", frozenset({1}))
    with pytest.raises(Unscorable) as raised:
        await classifier.classify(items("hi", "de: a", "you", "de: b"))
    assert raised.value.places == {2}


async def test_vectors_are_those_of_the_base_that_reads_the_text() -> None:
    """In the texts' order; the first base's, while the other fails."""
    _, other, classifier = pair()
    assert await classifier.embed(["de: a", "hi", "de: bc"]) == [[1.0, 5.0], [0.0, 2.0], [1.0, 6.0]]
    other.failure = Unavailable("gone")
    assert await classifier.embed(["de: a", "hi"]) == [[0.0, 5.0], [0.0, 2.0]]


async def test_a_suspect_stays_alone() -> None:
    """A text with which a process died before is sent as such."""
    _, other, classifier = pair()
    await classifier.classify(items("de: a", alone=True))
    assert other.calls[0][0].alone


async def test_foreign_words_beside_an_insult_spare_nobody() -> None:
    """Where the whole text's language does not act, its English run is read, too, and counts if it is as harmful."""

    @dataclass
    class HarmStub(Stub):
        async def classify(self, given: Sequence[Item]) -> list[Verdict]:
            self.calls.append(list(given))
            harmful = {Label.HATE: 0.9, Label.OFFENSIVE: 0.08, Label.NEUTRAL: 0.02}
            return [Verdict(harmful if "stupid" in i.text else CALM, self.name, i.adapter) for i in given]

    english, other = HarmStub("minilm"), HarmStub("e5")
    classifier = ByLanguage(english, other, other_adapter=lambda: "e5/e5-1", language_of=language_of)
    texts = ("fi: you stupid bitch, päivää", "fi: nice to meet päivää stupid", "de: you stupid bitch", "fi: päivää")
    verdicts = await classifier.classify(items(*texts))
    assert [(verdict.base, verdict.acts) for verdict in verdicts] == [
        ("minilm", True), ("e5", False), ("e5", True), ("e5", False),
    ]  # fmt: skip
    assert verdicts[0].part == "you stupid bitch," and verdicts[0].adapter == "global/shipped"
    assert [item.text for item in english.calls[0]] == ["you stupid bitch,", "nice to meet"]
