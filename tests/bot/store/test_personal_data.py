"""What an author may ask: to see what is kept, and to have it gone."""

from datetime import timedelta
from pathlib import Path

from bot.store import Store
from tests.bot.store.test_store import NOW, examples, left_out, seen_case
from tests.conftest import said


async def test_an_author_sees_what_is_kept_of_them(store: Store) -> None:
    """Their own texts in this community, oldest first, as far as they are kept."""
    for hours, number in enumerate("321"):
        await store.record_seen(said(f"text {number}", number), NOW + timedelta(hours=hours))
    await store.record_seen(said("another's", "4", author="ben"), NOW)
    ann = store.author(said("x"))
    assert [each.text for each in await store.personal_data.export(ann, "try-out")] == ["text 3", "text 2", "text 1"]
    await store.forget_texts(NOW + timedelta(minutes=1))
    assert [each.text for each in await store.personal_data.export(ann, "try-out")] == ["text 2", "text 1"]
    assert await store.personal_data.export(ann, "elsewhere") == []


async def test_what_an_author_erases_is_gone_and_teaches_no_more(store: Store, tmp_path: Path) -> None:
    """Texts, ids, reports and consent; another author's stay, and a second wish finds nothing."""
    path, ann = tmp_path / "domovoi.db", store.author(said("x"))
    await store.consents.give("try-out", ann, NOW)
    case = await seen_case(store)
    await store.record_correction(case, "dana", "neutral", "permission:7", NOW, confirms=False)
    other = (await store.record_seen(said("another's", "4", author="ben"), NOW)).row
    await store.reports.record(other or 0, ann, NOW)
    assert len(examples(path)) == 1 and set(await store.training_views.standing()) == {"1"}
    assert await store.personal_data.erase(ann, "try-out", NOW) == 1
    assert examples(path) == [] and left_out(path) == ["erased by its author"]
    assert await store.training_views.standing() == {}
    assert await store.consents.basis("try-out", ann) is None
    assert await store.reports.record(other or 0, ann, NOW)
    kept = await store.case(case)
    assert kept is not None and kept.message.text == "" and kept.author.id == ""
    assert len(await store.personal_data.export(store.author(said("x", author="ben")), "try-out")) == 1
    assert await store.personal_data.erase(ann, "try-out", NOW) == 0


async def test_a_text_forgotten_in_time_can_still_be_taken_back(store: Store) -> None:
    """Forgotten, what it taught stands; erased afterwards, it does not."""
    case = await seen_case(store)
    await store.record_correction(case, "dana", "neutral", "permission:7", NOW, confirms=False)
    await store.forget_texts(NOW + timedelta(days=1))
    assert set(await store.training_views.standing()) == {"1"}
    assert await store.personal_data.erase(store.author(said("x")), "try-out", NOW) == 1
    assert await store.training_views.standing() == {}
