"""Every text-bearing field of Discord's message, thread, member and scheduled event that the library knows, nested ones
too: read, or known to be nobody's words."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.platforms.authored_text import Rules
from bot.platforms.discord.authored_text import KNOWN, UNWRITTEN, words_of

MARK = "MARKED words"
ANOTHERS = {"User", "PartialUser", "UserWithMember", "Member", "Message"}
SHAPES = {
    "User": {"id": "8", "username": "ben"},
    "PartialUser": {"id": "8", "username": "ben"},
    "UserWithMember": {"id": "8", "username": "ben"},
    "Message": {"id": "3", "author": {}, "channel_id": "4"},
}
"""How one knows what an object is."""
Step = tuple[str, str, bool]


def declared() -> dict[str, str | dict[str, str]]:
    """The library's payloads: fields and annotations of each, and what stands for several of them."""
    found: dict[str, str | dict[str, str]] = {}
    components: list[str] = []
    folder = Path(discord.__file__).with_name("types")
    for name in ("message", "threads", "user", "member", "scheduled_event", "embed", "components", "poll", "sticker"):
        for node in ast.parse((folder / f"{name}.py").read_text()).body:
            if isinstance(node, ast.ClassDef):
                own = {
                    field.target.id: ast.unparse(field.annotation)
                    for field in node.body
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                }
                for base in node.bases:
                    inherited = found.get(base.id, {}) if isinstance(base, ast.Name) else {}
                    own = (inherited if isinstance(inherited, dict) else {}) | own
                found[node.name] = own
                components += (
                    [node.name] if {"ComponentBase", *components} & {ast.unparse(b) for b in node.bases} else []
                )
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = ast.unparse(node.value)
    return found | {"ComponentBase": ", ".join(components)}


TYPES = declared()


def paths(kind: str, above: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Every way to a string; a class inside itself is not entered again."""
    about = TYPES.get(kind, {})
    if isinstance(about, str):
        for one in re.findall(r"\w+", about):
            if one in TYPES and one != kind:
                yield from paths(one, above)
        return
    for name, hint in about.items():
        listed = "List[" in hint
        if re.search(r"\bstr\b", hint):
            yield (*above, (name, "str", listed))
        for one in re.findall(r"\w+", hint):
            known = {there for _, there, _ in above}
            if one in TYPES and one not in known and len(above) < 6 and kind not in ANOTHERS - {"Message"}:
                yield from paths(one, (*above, (name, one, listed)))


def payload(path: tuple[Step, ...]) -> Any:
    """The object in which only this string is marked."""
    (name, kind, listed), rest = path[0], path[1:]
    value = {**SHAPES.get(kind, {}), **payload(rest)} if rest else MARK
    return {name: [value] if listed else value}


IN_A_MESSAGE = {".".join(name for name, _, _ in path): path for path in paths("Message")}
IN_AN_EVENT = {".".join(name for name, _, _ in path): path for path in paths("ExternalScheduledEvent")}


def test_the_walk_finds_what_there_is() -> None:
    """So that it does not pass for want of fields."""
    assert {"content", "embeds.fields.value", "poll.answers.poll_media.text", "components.placeholder"} <= {
        *IN_A_MESSAGE
    }
    assert {"name", "description", "entity_metadata.location"} <= {*IN_AN_EVENT} and len(IN_A_MESSAGE) > 100


def is_known(path: tuple[Step, ...]) -> bool:
    rules = Rules(UNWRITTEN, lambda name, part, whose: whose)
    parts = ["message", *(name for name, _, _ in path)]
    reasons = [rules.why_unwritten(part, name) for part, name in itertools.pairwise(parts)]
    return any(reasons) or any(kind in ANOTHERS for _, kind, _ in path)


@pytest.mark.parametrize("path", [*IN_A_MESSAGE.values(), *IN_AN_EVENT.values()], ids=[*IN_A_MESSAGE, *IN_AN_EVENT])
def test_a_field_is_read_or_known_to_be_nobodys_words(path: tuple[Step, ...]) -> None:
    """In its author's words, or with a reason in the list, or in a person or another message."""
    own, _ = words_of(payload(path))
    assert (MARK in own) != is_known(path)


def test_a_thread_has_one_title_and_a_member_the_names_that_are_read() -> None:
    """A thread's name is read as a title. Of a member what others see: a nickname, else the global name, else the
    user name; the rest are codes and pictures."""
    texts = {".".join(name for name, _, _ in path) for path in paths("Thread") if not is_known(path)}
    assert texts == {"name"}
    codes = {"discriminator", "locale", "email", "permissions", "premium_since", "communication_disabled_until"}
    for kind, names in (("Member", {"nick"}), ("User", {"global_name", "username"})):
        about = TYPES[kind]
        assert isinstance(about, dict)
        strings = {name for name, hint in about.items() if re.search(r"\bstr\b", hint)}
        assert {name for name in strings - codes if not is_known(((name, "str", False),))} == names


def test_every_field_of_a_message_is_known() -> None:
    """A field the library knows is no riddle."""
    assert set(TYPES["Message"]) <= KNOWN
