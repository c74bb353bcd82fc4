"""The tables of rights: the papers say what the code asks for, and what follows from an administrator's rights."""

import re
from pathlib import Path

import pytest

from bot.domain.policy import LabelPolicy, Mode, Policy, Strikes
from bot.platforms.discord import who_may as discord
from bot.platforms.telegram import who_may as telegram
from bot.text.language import say

DOCS = Path(__file__).parents[3] / "docs"
ROW = re.compile(r"^\| (.+?) \| (everybody|moderators|managers|moderators, managers) \| ", re.MULTILINE)
TELEGRAM = {
    telegram.EVERYBODY: "everybody",
    telegram.Right.MODERATE: "moderators",
    telegram.Right.MANAGE: "managers",
    telegram.EITHER: "moderators, managers",
}
DISCORD = {
    discord.Level.MEMBER: "everybody",
    discord.Level.MODERATOR: "moderators",
    discord.Level.MANAGER: "managers",
}
ON_CARDS = {"digest": "next"}
PART_OF_ANOTHER = {"in", "page", "mine", "label", "card"}
"""Buttons that lead on: which group, one's own data, which label, back to the card."""
OF_THE_SET_UP = ("telegram-cards-here", "setup-preset", "telegram-to-enforce", "telegram-link-button")


def written(page: str) -> dict[str, str]:
    """Who may, by command and button, as a page says it."""
    found = {}
    for names, who in ROW.findall((DOCS / page).read_text(encoding="utf-8")):
        for command, button in re.findall(r"`/?([^`]+)`|\*\*([^*]+)\*\*", names):
            assert (command or f"[{button}]") not in found, "said twice"
            found[command or f"[{button}]"] = who
    return found


def test_the_page_on_telegram_says_who_may() -> None:
    """Each command and button once, with the right that the code asks for."""
    wanted = {name: TELEGRAM[right] for name, right in (telegram.COMMANDS | telegram.DEEDS).items()}
    for button, right in telegram.BUTTONS.items():
        if button not in PART_OF_ANOTHER | {"set"}:
            wanted[f"[{say('en', f'button-{button}')}]"] = TELEGRAM[right]
    wanted |= {f"[{say('en', name)}]": TELEGRAM[telegram.BUTTONS["set"]] for name in OF_THE_SET_UP}
    assert written("telegram.md") == wanted


def test_the_page_on_discord_says_who_may() -> None:
    """The same there."""
    wanted = {name: DISCORD[level] for name, level in (discord.COMMANDS | discord.DEEDS).items()}
    for button, level in discord.BUTTONS.items():
        if button not in PART_OF_ANOTHER:
            wanted[f"[{say('en', f'button-{ON_CARDS.get(button, button)}')}]"] = DISCORD[level]
    assert written("discord.md") == wanted


@pytest.mark.parametrize(
    "rights, moderates, manages",
    [
        ((), False, False),
        (("can_manage_chat", "can_pin_messages", "can_invite_users", "can_manage_video_chats"), False, False),
        (("can_delete_messages",), True, False),
        (("can_restrict_members",), True, False),
        (("can_change_info",), False, True),
        (("can_promote_members",), False, True),
        (("can_delete_messages", "can_change_info"), True, True),
        (("can_delete_stories", "can_post_stories"), False, False),
    ],
)
def test_what_follows_from_an_administrators_rights(rights: tuple[str, ...], moderates: bool, manages: bool) -> None:
    """Being an administrator gives nothing."""
    found = telegram.rights_from(frozenset(rights))
    assert (telegram.Right.MODERATE in found, telegram.Right.MANAGE in found) == (moderates, manages)


ACTING = LabelPolicy(alert_at=0.5, act_at=0.9, actions=("delete",))
NOT_ACTING = LabelPolicy(alert_at=0.5, act_at=0.9, actions=("warn",))
NO_STRIKES = Strikes(timeout_at=None)


@pytest.mark.parametrize(
    "policy, beyond",
    [
        (Policy(), []),
        (Policy(mode=Mode.ENFORCE), ["can_delete_messages", "can_restrict_members"]),
        (Policy(mode=Mode.ENFORCE, hate=ACTING, offensive=NOT_ACTING, strikes=NO_STRIKES), ["can_delete_messages"]),
        (Policy(mode=Mode.ENFORCE, hate=NOT_ACTING, offensive=NOT_ACTING, strikes=NO_STRIKES), []),
        (
            Policy(
                mode=Mode.ENFORCE, hate=NOT_ACTING, offensive=NOT_ACTING, strikes=Strikes(timeout_at=None, ban_at=9)
            ),
            ["can_restrict_members"],
        ),
        *(
            (
                Policy(
                    mode=Mode.ENFORCE,
                    hate=NOT_ACTING,
                    offensive=LabelPolicy(alert_at=0.5, act_at=0.9, actions=(action,)),  # type: ignore[arg-type]
                    strikes=NO_STRIKES,
                ),
                ["can_restrict_members"],
            )
            for action in ("timeout", "kick", "ban")
        ),
    ],
)
def test_which_rights_a_policy_makes_the_bot_use(policy: Policy, beyond: list[str]) -> None:
    """Of either label, and by strikes; none in shadow mode."""
    assert telegram.rights_beyond(frozenset(), policy) == beyond
    assert telegram.rights_beyond(frozenset(beyond), policy) == []
