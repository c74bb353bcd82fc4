"""The page's script: small modules, each loaded, over vendored files that are what their manifest says."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Response, expect

from bot.app import Running, service
from bot.config import Config, Service
from bot.console.routes import STATIC
from bot.domain.policy import LabelPolicy, Mode, Policy
from bot.domain.role import Role
from model.labels import LABELS
from tests.bot.browser import opened
from tests.bot.signed_in import link

VENDOR = STATIC / "vendor"
MODULES = sorted(STATIC.glob("*.js"))
MANIFEST: list[dict[str, str]] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
MOST_LINES = 250
SCRIPT_POLICY = "script-src 'self';"


def imports(module: Path) -> list[Path]:
    """The files that a module imports."""
    names = re.findall(r'^(?:import|export) .*?"(\./[^"]+)";$', module.read_text(encoding="utf-8"), re.MULTILINE)
    return [(module.parent / name).resolve() for name in names]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """The service on a free port."""
    settings = Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "keys" / "sealing.key"))
    async with service(Config(service=settings)) as started:
        yield started


@pytest.fixture
async def page(running: Running) -> AsyncIterator[Page]:
    """The operator's page, loaded."""
    async with opened(link(running)) as page:
        await expect(page.get_by_test_id("mode")).to_have_text("shadow")
        yield page


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["name"])
def test_a_vendored_file_is_what_the_manifest_says(entry: dict[str, str]) -> None:
    """By both hashes, and index.html asks browsers to check the same one; its licence lies beside it."""
    content = (VENDOR / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    integrity = "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()
    preload = f'<link rel="modulepreload" href="/static/vendor/{entry["file"]}" integrity="{integrity}">'
    assert entry["integrity"] == integrity and preload in (STATIC / "index.html").read_text(encoding="utf-8")
    licence = (VENDOR / entry["licence_file"]).read_text(encoding="utf-8")
    assert {"MIT": "The MIT License", "Apache-2.0": "Apache License"}[entry["licence"]] in licence
    assert entry["package"] == f"pkg:npm/{entry['name']}@{entry['version']}"


def test_nothing_is_vendored_without_an_entry() -> None:
    named = {entry[key] for entry in MANIFEST for key in ("file", "licence_file")}
    assert {path.name for path in VENDOR.iterdir()} == named | {"manifest.json"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_is_small_and_safe(module: Path) -> None:
    """It says what it is, keeps no state of its own, and makes no element from text."""
    text = module.read_text(encoding="utf-8")
    assert text.startswith("// ") and text.count("\n") <= MOST_LINES
    assert not re.search(r"^(?:let|var) ", text, re.MULTILINE), "state belongs into store.js"
    assert not re.search(r"\w+HTML\b|document\.write|\beval\(|new Function", text)


def test_modules_import_each_other_in_no_circle() -> None:
    def visit(module: Path, path: list[Path]) -> None:
        assert module not in path, [one.name for one in [*path, module]]
        if module.parent == STATIC.resolve():
            for imported in imports(module):
                visit(imported, [*path, module])

    visit((STATIC / "app.js").resolve(), [])


def test_the_browser_types_no_fact_of_the_service_again() -> None:
    """Labels, actions, modes and roles come from the service, and so do the limits of a policy's numbers."""
    actions = LabelPolicy.model_json_schema()["properties"]["actions"]["items"]["enum"]
    names = [*LABELS, *actions, *Mode, *(role.name.lower() for role in Role)]
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        assert not re.findall(rf"""["'`](?:{"|".join(names)})["'`]""", text), module.name
        assert "40320" not in text.replace("_", ""), module.name


async def test_the_page_loads_every_module_and_keeps_its_policy(running: Running) -> None:
    """None is an orphan, none fails, none comes from elsewhere; scripts may come from this service alone."""
    answers: dict[str, Response] = {}
    async with opened("about:blank") as page:
        page.on("response", lambda answer: answers.update({answer.url: answer}))
        await page.goto(link(running))
        await expect(page.get_by_test_id("mode")).to_have_text("shadow")
        preloads = await page.locator('link[rel="modulepreload"]').evaluate_all("links => links.map((one) => one.href)")
    origin = f"http://127.0.0.1:{running.port}"
    assert all(url.startswith((f"{origin}/", "data:")) for url in answers)
    scripts = {url for url, answer in answers.items() if answer.request.resource_type == "script"}
    files = [*MODULES, *(VENDOR / entry["file"] for entry in MANIFEST)]
    assert scripts == {f"{origin}/static/{path.relative_to(STATIC).as_posix()}" for path in files}
    assert set(preloads) == scripts
    assert all(answers[url].ok and "javascript" in answers[url].headers["content-type"] for url in scripts)
    policy = answers[f"{origin}/"].headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ") and SCRIPT_POLICY in policy and "unsafe" not in policy


async def test_a_state_that_does_not_come_is_asked_for_again(running: Running) -> None:
    """The page says so meanwhile, and nobody has to reload it."""
    async with opened("about:blank", expected="ERR_FAILED") as page:
        await page.route("**/api/state*", lambda route: route.abort(), times=1)
        await page.goto(link(running))
        await expect(page.locator("#status")).to_have_text("Domovoi does not answer; is it running?")
        await expect(page.get_by_test_id("mode")).to_have_text("shadow", timeout=10_000)
        await expect(page.locator("#status")).to_be_hidden()


POLICIES: list[dict[str, Any]] = [
    {},
    {"mode": "enforce", "exempt_roles": ["Mods", "a b"], "exempt_rooms": ["lounge"]},
    {"hate": {"alert_at": 0.1, "act_at": 1, "actions": ["delete", "ban"], "ban_hours": 5}},
    {"strikes": {"timeout_at": None, "ban_at": 7}, "max_actions_per_hour": 3, "names_alert_at": 0.25},
    {"categories": [{"name": "ads", "description": "offers", "alert_at": 0.5}, {"name": "chat", "alert_at": None}]},
    {"kinds": {"swearing": "ignore", "insult": "alert only"}},
]


async def test_the_form_gives_back_the_policy_that_it_shows(page: Page) -> None:
    for changes in POLICIES:
        policy = Policy.model_validate(changes).model_dump(mode="json")
        back = await page.evaluate(
            """async (policy) => {
                const { store } = await import("/static/store.js");
                const { fieldsOf, policyFrom } = await import("/static/policy-fields.js");
                return policyFrom(policy, fieldsOf(policy, store.state.facts), store.state.facts);
            }""",
            policy,
        )
        assert back == policy


async def test_an_outdated_token_is_renewed(running: Running) -> None:
    """One click is enough, and the person hears nothing of it."""
    async with opened(link(running), expected="403 (Forbidden)") as page:
        await expect(page.get_by_test_id("mode")).to_have_text("shadow")
        await page.evaluate("""async () => (await import("/static/store.js")).store.update({ csrf: "outdated" })""")
        await page.get_by_test_id("mode-switch").click()
        await expect(page.get_by_test_id("mode")).to_have_text("enforce")
        await expect(page.locator("#status")).to_be_hidden()
