"""Encodes for the page as JSON."""

from dataclasses import asdict
from typing import Any

from bot.cases import card as cards
from bot.cases.card import Card
from bot.domain.action import action_text, is_reversible
from bot.domain.case import Case
from bot.domain.decision import Band
from bot.learning.changed_decisions import ChangedDecision
from bot.platforms.protocol import Overview
from bot.platforms.webchat import Posted
from bot.text.language import Language, say
from model.labels import Label
from model.norms import Norm
from model.serving.two_stages import StageTally


def posted_json(posted: Posted) -> dict[str, Any]:
    """A message as the page shows it."""
    return {**asdict(posted), "sent_at": posted.sent_at.isoformat()}


def case_json(case: Case) -> dict[str, Any]:
    """A case as the page shows it."""
    decision = case.decision
    kept = decision.to_json()
    if decision.is_unread:
        kept["reason"] = f"{cards.reason_text(decision, 'en')} ({decision.reason})"
    return {
        "id": case.id,
        "message": case.message.key.message,
        "author": case.author.name,
        "text": cards.shown_text(case.message, "en"),
        **{name: kept[name] for name in ("label", "score", "threshold", "band", "reason", "enforced")},
        "probabilities": case.message.probabilities,
        "actions": [action_text("en", action) for action in decision.touching_actions],
        "unread": decision.is_unread,
        "title": cards.title(case, "en"),
        "kind": cards.kind_text(decision, "en"),
        "done": cards.done_text(case, "en"),
        "edited": cards.edited_text(case, "en"),
        "state": case.state,
        "corrected_label": case.corrected_label,
        "by": case.moderator,
        "adapter": case.message.adapter,
        "created_at": case.created_at.isoformat(),
        "undoable": not case.undone and any(map(is_reversible, decision.enforced_actions)),
        "teaches": case.teaches,
        "is_audit": decision.band is Band.CLEAR,
    }


def norm_json(norm: Norm) -> dict[str, Any] | None:
    """Encodes how the community counts labels otherwise than the model."""
    return (
        {"sentence": norm.sentence, "words": norm.corrections, "moderators": norm.moderators}
        if not norm.is_plain
        else None
    )


def card_json(card: Card, language: Language) -> dict[str, Any]:
    """A card as the page shows it."""
    fields = [(say(language, "card-author"), [card.author]), (say(language, "card-why"), card.lines)]
    if card.words:
        fields.append((say(language, "card-said"), [f"{moderator}: {answer}" for moderator, answer in card.words]))
    return {
        "language": language,
        **{name: getattr(card, name) for name in ("label", "title", "text", "footer")},
        "fields": fields,
        "buttons": [(button.verb, button.text) for button in card.buttons],
    }


def overview_json(overview: Overview) -> dict[str, Any]:
    """A platform as the page shows it."""
    places = [
        {**asdict(place), "problems": [problem.text() for problem in place.problems]} for place in overview.places
    ]
    trouble = overview.trouble.text() if overview.trouble else ""
    faults = [fault.text() for fault in overview.faults]
    title = overview.platform.capitalize()
    shown = {"platform": overview.platform, "title": title, "trouble": trouble, "faults": faults}
    return shown | {"invite": overview.invite, "places": places}


def flip_json(flip: ChangedDecision) -> dict[str, Any]:
    """A past decision that another adapter changes, as the page shows it."""
    before, after = _outcome(flip.label_before, flip.band_before), _outcome(flip.label_after, flip.band_after)
    return {**asdict(flip), "before": before, "after": after}


def _outcome(label: Label, band: Band) -> str:
    return say("en", f"flip-{band}", label=say("en", f"label-{label}"))


def tally_json(tally: StageTally) -> dict[str, Any]:
    """Encodes what two stages saved and lost."""
    names = ("saved", "audited", "audited_harmful", "recall_lost", "recall_lost_at_most")
    return {name: getattr(tally, name) for name in names}
