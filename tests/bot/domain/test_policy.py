"""`decide`: each rule is a row."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from bot.domain.action import Alert, Ban, Delete, Timeout, Warn, from_json, to_json
from bot.domain.decision import Band, Decision
from bot.domain.policy import Category, KindRule, LabelPolicy, Mode, Policy, Standing, Strikes, decide, exemption
from model.kinds import Kind
from model.labels import Label
from tests.conftest import said, verdict

ENFORCE = Policy(mode=Mode.ENFORCE)


@pytest.mark.parametrize(
    ("hate", "offensive", "band", "label", "actions"),
    [
        (0.90, 0.05, Band.ACTION, Label.HATE, (Delete(), Alert())),
        (0.60, 0.05, Band.ALERT, Label.HATE, (Alert(),)),
        (0.05, 0.92, Band.ACTION, Label.OFFENSIVE, (Warn(), Alert())),
        (0.45, 0.40, Band.ALERT, Label.OFFENSIVE, (Alert(),)),
        (0.10, 0.20, Band.CLEAR, Label.NEUTRAL, ()),
    ],
)
def test_bands(hate: float, offensive: float, band: Band, label: Label, actions: tuple[object, ...]) -> None:
    """The worse label first; hate counts towards offensive."""
    decision = decide(said("x"), verdict(hate, offensive), Standing(), ENFORCE)
    assert (decision.band, decision.label, decision.actions) == (band, label, actions)


def test_shadow_mode_decides_and_touches_nothing() -> None:
    """The same decision, not enforced."""
    decision = decide(said("x"), verdict(0.9), Standing(), Policy())
    assert decision.actions == (Delete(), Alert()) and not decision.enforced


def test_a_disguise_can_raise_an_alert_but_never_an_action() -> None:
    """The aggressive view flags, whatever its score."""
    decision = decide(said("x"), verdict(), Standing(), ENFORCE, disguised=verdict(0.99))
    assert (decision.band, decision.actions, decision.flags) == (Band.ALERT, (Alert(),), ("disguised",))


def test_what_others_wrote_can_raise_an_alert_but_never_an_action() -> None:
    """What a message quotes flags, whatever its score; the author's own words come first."""
    decision = decide(said("x"), verdict(), Standing(strikes=9), ENFORCE, quoted=verdict(0.99))
    assert (decision.band, decision.actions, decision.flags) == (Band.ALERT, (Alert(),), ("quoted",))
    own = decide(said("x"), verdict(0.9), Standing(), ENFORCE, quoted=verdict(0.99))
    assert own.band is Band.ACTION and "quoted" not in own.flags


@pytest.mark.parametrize(
    ("number", "score", "bar", "band"),
    [
        ("name-7", 0.99, 0.9, Band.ALERT),
        ("title-7", 0.99, 0.9, Band.ALERT),
        ("-100:name-7", 0.99, 0.9, Band.ALERT),
        ("-100:title-7", 0.95, 0.9, Band.ALERT),
        ("name-7", 0.89, 0.9, Band.CLEAR),
        ("name-7", 0.60, 0.2, Band.ALERT),
        ("name-7", 0.45, 0.2, Band.CLEAR),
        ("-100:7", 0.99, 0.9, Band.ACTION),
    ],
)
def test_names_and_titles_only_alert(number: str, score: float, bar: float, band: Band) -> None:
    """From a bar of their own on, never below a message's; never an action."""
    policy = ENFORCE.model_copy(update={"names_alert_at": bar})
    decision = decide(said("x", number), verdict(score), Standing(strikes=9), policy)
    assert decision.band is band
    if band is Band.ALERT:
        assert decision.actions == (Alert(),) and decision.flags[0] in ("name", "title")


def test_a_disguised_name_only_alerts_too() -> None:
    """Both reasons are said."""
    decision = decide(said("x", "name-7"), verdict(), Standing(), ENFORCE, disguised=verdict(0.99))
    assert decision.actions == (Alert(),) and decision.flags == ("disguised", "name")


def test_a_stand_in_model_never_punishes() -> None:
    """Its mark turns the action band into an alert that says why, and so does `may_punish=False`."""
    decision = decide(said("x"), replace(verdict(0.99), stand_in=True), Standing(), ENFORCE)
    assert (decision.band, decision.actions, decision.flags) == (Band.ALERT, (Alert(),), ("stand-in",))
    assert "stand-in" in decision.reason
    assert decide(said("x"), verdict(0.99), Standing(), ENFORCE, may_punish=False).actions == (Alert(),)


def test_a_language_that_is_not_read_well_is_never_punished() -> None:
    """The verdict alerts, and says why."""
    decision = decide(said("x"), replace(verdict(0.99), language="sw", acts=False), Standing(), ENFORCE)
    assert (decision.band, decision.actions, decision.flags) == (Band.ALERT, (Alert(),), ("language",))
    assert decision.reason.endswith("in language sw: only shown")
    assert decide(said("x"), replace(verdict(0.99), language="de"), Standing(), ENFORCE).band is Band.ACTION


def test_strikes_escalate() -> None:
    """The third message acted on also brings a timeout, a later one a ban where the policy says so."""
    policy = ENFORCE.model_copy(update={"strikes": Strikes(timeout_at=3, ban_at=5)})
    assert Timeout(60) not in decide(said("x"), verdict(0.9), Standing(strikes=1), policy).actions
    assert Timeout(60) in decide(said("x"), verdict(0.9), Standing(strikes=2), policy).actions
    assert Ban(None) in decide(said("x"), verdict(0.9), Standing(strikes=4), policy).actions


def test_the_hourly_cap_counts_ordinary_members_alone() -> None:
    """The 61st ordinary member of an hour is spared, and acting pauses; others are acted on as before."""
    decision = decide(said("x"), verdict(0.9), Standing(is_ordinary=True, members_last_hour=60), ENFORCE)
    assert not decision.enforced and decision.trips and not decision.counts and "acting pauses" in decision.reason
    known = decide(said("x"), verdict(0.9), Standing(is_ordinary=False, members_last_hour=60), ENFORCE)
    assert known.enforced and not known.trips and not known.counts
    assert decide(said("x"), verdict(0.9), Standing(is_ordinary=True, members_last_hour=59), ENFORCE).counts


def test_while_acting_is_paused_everything_is_only_shown() -> None:
    """Nobody is touched, and it does not pause a second time."""
    decision = decide(said("x"), verdict(0.9), Standing(is_ordinary=True, is_paused=True), ENFORCE)
    assert not decision.enforced and not decision.trips and "cap" in decision.flags


def test_the_fifth_message_within_a_minute_brings_a_timeout_where_the_policy_may() -> None:
    """Where strikes do not: a policy that knows no timeouts gets none."""
    slow = ENFORCE.model_copy(update={"strikes": Strikes(timeout_at=10)})
    assert Timeout(60) not in decide(said("x"), verdict(0.9), Standing(strikes=3, last_minute=3), slow).actions
    assert Timeout(60) in decide(said("x"), verdict(0.9), Standing(strikes=4, last_minute=4), slow).actions
    never = ENFORCE.model_copy(update={"strikes": Strikes(timeout_at=None)})
    assert Timeout(60) not in decide(said("x"), verdict(0.9), Standing(strikes=9, last_minute=9), never).actions


def test_moderators_and_bots_are_not_punished() -> None:
    """A moderator's message is only shown; another bot's is deleted, the bot is not banned."""
    harsh = ENFORCE.model_copy(update={"hate": LabelPolicy(alert_at=0.5, act_at=0.8, actions=("delete", "ban"))})
    assert decide(said("x", is_moderator=True), verdict(0.9), Standing(), harsh).actions == (Alert(),)
    assert decide(said("x", is_bot=True), verdict(0.9), Standing(), harsh).actions == (Delete(), Alert())


def test_exemptions_are_found_without_a_model() -> None:
    """By role and by room."""
    event = said("x", roles=frozenset({"poet"}))
    assert exemption(event, Policy(exempt_roles=frozenset({"poet"}))) == "role poet is exempt"
    assert exemption(event, Policy(exempt_rooms=frozenset({"lounge"}))) == "room lounge is exempt"
    assert exemption(event, Policy()) is None


def test_the_action_band_lies_above_the_alert_band() -> None:
    """A policy that would act before it alerts is refused."""
    with pytest.raises(ValidationError, match="below alert_at"):
        LabelPolicy(alert_at=0.9, act_at=0.5)


@pytest.mark.parametrize("action", [Alert(), Warn(), Delete(), Timeout(5), Ban(None), Ban(3)])
def test_actions_survive_the_journal(action: object) -> None:
    """To JSON and back."""
    assert from_json(to_json(action)) == action  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data", [{}, {"name": "shout"}, {"name": "timeout", "minutes": 0}, {"name": "ban", "hours": 0}]
)
def test_nonsense_is_no_action(data: dict[str, object]) -> None:
    """A spoiled journal row does not become a punishment."""
    with pytest.raises(ValueError, match="not an action"):
        from_json(data)


TALK = Policy(categories=(Category(name="advertising", description="offers", alert_at=0.6), Category(name="talk")))


@pytest.mark.parametrize(
    ("found", "band"),
    [
        ({"advertising": 0.7, "talk": 0.3}, Band.ALERT),
        ({"advertising": 0.5, "talk": 0.5}, Band.CLEAR),
        ({"advertising": 0.1, "talk": 0.9}, Band.CLEAR),
        ({}, Band.CLEAR),
    ],
)
def test_an_own_category_is_shown_and_never_punished(found: dict[str, float], band: Band) -> None:
    """From its threshold on; a category without one is never shown, and a base that knows none shows nothing."""
    said_so = replace(verdict(), categories=found)
    decision = decide(said("buy now"), said_so, Standing(), TALK.model_copy(update={"mode": Mode.ENFORCE}))
    assert decision.band is band and all(action.name == "alert" for action in decision.actions)
    assert ("advertising" in decision.reason) is (band is Band.ALERT)


@pytest.mark.parametrize(
    "names", [("alone",), ("twice", "twice"), ("Same", "same"), ("", "empty"), ("two\nlines", "other"), ("x" * 41, "y")]
)
def test_categories_that_cannot_be_asked_are_refused(names: tuple[str, ...]) -> None:
    """Fewer than two, the same name again, no name, a name that is no line: said when the policy is saved."""
    with pytest.raises(ValidationError):
        Policy(categories=tuple(Category(name=name) for name in names))


@pytest.mark.parametrize("harm", [0.0, 0.05])
def test_an_unread_text_is_left_alone_and_says_so(harm: float) -> None:
    """A script that the model cannot read is no score below a threshold; what is read beside it still counts."""
    unread = replace(verdict(0.0, harm), unread_script="Georgian")
    decision = decide(said("გამარჯობა"), unread, Standing(), ENFORCE)
    assert decision.band is Band.CLEAR and decision.unread_script == "Georgian" and decision.score == 0.0
    assert Decision.from_json(decision.to_json()) == decision
    harmful = decide(said("გამარჯობა idiot"), replace(verdict(0.99), unread_script="Georgian"), Standing(), ENFORCE)
    assert harmful.band is Band.ACTION and not harmful.unread_script


INSULT, SWEARING = {Kind.INSULT: 0.8, Kind.SWEARING: 0.2}, {Kind.INSULT: 0.1, Kind.SWEARING: 0.9}


@pytest.mark.parametrize(
    ("kinds", "rules", "band", "flags"),
    [
        (SWEARING, {}, Band.ACTION, ()),
        (SWEARING, {Kind.SWEARING: "ignore"}, Band.CLEAR, ()),
        (SWEARING, {Kind.SWEARING: "alert only"}, Band.ALERT, ("alert-only",)),
        (INSULT, {Kind.SWEARING: "ignore"}, Band.ACTION, ()),
        (INSULT, {Kind.SWEARING: "ignore", Kind.INSULT: "alert only"}, Band.ALERT, ("alert-only",)),
        ({}, {Kind.SWEARING: "ignore"}, Band.ACTION, ()),
    ],
)
def test_a_policy_per_kind(
    kinds: dict[Kind, float], rules: dict[Kind, KindRule], band: Band, flags: tuple[str, ...]
) -> None:
    """A kind is ignored or only shown; without a rule, and where the kind is unknown, the label's bands hold."""
    policy = ENFORCE.model_copy(update={"kinds": rules})
    decision = decide(said("x"), replace(verdict(0.02, 0.97), kinds=kinds), Standing(), policy)
    assert (decision.band, decision.flags) == (band, flags)
    assert decision.kind == (max(kinds, key=lambda kind: kinds[kind]) if kinds else None)
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


def test_a_disguised_or_quoted_kind_is_ignored_too() -> None:
    policy = ENFORCE.model_copy(update={"kinds": {Kind.SWEARING: "ignore"}})
    hidden = replace(verdict(0.02, 0.97), kinds=SWEARING)
    assert decide(said("x"), verdict(), Standing(), policy, disguised=hidden).band is Band.CLEAR
    assert decide(said("x"), verdict(), Standing(), policy, quoted=replace(hidden, kinds=INSULT)).band is Band.ALERT


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"kinds": {"spam": "ignore"}})
    with pytest.raises(ValidationError):
        Policy.model_validate({"kinds": {"insult": "ban"}})
