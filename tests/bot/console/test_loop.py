"""The loop in a real browser: what a moderator does, from the first message to the verdict that a refresh changed."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from bot.app import Running, service
from bot.config import Config, Learning, Service
from bot.domain.action import Delete
from bot.domain.case import Journalled
from bot.domain.policy import Mode
from bot.learning.threshold_advice import LEAST_WORDS
from bot.process.http_listener import PortInUse
from model.adapters.registry import SHIPPED, read_manifest, scope_of, write_adapter
from model.labels import Label
from tests.bot.signed_in import link, operator
from tests.programs import CHROMIUM

RUDE = "fuck all refugees, they are vermin"
JARGON = "you absolute walnut, what an idiot move"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """The service with the real model on a free port."""
    settings = Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "keys" / "sealing.key"))
    async with service(Config(service=settings, learning=Learning(replay_rows=500))) as started:
        yield started


@pytest.fixture
async def page(running: Running) -> AsyncIterator[Page]:
    """A browser that opened the page; any script error fails the test."""
    async with async_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-sync",
        ]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        opened = await browser.new_page()
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        await opened.goto(link(running))
        yield opened
        await browser.close()
        assert not errors


async def say(page: Page, person: str, text: str) -> None:
    await page.get_by_test_id("speak-as").select_option(person)
    await page.get_by_test_id("message-input").fill(text)
    await page.get_by_test_id("send").click()


async def scored(running: Running, text: str, times: int) -> Journalled:
    """The latest journal row of this text, once it stands there so many times with a verdict."""
    async with asyncio.timeout(60):
        while True:
            rows = await running.parts.store.messages("try-out", datetime.now(UTC) - timedelta(minutes=9))
            mine = sorted((row for row in rows if row.text == text), key=lambda row: row.id)
            if len(mine) == times:
                return mine[-1]
            await asyncio.sleep(0.1)


async def served(running: Running, adapter: str) -> None:
    """Once this adapter serves the try-out chat."""
    async with asyncio.timeout(60):
        while running.parts.learning.adapter_of("try-out") != adapter:
            await asyncio.sleep(0.1)


@pytest.mark.timeout(900)
async def test_the_whole_loop(page: Page, running: Running) -> None:
    """Shadow, enforce, removed, explained, undone, corrected, learned from, rolled back."""
    expect.set_options(timeout=20_000)  # the first message waits for the model to be loaded
    await expect(page.get_by_test_id("mode")).to_have_text("shadow")
    await say(page, "ann", RUDE)
    case = page.get_by_test_id("case").first
    await expect(case.get_by_test_id("case-label")).to_have_text("hate")
    await expect(case).to_contain_text("Would have done: delete (shadow mode).")
    await expect(page.get_by_test_id("chat-message").first).to_have_attribute("data-state", "shown")

    await page.get_by_test_id("mode-switch").click()
    await expect(page.get_by_test_id("mode")).to_have_text("enforce")
    await say(page, "ben", RUDE + " all of them")
    await expect(page.get_by_test_id("chat-message").last).to_have_attribute("data-state", "removed")
    await expect(page.get_by_test_id("case")).to_have_count(2)  # its card follows the removal
    case = page.get_by_test_id("case").first
    await case.get_by_test_id("explain").click()
    await expect(case.get_by_test_id("evidence")).to_contain_text("threshold")
    await case.get_by_test_id("undo").click()
    await expect(page.get_by_test_id("chat-message").last).to_have_attribute("data-state", "restored")

    await say(page, "cem", JARGON)
    case = page.get_by_test_id("case").first
    await expect(case).to_contain_text("walnut")
    await case.get_by_test_id("wrong").click()
    await case.get_by_test_id("choose-neutral").click()
    await expect(case).to_have_attribute("data-state", "corrected")
    (case_now,) = [c for c in await running.parts.store.cases("try-out") if c.message.text == JARGON]
    assert case_now.corrected_label == "neutral" and case_now.teaches
    before = case_now.message.probabilities["neutral"]

    shipped = await page.get_by_test_id("adapter-version").inner_text()
    await page.get_by_test_id("refresh").click()
    await expect(page.get_by_test_id("refresh-result")).to_contain_text("promoted", timeout=600_000)
    await expect(page.get_by_test_id("adapter-version")).not_to_have_text(shipped)
    await expect(page.get_by_test_id("history").locator("circle")).to_have_count(4)  # two figures of two adapters
    await say(page, "cem", JARGON)
    latest = await scored(running, JARGON, times=2)
    assert latest.probabilities["neutral"] > max(before + 0.2, 0.5)

    await page.get_by_test_id("changes").first.click()
    changed = page.get_by_test_id("changes-list")
    await expect(changed).to_contain_text("decides")
    await expect(changed.locator("li").filter(has_text=JARGON)).to_contain_text("left alone")

    await page.get_by_test_id("rollback").click()
    await expect(page.get_by_test_id("adapter-version")).to_have_text(shipped, timeout=5_000)
    await say(page, "cem", JARGON)
    assert (await scored(running, JARGON, times=3)).probabilities["neutral"] == pytest.approx(before, abs=0.02)


async def test_an_adapter_for_one_community_is_shown_and_rolled_back(page: Page, running: Running) -> None:
    """Beside those for all: whose it is, its report, and the way back to the one for all."""
    registry, shipped = running.parts.registry, running.parts.learning.serving
    staged = registry.root / "staged"
    staged.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SHIPPED, staged)
    manifest = replace(read_manifest(SHIPPED), version="own-1")
    write_adapter(staged, manifest, (SHIPPED / "adapter_model.safetensors").read_bytes())
    registry.promote(registry.publish(scope_of("try-out"), staged, "own-1"))
    await served(running, f"{scope_of('try-out')}/own-1")
    await page.reload()
    row = page.get_by_test_id("adapters").get_by_role("row").filter(has_text="own-1")
    await expect(row).to_contain_text("for try-out alone")
    await expect(row).to_contain_text("serving")
    report = await row.get_by_role("link").get_attribute("href")
    assert (await page.request.get(f"http://127.0.0.1:{running.port}{report}")).ok
    await expect(page.get_by_test_id("rollback")).to_be_disabled()
    await row.get_by_test_id("rollback-own").click()
    await expect(page.locator("#status")).to_contain_text(f"Rolled back to {shipped}.")
    await served(running, shipped)
    await page.reload()
    await expect(row).to_contain_text("for try-out alone")
    await expect(row).not_to_contain_text("serving")


async def test_advice_follows_the_moderators_words(page: Page, running: Running) -> None:
    """Twelve insults called neutral: a higher threshold is advised; used and saved, the next one is left alone."""
    for number in range(LEAST_WORDS):
        await say(page, "ann", f"you fucking moron number {number}")
        await expect(page.get_by_test_id("case")).to_have_count(number + 1, timeout=30_000)
    await expect(page.get_by_test_id("advice")).to_be_hidden()
    for case in await running.parts.store.cases("try-out"):
        await running.parts.case_service.correct(case, "mo", Label.NEUTRAL)
    advice = page.get_by_test_id("advice")
    await expect(advice).to_contain_text("Of 12 messages shown as offensive only 0 were")
    await advice.get_by_test_id("use-advice").click()
    await page.get_by_test_id("policy-save").click()
    await expect(advice).to_be_hidden()
    assert (await running.parts.pipeline.policy("try-out")).offensive.alert_at == 1.0
    await say(page, "ann", "you fucking moron again")
    row = await scored(running, "you fucking moron again", times=1)
    assert row.decision.band == "clear" and row.probabilities["offensive"] > 0.5


async def test_random_messages_are_looked_at(page: Page, running: Running) -> None:
    """Two harmless ones become cards on request, say what they are, and are counted once a moderator has answered."""
    for text in ("good morning everyone", "the meeting is at noon"):
        await say(page, "ann", text)
        await scored(running, text, times=1)
    await expect(page.get_by_test_id("case")).to_have_count(0)
    await page.get_by_test_id("audit").click()
    await expect(page.get_by_test_id("case")).to_have_count(2)
    card = page.get_by_test_id("case").first
    await expect(card).to_have_attribute("data-band", "clear")
    await expect(card).to_contain_text("a random look at what was left alone")
    await card.get_by_test_id("confirm").click()
    await expect(card).to_contain_text("confirmed: neutral")
    await page.get_by_test_id("audit").click()
    await expect(page.get_by_test_id("audited")).to_contain_text("1 looked at so far: 0 hate, 0 offensive")
    await expect(page.locator("#status")).to_contain_text("no more messages")


async def test_a_learned_norm_is_followed_and_said(page: Page, running: Running) -> None:
    """An adapter that learned that offensive is fine here: the page says so, and an insult is left alone."""
    insult = "you fucking moron"
    await say(page, "ann", insult)
    before = await scored(running, insult, times=1)
    await expect(page.get_by_test_id("norm")).to_be_hidden()
    folder = running.parts.registry.root / "global" / "n1"
    shutil.copytree(SHIPPED, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    norms = {"try-out": {"counts_as": {"offensive": "neutral"}, "words": 30, "moderators": 1}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": "n1", "norms": norms}))
    running.parts.registry.promote("global/n1")
    said = "Learned here: offensive counts as neutral, from 30 corrections of 1 moderator."
    await expect(page.get_by_test_id("norm")).to_contain_text(said)
    await page.reload()
    await expect(page.get_by_test_id("norm")).to_contain_text(said)
    await say(page, "ann", insult)
    after = await scored(running, insult, times=2)
    assert before.probabilities["offensive"] > 0.5 and after.probabilities["offensive"] == 0
    assert after.probabilities["hate"] == pytest.approx(before.probabilities["hate"], abs=0.01)
    assert after.decision.band == "clear"


async def test_a_card_as_moderators_see_it_elsewhere(page: Page) -> None:
    """Without a token the page says how to get one; the newest card is shown as on Discord, in either language."""
    await expect(page.get_by_test_id("platforms")).to_contain_text("DOMOVOI_DISCORD_TOKEN")
    await page.get_by_test_id("card-preview").click()
    await expect(page.get_by_test_id("previewed")).to_contain_text("No card yet")
    await say(page, "ann", RUDE + " <b>x</b>")
    await expect(page.get_by_test_id("case")).to_have_count(1, timeout=30_000)
    await page.get_by_test_id("card-preview").click()
    shown = page.get_by_test_id("previewed")
    await expect(shown).to_contain_text("at or above the action threshold of 85 %")
    await expect(shown).to_contain_text("👎 Wrong label")
    await expect(shown).to_contain_text("<b>x</b>")
    await page.get_by_test_id("card-language").select_option("ru")
    await page.get_by_test_id("card-preview").click()
    await expect(shown).to_contain_text("теневой режим")


async def test_what_the_model_could_not_read_and_what_may_have_arrived(page: Page, running: Running) -> None:
    """No figures and no buttons where there is no verdict; an action in doubt is said to be that."""
    killer = "a text with which the model's process died"
    running.parts.pipeline._poison._texts[killer] = None
    await expect(page.get_by_test_id("mode")).to_have_text("shadow")
    await page.get_by_test_id("mode-switch").click()
    await expect(page.get_by_test_id("mode")).to_have_text("enforce")
    await say(page, "ann", killer)
    card = page.get_by_test_id("case").first
    await expect(card.get_by_test_id("case-label")).to_have_text("could not be read by the model", timeout=30_000)
    await expect(card).to_contain_text("please judge it yourselves")
    await expect(card).to_contain_text("Nothing was done to it.")
    await expect(card).not_to_contain_text("%")
    assert await card.locator("progress, button").count() == 0
    await expect(page.locator("#announce")).to_contain_text("New card: could not be read by the model, from Ann")

    await say(page, "ben", RUDE)
    await expect(page.get_by_test_id("chat-message").last).to_have_attribute("data-state", "removed", timeout=30_000)
    row = await scored(running, RUDE, times=1)
    await running.parts.store.record_progress(row.id, "done", [], "done", unsure=Delete())
    await page.reload()
    shown = page.get_by_test_id("case").first
    await expect(shown).to_contain_text("Whether this arrived is not known, so it was not repeated: delete.")


async def test_markup_stays_text(page: Page) -> None:
    """What looks like HTML is shown as it was typed."""
    await say(page, "ann", "<img src=x onerror=alert(1)>")
    await expect(page.get_by_test_id("chat-message").last).to_contain_text("<img src=x")
    assert await page.locator("main img").count() == 0


async def test_bad_messages_are_refused_in_one_line(running: Running) -> None:
    """Empty, endless, from nobody: each answer names the thing and the fix, and the room stays as it was."""
    async with operator(running) as session:
        for body, expected in (
            ({"person": "ann", "text": "  "}, "the message is empty"),
            ({"person": "ann", "text": "x" * 100_000}, "100,000 characters"),
            ({"person": "zed", "text": "hi"}, 'nobody is called "zed"'),
        ):
            async with session.post("/api/messages", json=body) as answer:
                assert answer.status == 400 and expected in (await answer.json())["error"]
    assert not running.parts.chat.messages


async def test_only_this_page_may_call(running: Running) -> None:
    """A foreign Host, a foreign Origin and a missing token are all refused."""
    async with operator(running) as session:
        token = session.headers.pop("X-CSRF-Token")
        async with session.get("/api/state", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421
        async with session.post("/api/refresh", json={}, headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 403
        for sent in ({}, {"X-CSRF-Token": token[::-1]}):
            async with session.post("/api/refresh", json={}, headers=sent) as answer:
                assert answer.status == 403
        async with session.get("/") as answer:
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        async with session.get("/healthz") as answer:
            assert answer.status == 200, await answer.text()


async def test_a_port_in_use_is_named(running: Running, tmp_path: Path) -> None:
    """One line with the address and the fix."""
    settings = Service(port=running.port, data_folder=str(tmp_path / "b"), key_file=str(tmp_path / "b.key"))
    with pytest.raises(ExceptionGroup) as raised:
        async with service(Config(service=settings)):
            pass
    assert raised.group_contains(PortInUse, match=f"127.0.0.1:{running.port}")


async def test_a_spoilt_adapter_never_serves(tmp_path: Path) -> None:
    """The one promoted before it does, and whoever opens the page is told what to mend."""
    data = tmp_path / "data"
    folder = data / "adapters" / "global" / "bent-1"
    shutil.copytree(SHIPPED, folder)
    with (folder / "adapter_model.safetensors").open("ab") as file:
        file.write(b"more")
    (folder.parent / "current").write_text("bent-1\n")
    settings = Service(port=0, data_folder=str(data), key_file=str(tmp_path / "keys" / "sealing.key"))
    async with (
        service(Config(service=settings)) as started,
        operator(started) as session,
    ):
        async with session.get("/healthz") as answer:
            assert answer.status == 200 and "shipped" in (await answer.json())["adapter"]
        async with session.get("/api/state") as answer:
            assert "SHA-256" in (await answer.json())["notice"]


async def test_an_open_page_outlives_a_restart(tmp_path: Path) -> None:
    """Nobody has to sign in again, or to reload the page."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Service(port=port, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "keys" / "sealing.key"))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        async with service(Config(service=settings)) as started:
            await page.goto(link(started))
            await say(page, "ann", "good morning")
            await expect(page.get_by_text("good morning")).to_be_visible()
        async with service(Config(service=settings)):
            await say(page, "ben", "good evening")
            await expect(page.get_by_text("good evening")).to_be_visible()
            await expect(page.get_by_text("outdated")).to_have_count(0)
        await browser.close()


async def test_the_page_shows_that_acting_is_paused_and_ends_it(page: Page, running: Running) -> None:
    """The mode says so, the notice too, and one click goes on."""
    await running.parts.pipeline.set_mode("try-out", Mode.ENFORCE)
    await page.reload()
    await expect(page.get_by_test_id("mode")).to_have_text("enforce")
    await running.parts.pipeline.cap.pause("try-out", 60, datetime.now(UTC))
    await expect(page.get_by_test_id("mode")).to_have_text("enforce, paused")
    await expect(page.get_by_text("looks like a model gone wrong")).to_be_visible()
    await page.get_by_test_id("resume").click()
    await expect(page.get_by_test_id("mode")).to_have_text("enforce")
    await expect(page.get_by_test_id("resume")).to_be_hidden()
    assert not running.parts.pipeline.cap.is_paused("try-out")
