"""What a community wants done, and the one pure function that applies it. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.domain.action import ACTIONS, LONGEST_TIMEOUT_MINUTES, Action, Alert, Ban, Delete, Timeout
from bot.domain.decision import ALERT_ONLY, QUOTED, Band, Decision
from bot.domain.event import Kind, Message
from model.classifier import Verdict
from model.kinds import Kind as HarmKind
from model.kinds import likeliest, share_of
from model.labels import HARMFUL, Label
from model.presets import PRESET_THRESHOLDS, Preset
from model.prompts import category_prompt


class Mode(StrEnum):
    """Shadow decides and alerts but touches nothing; every community starts in it."""

    SHADOW = "shadow"
    ENFORCE = "enforce"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


LONGEST_BAN_HOURS, MOST_STRIKES, MOST_EXEMPT = 87_600, 1_000, 1_000
"""Ten years; longer is for ever, which None says."""
Name = Annotated[str, Field(max_length=200)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
if TYPE_CHECKING:
    Punishment = str
else:
    Punishment = Literal[ACTIONS.punishments]  # so that an unknown name is answered with those there are


class LabelPolicy(_Frozen):
    """One label's bands and actions. The score of `offensive` includes hate: hate is offensive too."""

    alert_at: Probability
    act_at: Probability
    actions: tuple[Punishment, ...] = ("delete",)
    timeout_minutes: Annotated[int, Field(ge=1, le=LONGEST_TIMEOUT_MINUTES)] = 60
    ban_hours: Annotated[int | None, Field(ge=1, le=LONGEST_BAN_HOURS)] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.act_at < self.alert_at:
            raise ValueError(f"act_at {self.act_at} is below alert_at {self.alert_at}: the action band lies above")
        return self

    def build(self) -> tuple[Action, ...]:
        """The actions of the action band, as data: the message first, then its author, who must still be there to be
        warned."""
        return ACTIONS.build(self.actions, dict(self))


_PRESET_ACTIONS: Mapping[Preset, tuple[tuple[Punishment, ...], tuple[Punishment, ...]]] = {
    "relaxed": (("delete",), ()),
    "standard": (("delete",), ("warn",)),
    "strict": (("delete", "warn"), ("delete", "warn")),
}


def _preset_section(preset: Preset, label: Label) -> LabelPolicy:
    at, actions = PRESET_THRESHOLDS[preset], _PRESET_ACTIONS[preset][HARMFUL.index(label)]
    return LabelPolicy(alert_at=at.alert_at[label], act_at=at.act_at[label], actions=actions)


PRESETS: Mapping[Preset, tuple[LabelPolicy, LabelPolicy]] = {
    name: (_preset_section(name, Label.HATE), _preset_section(name, Label.OFFENSIVE)) for name in PRESET_THRESHOLDS
}
"""(hate, offensive) for communities that would rather choose one of three than eight numbers."""

KindRule = Literal["ignore", "alert only"]
"""What a policy says for a kind of harm: never show it, or show it and never act on it."""
KIND_RULE_AT = 0.5
"""From this probability of the kinds with a rule on, the rule holds for a text."""


class Category(_Frozen):
    """One of a community's own kinds of message, read through GPT-J's instruction; a description says what it means.

    From `alert_at` on moderators are shown the message; None is never, for what is harmless. Nothing is ever punished
    for a category: no moderator has taught it.
    """

    name: str
    description: str = ""
    alert_at: Probability | None = None


class Strikes(_Frozen):
    """Messages acted on in the last `expire_days` escalate: from the n-th strike the author is also timed out, ..."""

    expire_days: Annotated[int, Field(ge=1, le=3650)] = 30
    timeout_at: Annotated[int | None, Field(ge=1, le=MOST_STRIKES)] = 3
    ban_at: Annotated[int | None, Field(ge=1, le=MOST_STRIKES)] = None


class Policy(_Frozen):
    """Everything a community decides for itself. Saved as JSON, edited on the page.

    `max_actions_per_hour` guards against a model gone wrong: so many ordinary members may be acted on within an hour,
    each counted once however many messages it is for. Then acting pauses (`bot/pipeline/hourly_cap.py`).
    """

    mode: Mode = Mode.SHADOW
    hate: LabelPolicy = PRESETS["standard"][0]
    offensive: LabelPolicy = PRESETS["standard"][1]
    strikes: Strikes = Strikes()
    exempt_roles: Annotated[frozenset[Name], Field(max_length=MOST_EXEMPT)] = frozenset()
    exempt_rooms: Annotated[frozenset[Name], Field(max_length=MOST_EXEMPT)] = frozenset()
    names_alert_at: Probability = 0.9
    """Names and titles are never acted on, and shown from this score on, or from a message's where that is higher."""
    max_actions_per_hour: Annotated[int, Field(ge=1, le=100_000)] = 60
    categories: tuple[Category, ...] = ()
    kinds: Mapping[HarmKind, KindRule] = Field(default_factory=dict)
    """Rules for kinds of harm; for a kind without one the label's bands hold."""

    @model_validator(mode="after")
    def _categories_fit(self) -> Self:
        if len({category.name for category in self.categories}) < len(self.categories):
            raise ValueError("two categories have the same name")
        if self.categories:
            category_prompt({category.name: category.description for category in self.categories})
        return self

    @property
    def may_time_out(self) -> bool:
        """Whether the community wants timeouts at all: of a label, or by strikes."""
        return self.strikes.timeout_at is not None or any("timeout" in self.of(label).actions for label in HARMFUL)

    @property
    def asked(self) -> tuple[tuple[str, str], ...]:
        """The own categories as a classifier is asked for them."""
        return tuple((category.name, category.description) for category in self.categories)

    def of(self, label: Label) -> LabelPolicy:
        """The section of a harmful label."""
        return self.hate if label is Label.HATE else self.offensive


def valid_parts(saved: Mapping[str, Any]) -> Policy:
    """A policy that an older version saved, without the sections that no longer hold; then in shadow mode, since nobody
    knows what was meant."""
    try:
        return Policy.model_validate(saved)
    except ValidationError as error:
        wrong = {first["loc"][0] for first in error.errors() if first["loc"]}
        valid = {name: value for name, value in saved.items() if name not in wrong}
    try:
        policy = Policy.model_validate(valid)
    except ValidationError:
        policy = Policy()
    return policy.model_copy(update={"mode": Mode.SHADOW})


def with_preset(policy: Policy, preset: Preset) -> Policy:
    """The same policy with a preset's bands and actions; mode, strikes and exemptions stay."""
    hate, offensive = PRESETS[preset]
    return policy.model_copy(update={"hate": hate, "offensive": offensive})


def preset_of(policy: Policy) -> Preset | None:
    """The preset a policy's bands and actions are, if any."""
    return next((name for name, sections in PRESETS.items() if sections == (policy.hate, policy.offensive)), None)


def with_section(policy: Policy, label: Label, alert: int | None, act: int | None, actions: str | None) -> Policy:
    """The same policy with another threshold in percent, or other actions ("delete, warn"; "none"), for one label.

    Raises `ValidationError` for what does not fit.
    """
    section = policy.of(label).model_dump()
    if alert is not None:
        section["alert_at"] = alert / 100
    if act is not None:
        section["act_at"] = act / 100
    if actions is not None:
        names = [name.strip().lower() for name in actions.split(",")]
        section["actions"] = tuple(name for name in names if name and name != "none")
    return policy.model_copy(update={str(label): LabelPolicy.model_validate(section)})


def with_kind_rule(policy: Policy, kind: HarmKind, rule: KindRule | None) -> Policy:
    """The same policy with another rule for one kind of harm; None is what its label says."""
    rules = {**policy.kinds, kind: rule}
    return policy.model_copy(update={"kinds": {name: said for name, said in rules.items() if said is not None}})


FLOOD_AT = 5
"""From so many messages acted on within a minute on, an author is timed out, where the policy may."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the past says: the author's other messages that were acted on, unexpired (`strikes`) and within the last
    minute; whether the author is an ordinary member; how many of those the community had acted on within the last hour;
    and whether acting is paused there."""

    strikes: int = 0
    last_minute: int = 0
    is_ordinary: bool = False
    members_last_hour: int = 0
    is_paused: bool = False


def kind_rule(verdict: Verdict, policy: Policy) -> KindRule | None:
    """The rule that holds for a text by its kinds, the milder of two rules only if its own kinds are likely."""
    for rules in (("ignore",), ("ignore", "alert only")):
        ruled = [kind for kind, rule in policy.kinds.items() if rule in rules]
        if ruled and share_of(verdict.kinds, ruled) >= KIND_RULE_AT:
            return rules[-1]
    return None


def score_of(verdict: Verdict, label: Label) -> float:
    """The number a label's bands are compared with: P(hate), or for `offensive` P(hate or offensive)."""
    return verdict.probabilities[Label.HATE] if label is Label.HATE else verdict.harm


def band(verdict: Verdict, policy: Policy) -> tuple[Band, LabelPolicy | None]:
    """The band a verdict falls in, and the section whose threshold fires."""
    rule = kind_rule(verdict, policy)
    bands = {"ignore": (), "alert only": (Band.ALERT,)}.get(rule or "", (Band.ACTION, Band.ALERT))
    for reached in bands:
        for label in HARMFUL:
            section = policy.of(label)
            if score_of(verdict, label) >= (section.act_at if reached is Band.ACTION else section.alert_at):
                return reached, section
    return Band.CLEAR, None


def exemption(event: Message, policy: Policy) -> str | None:
    """Why a message is not read at all, or None. Decided before any model is asked."""
    if exempt := sorted(event.key.rooms & policy.exempt_rooms):
        return f"room {exempt[0]} is exempt"
    if shared := sorted(event.author.roles & policy.exempt_roles):
        return f"role {shared[0]} is exempt"
    return None


def decide(
    event: Message,
    verdict: Verdict,
    standing: Standing,
    policy: Policy,
    *,
    disguised: Verdict | None = None,
    quoted: Verdict | None = None,
    may_punish: bool = True,
) -> Decision:
    """Compares the verdict with the bands, the worse label first.

    `disguised` is the verdict on the aggressive view, `quoted` that on what others wrote and the author shows: they can
    lift a message into the alert band, never into action. `may_punish=False` (an old message) does the same with
    everything, and so does a verdict of a stand-in, or of a language that the model is not good enough at. Names and
    titles only alert. The policy's rules for kinds hold for each verdict by its own kinds. No I/O, no clock.
    """
    stand_in = verdict.stand_in or (disguised is not None and disguised.stand_in)
    flags = (("stand-in",) if stand_in else () if verdict.acts else ("language",)) + (() if may_punish else ("old",))
    by_whom = "" if may_punish else ", but too old to act on"
    if stand_in:
        by_whom = ", says the stand-in model: only shown"
    elif not verdict.acts:
        by_whom = f" in language {verdict.language}: only shown"
    kind = event.key.kind
    rule = kind_rule(verdict, policy)
    may_punish = may_punish and verdict.acts and not stand_in and kind is Kind.MESSAGE and rule is None
    flags = flags if kind is Kind.MESSAGE else (str(kind), *flags)
    for label in HARMFUL:
        section, score = policy.of(label), score_of(verdict, label)
        if score >= section.act_at and may_punish:
            return replace(_act(event, label, score, section, standing, policy), kind=likeliest(verdict.kinds))
    for view, flag, how in (
        (verdict, "", ""),
        (disguised, "disguised", " once its disguise is undone"),
        (quoted, QUOTED, " in what is quoted"),
    ):
        if view is None or (rule := kind_rule(view, policy)) == "ignore":
            continue
        for label in HARMFUL:
            bar, score = _alert_at(policy, label, kind), score_of(view, label)
            if score >= bar:
                reason = f"{label} {score:.2f} ≥ alert threshold {bar:.2f}{how}{by_whom}"
                is_spared = rule is not None and score >= policy.of(label).act_at
                flags = (*((flag,) if flag else ()), *((ALERT_ONLY,) if is_spared else ()), *flags)
                of_kind = likeliest(view.kinds)
                return Decision(Band.ALERT, label, score, bar, (Alert(),), True, reason, flags=flags, kind=of_kind)
    for score, name, threshold in sorted(_over(verdict, policy), reverse=True):
        reason = f'category "{name}" {score:.2f} ≥ alert threshold {threshold:.2f}'
        flags = ("category", *flags)
        return Decision(Band.ALERT, Label.NEUTRAL, score, threshold, (Alert(),), True, reason, flags=flags)
    if script := verdict.unread_script:
        return Decision(Band.CLEAR, Label.NEUTRAL, 0.0, 0.0, reason=f"not read: {script}", unread_script=script)
    reason = "of a kind that is ignored here" if kind_rule(verdict, policy) == "ignore" else "below every threshold"
    return Decision(Band.CLEAR, Label.NEUTRAL, verdict.harm, 0.0, reason=reason, kind=likeliest(verdict.kinds))


def _alert_at(policy: Policy, label: Label, kind: Kind) -> float:
    bar = policy.of(label).alert_at
    return bar if kind is Kind.MESSAGE else max(bar, policy.names_alert_at)


def _over(verdict: Verdict, policy: Policy) -> list[tuple[float, str, float]]:
    """(probability, name, threshold) of the own categories that are to be shown."""
    return [
        (score, category.name, category.alert_at)
        for category in policy.categories
        if category.alert_at is not None and (score := verdict.categories.get(category.name, 0.0)) >= category.alert_at
    ]


def _act(
    event: Message, label: Label, score: float, section: LabelPolicy, standing: Standing, policy: Policy
) -> Decision:
    """The action band: the section's actions, escalation by strikes and in a flood, the hourly cap, and the mode."""
    actions = list(section.build())
    reason = f"{label} {score:.2f} ≥ action threshold {section.act_at:.2f}"
    strike, names = standing.strikes + 1, {action.name for action in actions}
    flags: tuple[str, ...] = ()
    if policy.strikes.ban_at is not None and strike >= policy.strikes.ban_at and "ban" not in names:
        actions.append(Ban(section.ban_hours))
        flags = ("strike",)
        reason += f"; strike {strike} of {policy.strikes.ban_at}: ban"
    elif (
        policy.strikes.timeout_at is not None and strike >= policy.strikes.timeout_at and not names & {"timeout", "ban"}
    ):
        actions.append(Timeout(section.timeout_minutes))
        flags = ("strike",)
        reason += f"; strike {strike} (from {policy.strikes.timeout_at}): timeout"
    elif standing.last_minute + 1 >= FLOOD_AT and policy.may_time_out and not names & {"timeout", "ban"}:
        actions.append(Timeout(section.timeout_minutes))
        flags = ("flood",)
        reason += f"; message {standing.last_minute + 1} within a minute: timeout"
    if event.author.is_moderator:
        actions, flags = [], ("moderator",)
        reason += "; written by a moderator: only shown"
    elif event.author.is_bot:
        actions, flags = [a for a in actions if isinstance(a, Delete)], ("bot",)
    enforced, trips = policy.mode is Mode.ENFORCE, False
    touches = enforced and bool(actions)
    if touches and standing.is_paused:
        enforced, flags = False, (*flags, "cap")
        reason += "; acting is paused: only shown"
    elif touches and standing.is_ordinary and standing.members_last_hour >= policy.max_actions_per_hour:
        enforced, trips, flags = False, True, (*flags, "cap")
        reason += f"; {policy.max_actions_per_hour} ordinary members acted on within an hour: acting pauses"
    return Decision(
        Band.ACTION,
        label,
        score,
        section.act_at,
        (*actions, Alert()),
        enforced,
        reason,
        trips,
        counts=touches and enforced and standing.is_ordinary,
        flags=flags,
    )


def strike_expiry(policy: Policy, now: datetime) -> datetime:
    """Strikes before this moment no longer count."""
    return now - timedelta(days=policy.strikes.expire_days)
