"""The table of actions: everything that knows actions follows from it, and what cannot follow is asked for here."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import pytest

from bot.console.facts import facts
from bot.domain.action import ACTIONS, Action, ActionSpec, ActionTable, Alert, Ban, Delete, Kick, Length, Timeout, Warn
from bot.domain.policy import LabelPolicy, Punishment
from bot.text.language import say

BOT = Path(__file__).parents[3] / "bot"
PLATFORMS, LOCALES = BOT / "platforms", BOT / "text" / "locales"
SENTENCES = BOT / "console" / "static" / "sentences.js"
EVERY = (Delete(), Warn(), Timeout(60), Kick(), Ban(), Ban(24), Alert())


@dataclass(frozen=True, slots=True)
class Slow(Action):
    """A new action: the author may write once in so many `seconds`."""

    seconds: int
    name: ClassVar[str] = "slow"


SLOW = ActionSpec(
    Slow,
    "action-slow",
    is_reversible=True,
    length=Length("seconds", "slow_seconds", most=60),
    covered_by=(Timeout, Ban),
)
LONGER = ActionTable([*ACTIONS.specs[:2], SLOW, *ACTIONS.specs[2:]])


def test_one_entry_is_all_that_a_new_action_needs() -> None:
    """Encoding, what a policy may name, its length, the order, Undo and what goes further come from the entry."""
    assert LONGER.to_json(Slow(30)) == {"name": "slow", "seconds": 30}
    assert LONGER.from_json({"name": "slow", "seconds": 30}) == Slow(30)
    assert LONGER.punishments == ("delete", "warn", "slow", "timeout", "kick", "ban")
    assert LONGER.build(("slow", "delete"), {"slow_seconds": 15}) == (Delete(), Slow(15))
    assert LONGER.is_reversible(Slow(1))
    assert LONGER.is_covered(Slow(10), [Slow(20)]) and LONGER.is_covered(Slow(10), [Timeout(1)])
    assert not LONGER.is_covered(Slow(20), [Slow(10), Kick()])
    assert LONGER.together([Ban(), Slow(5)], [Slow(9), Delete()]) == (Delete(), Slow(9), Ban())


@pytest.mark.parametrize("action", EVERY, ids=str)
def test_an_action_comes_back_from_the_journal_as_it_went_there(action: Action) -> None:
    assert ACTIONS.from_json(ACTIONS.to_json(action)) == action


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "shout"},
        {"name": "timeout"},
        {"name": "timeout", "minutes": None},
        {"name": "timeout", "minutes": 0},
        {"name": "timeout", "minutes": 40_321},
        {"name": "timeout", "minutes": "60"},
        {"name": "ban", "hours": 0},
        {"name": "ban", "hours": 1.5},
    ],
    ids=str,
)
def test_what_is_no_action_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not an action"):
        ACTIONS.from_json(wrong)


@pytest.mark.parametrize(
    ("action", "done", "covered"),
    [
        (Delete(), [Delete()], True),
        (Delete(), [Ban()], False),
        (Warn(), [Warn(3)], True),
        (Timeout(60), [Timeout(60)], True),
        (Timeout(60), [Timeout(59)], False),
        (Timeout(60), [Ban(1)], True),
        (Kick(), [Ban(1)], True),
        (Kick(), [Timeout(60)], False),
        (Ban(2), [Ban()], True),
        (Ban(2), [Ban(1)], False),
        (Ban(), [Ban(1_000)], False),
        (Alert(), [Alert()], False),
    ],
)
def test_what_goes_further_covers_what_is_asked_for(action: Action, done: list[Action], covered: bool) -> None:
    assert ACTIONS.is_covered(action, done) is covered


def test_a_policy_and_the_page_offer_what_the_table_has() -> None:
    assert get_args(Punishment) == ACTIONS.punishments
    assert tuple(facts()["actions"]) == ACTIONS.punishments
    built = LabelPolicy(alert_at=0.5, act_at=0.9, actions=ACTIONS.punishments, ban_hours=3).build()
    assert built == (Delete(), Warn(), Timeout(60), Kick(), Ban(3))


# What follows names the places that the table cannot fill: texts, a setting for a length, and each platform's handlers.


@pytest.mark.parametrize("spec", ACTIONS.specs, ids=lambda spec: spec.kind.name)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_an_action_has_its_texts(spec: ActionSpec, language: str) -> None:
    keys = [spec.text] + ([spec.length.text_for_good] if spec.length and spec.length.text_for_good else [])
    written = (LOCALES / f"{language}.ftl").read_text("utf-8")
    for key in keys:
        assert f"\n{key} =" in written
    if spec.length is not None:
        assert "7" in say(language, spec.text, **{spec.length.unit: 7})


@pytest.mark.parametrize("spec", [spec for spec in ACTIONS.specs if spec.length], ids=lambda spec: spec.kind.name)
def test_a_length_has_its_setting_and_the_page_names_it(spec: ActionSpec) -> None:
    assert spec.length is not None and spec.length.setting in LabelPolicy.model_fields
    assert f"{spec.length.setting}:" in SENTENCES.read_text("utf-8")


def handled_in(platform: Path, function: str) -> Iterator[str]:
    """The classes that a platform's functions of this name have a `case` for."""
    for path in platform.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
                for part in ast.walk(node):
                    if isinstance(part, ast.MatchClass) and isinstance(part.cls, ast.Name):
                        yield part.cls.id


@pytest.mark.parametrize("platform", ["discord", "telegram", "webchat"])
def test_each_platform_handles_each_punishment(platform: str) -> None:
    """What lasts can be lifted everywhere; a deleted message comes back only in the try-out chat."""
    performed, undone = ({*handled_in(PLATFORMS / platform, name)} for name in ("perform", "undo"))
    for spec in ACTIONS.specs:
        if spec.is_punishment:
            assert spec.kind.__name__ in performed, f"{platform} does not perform {spec.kind.name}"
        if spec.is_reversible and (spec.length is not None or platform == "webchat"):
            assert spec.kind.__name__ in undone, f"{platform} does not undo {spec.kind.name}"


@pytest.mark.parametrize("platform", ["discord", "telegram"])
def test_each_platform_knows_the_right_of_each_punishment(platform: str) -> None:
    """A warning takes none."""
    known = {*handled_in(PLATFORMS / platform, "right_for")}
    for spec in ACTIONS.specs:
        assert spec.kind.__name__ in known or not spec.is_punishment or spec.kind is Warn, spec.kind.name
