"""Moderators' words on one case: who was first, who agreed, who overrode whom."""

import asyncio

import pytest

from bot.domain.correction import Correction, CorrectionOutcome, compare
from bot.store import Store
from tests.bot.store.test_store import NOW, seen_case


@pytest.mark.parametrize(
    ("before", "word", "expected"),
    [
        ("", "dana hate", CorrectionOutcome.FIRST),
        ("dana hate", "dana hate", CorrectionOutcome.SAME),
        ("dana hate", "dana neutral", CorrectionOutcome.CHANGED),
        ("dana hate", "eve hate", CorrectionOutcome.AGREED),
        ("dana hate", "eve neutral", CorrectionOutcome.OVERRODE),
        ("dana hate, eve hate", "dana hate", CorrectionOutcome.SAME),
        ("dana hate, eve hate", "eve neutral", CorrectionOutcome.CHANGED),
        ("dana hate, eve neutral", "dana neutral", CorrectionOutcome.AGREED),
        ("dana hate, eve neutral", "dana hate", CorrectionOutcome.OVERRODE),
    ],
)
def test_a_word_is_weighed_against_those_before(before: str, word: str, expected: CorrectionOutcome) -> None:
    """The last word counts, and for an agreement the moderator's own last one."""
    words = [Correction(*each.split(), NOW) for each in before.split(", ") if each]  # type: ignore[call-arg, arg-type]
    assert compare(words, *word.split()) is expected


async def test_an_agreement_leaves_the_case_with_its_first_moderator(store: Store) -> None:
    """A repeated word is not written at all; another label changes the case and whose it is."""
    number = await seen_case(store)

    async def say(moderator: str, label: str, *, confirms: bool = False) -> tuple[str, str, str | None, str | None]:
        word = await store.record_correction(number, moderator, label, None, NOW, confirms=confirms)
        case = await store.case(number)
        assert case is not None
        return str(word), case.state, case.moderator, case.corrected_label

    assert await say("dana", "offensive", confirms=True) == ("first", "confirmed", "dana", None)
    assert await say("eve", "offensive", confirms=True) == ("agreed", "confirmed", "dana", None)
    assert await say("dana", "offensive", confirms=True) == ("same", "confirmed", "dana", None)
    assert await say("eve", "neutral") == ("changed", "corrected", "eve", "neutral")
    assert await say("dana", "hate") == ("overrode", "corrected", "dana", "hate")
    assert await say("eve", "offensive", confirms=True) == ("overrode", "confirmed", "eve", None)
    labels = [(said.moderator, said.label) for said in await store.words(number)]
    assert labels == [
        ("dana", "offensive"),
        ("eve", "offensive"),
        ("eve", "neutral"),
        ("dana", "hate"),
        ("eve", "offensive"),
    ]


async def test_of_two_clicks_at_once_one_is_first(store: Store) -> None:
    """The other agrees, in whatever commit they share."""
    case = await seen_case(store)
    clicks = [store.record_correction(case, name, "neutral", None, NOW, confirms=False) for name in ("dana", "eve")]
    assert sorted(await asyncio.gather(*clicks)) == [CorrectionOutcome.AGREED, CorrectionOutcome.FIRST]


async def test_a_removed_text_is_posted_back_once(store: Store) -> None:
    """The second is told that it was done."""
    case = await seen_case(store)
    assert await store.record_posted_back(case) and not await store.record_posted_back(case)
