"""Answers managers: mode, policy, rooms that are left alone."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from bot.conversation.context import Markup, RequestContext
from bot.conversation.status import mode_line
from bot.domain.action import action_text
from bot.domain.policy import PRESETS, KindRule, Mode, Policy, preset_of, with_kind_rule, with_preset, with_section
from bot.pipeline.pipeline import Pipeline
from bot.text.inert import one_line
from bot.text.validation import first_problem
from model.kinds import KINDS, Kind
from model.labels import HARMFUL, Label
from model.presets import Preset

Changed = Callable[[RequestContext], Awaitable[None]]
RULES: Mapping[str, KindRule | None] = {"ignore": "ignore", "alert only": "alert only", "normal": None}
"""What may be said of a kind of harm; "normal" is what its label says."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A wished change: a preset, one label's thresholds in percent and its actions, or the rule for one kind of harm
    (one of `RULES`)."""

    preset: Preset | None = None
    label: str | None = None
    alert: int | None = None
    act: int | None = None
    actions: str | None = None
    kind: str | None = None
    rule: str | None = None

    @property
    def changes_label(self) -> bool:
        """Whether one label's section is to change."""
        return (self.alert, self.act, self.actions) != (None, None, None)

    def __bool__(self) -> bool:
        return self.preset is not None or self.changes_label or (self.kind is not None and self.rule is not None)


class PolicyAnswers:
    """/mode, /policy, /skip."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def mode(self, context: RequestContext, mode: str) -> None:
        """Shadow or enforce, from the next decision on."""
        if mode not in list(Mode):
            await context.tell(context.say("how-mode"))
            return
        policy = await self._pipeline.policy(context.community)
        if too_much := context.beyond(context.lacks(policy.model_copy(update={"mode": Mode(mode)}))):
            await context.tell(too_much)
            return
        await self._pipeline.set_mode(context.community, Mode(mode))
        await context.tell(context.say(f"mode-set-{mode}"))

    async def policy(self, context: RequestContext, change: PolicyChange | None) -> None:
        """Changes what is given, then says how the policy stands; None is a change that could not be read."""
        if change is None:
            await context.tell(context.say("how-policy"))
            return
        policy = await self._pipeline.policy(context.community)
        if change.preset is not None:
            policy = with_preset(policy, change.preset)
        if change.changes_label:
            if change.label is None:
                await context.tell(context.say("policy-which-label"))
                return
            try:
                policy = with_section(policy, Label(change.label), change.alert, change.act, change.actions)
            except ValidationError as error:
                await context.tell(context.say("policy-bad", error=one_line(first_problem(error), 400)))
                return
        if (change.kind is None) is not (change.rule is None):
            await context.tell(context.say("policy-which-rule"))
            return
        if change.kind is not None and change.rule is not None:
            policy = with_kind_rule(policy, Kind(change.kind), RULES[change.rule])
        if change:
            if too_much := context.beyond(context.lacks(policy)):
                await context.tell(too_much)
                return
            await self._pipeline.set_policy(context.community, policy)
        await context.tell(*policy_lines(context, policy))

    async def skip(self, context: RequestContext, room: str) -> None:
        """Leaves a room alone from now on, or reads it again; "" is no room that can be left alone."""
        if not room:
            await context.tell(context.say("how-skip"))
            return
        policy = await self._pipeline.policy(context.community)
        rooms = policy.exempt_rooms ^ {room}
        await self._pipeline.set_policy(context.community, policy.model_copy(update={"exempt_rooms": rooms}))
        await context.tell(context.say("skip-left-alone" if room in rooms else "skip-read-again"))


def typed_change(typed: str) -> PolicyChange | None:
    """Reads `strict`, `hate 60 90 delete, warn`, or `swearing alert only`; None where it is nothing of these."""
    words = typed.split(maxsplit=3)
    if not words:
        return PolicyChange()
    for preset in PRESETS:
        if words == [preset]:
            return PolicyChange(preset=preset)
    if words[0] in KINDS:
        rule = " ".join(words[1:])
        return PolicyChange(kind=words[0], rule=rule) if rule in RULES else None
    numbers = [int(word) for word in words[1:3] if word.isdecimal() and len(word) <= 3]
    if words[0] not in [str(label) for label in HARMFUL] or len(numbers) != 2:
        return None
    alert, act = numbers
    return PolicyChange(None, words[0], alert, act, words[3] if len(words) > 3 else None)


def policy_lines(context: RequestContext, policy: Policy) -> list[Markup]:
    """The policy in words."""
    preset = preset_of(policy)
    lines = [
        context.say("policy-preset", preset=context.say(f"preset-{preset}")) if preset else context.say("policy-own")
    ]
    for label in HARMFUL:
        section = policy.of(label)
        actions = ", ".join(action_text(context.language, action) for action in section.build())
        lines.append(
            context.say(
                "policy-line",
                label=context.say(f"label-{label}"),
                alert=round(100 * section.alert_at),
                act=round(100 * section.act_at),
                actions=actions or context.say("policy-no-action"),
            )
        )
    for kind in KINDS:
        if rule := policy.kinds.get(kind):
            lines.append(context.say(f"policy-kind-{rule.replace(' ', '-')}", kind=context.say(f"kind-{kind}")))
    alone = context.left_alone(policy)
    lines.append(context.say("policy-names", alert=round(100 * policy.names_alert_at)))
    lines.append(context.say("policy-exempt", what=alone) if alone else context.say("policy-exempt-none"))
    return [*lines, context.reply.ours(mode_line(policy, context.language))]
