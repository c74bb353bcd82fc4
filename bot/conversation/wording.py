"""Sentences that more than one platform says: a policy, whether corrections teach, how all is."""

from bot.domain.action import action_text
from bot.domain.policy import Mode, Policy, preset_of
from bot.store import Counts
from bot.text.language import Language, say
from model.labels import HARMFUL


def mode_line(policy: Policy, language: Language, *, is_paused: bool = False) -> str:
    """Shadow or enforce, and what that means; whether the hourly cap keeps enforce from acting."""
    if policy.mode is not Mode.ENFORCE:
        return say(language, "status-mode-shadow")
    return say(language, "status-mode-paused" if is_paused else "status-mode-enforce")


def policy_lines(policy: Policy, language: Language, left_alone: str) -> list[str]:
    """The policy in words; `left_alone` names exempt roles and rooms as the platform shows them, "" for none."""
    preset = preset_of(policy)
    lines = [
        say(language, "policy-preset", preset=say(language, f"preset-{preset}"))
        if preset
        else say(language, "policy-own")
    ]
    for label in HARMFUL:
        section = policy.of(label)
        actions = ", ".join(action_text(language, action) for action in section.build())
        lines.append(
            say(
                language,
                "policy-line",
                label=say(language, f"label-{label}"),
                alert=round(100 * section.alert_at),
                act=round(100 * section.act_at),
                actions=actions or say(language, "policy-no-action"),
            )
        )
    lines.append(say(language, "policy-names", alert=round(100 * policy.names_alert_at)))
    lines.append(say(language, "policy-exempt", what=left_alone) if left_alone else say(language, "policy-exempt-none"))
    return [*lines, mode_line(policy, language)]


def counts_line(counts: Counts, language: Language) -> str:
    """What happened in the last day."""
    return say(
        language,
        "status-counts",
        seen=counts.messages,
        cases=counts.opened,
        answered=counts.answered,
        acted=counts.acted,
    )
