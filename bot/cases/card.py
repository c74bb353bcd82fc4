"""What a card says, as plain data in one language: platforms and the page only lay it out.

`text`, `author` and `room` are hostile: whoever lays the card out makes them inert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.cases.explanation import Explanation
from bot.domain.action import action_text, is_reversible
from bot.domain.case import Case, CaseState, Journalled, UnchangedAction
from bot.domain.correction import Correction
from bot.domain.decision import UNREAD, WORDLESS, Band, Decision
from bot.domain.event import Attached
from bot.domain.row_state import DECIDED, NOTHING_DONE, RowState
from bot.text.language import Language, say
from model.labels import HARMFUL, LABELS, Label

Verb = Literal["right", "wrong", "undo", "explain"]
CLOSE, MOST_IN_DIGEST, MOST_WORDS = 0.05, 10, 8
"""Evidence below `CLOSE` is noise; a digest lists so many messages; an explanation names so many words."""


DONE_WORDINGS = (*DECIDED, *NOTHING_DONE, RowState.GONE)
"""States for which the texts have a `done-` sentence of their own; all others read as done."""


@dataclass(frozen=True, slots=True)
class Button:
    """One of a card's buttons."""

    verb: Verb
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """One case. `lines` are sentences of ours, without anything a member typed; `moderators` are ids in `words`."""

    case: int
    label: Label
    title: str
    text: str
    author: str
    author_id: str
    room: str
    lines: tuple[str, ...]
    words: tuple[tuple[str, str], ...]
    footer: str
    buttons: tuple[Button, ...]


def card(case: Case, language: Language, *, words: Sequence[Correction] = (), reports: int = 0) -> Card:
    """The card of a case with everything said about it so far."""
    lines = [reason_text(case.decision, language), done_text(case, language), edited_text(case, language)]
    if reports:
        lines.insert(0, say(language, "card-reports", count=reports))
    return Card(
        case.id,
        case.decision.label,
        title(case, language),
        shown_text(case.message, language),
        case.author.name or say(language, "card-nobody"),
        case.author.id,
        case.message.key.room,
        tuple(line for line in lines if line),
        _said(case, words, language),
        say(language, "card-footer", case=case.id, adapter=case.message.adapter or "-"),
        _buttons(case, language),
    )


def shown_text(message: Journalled, language: Language) -> str:
    """What a card shows of a message: its author's words, what it quotes behind ">", else what there is in it; "" once
    nothing of it is kept."""
    lines = [message.text] if message.text else []
    lines += [f"> {line}" for line in message.quoted.splitlines()]
    if not lines:
        lines = [f"[{attachment_text(one, language)}]" for one in message.attached]
        lines += [f"[{say(language, 'attached-unknown')}: {message.unreadable}]"] if message.unreadable else []
    return "\n".join(lines)


def attachment_text(one: Attached, language: Language) -> str:
    """ "photo", "sticker 😀", "document plan.pdf"."""
    return f"{say(language, f'attached-{one.kind}')} {one.name}".strip()


def reason_text(decision: Decision, language: Language) -> str:
    """Which threshold fired, and what else counted."""
    flags = decision.flags
    score, threshold = round(100 * decision.score), round(100 * decision.threshold)
    name = say(language, f"label-{decision.label}")
    if decision.unread_script:
        return say(language, "why-not-read", script=decision.unread_script)
    if decision.band is Band.CLEAR:
        first = say(language, "why-clear", score=score)
    elif "category" in flags:
        first = decision.reason
    elif UNREAD in flags:
        return say(language, "why-wordless" if WORDLESS in flags else "why-unread")
    else:
        first = say(language, f"why-{decision.band}", label=name, score=score, threshold=threshold)
    more = [say(language, f"why-{flag}") for flag in flags if flag != "category"]
    return " ".join([first, *more])


def explanation_lines(
    found: Explanation, decision: Decision, language: Language
) -> tuple[list[str], list[tuple[str, str]]]:
    """(sentences of ours, (sentence, hostile text) pairs) that say why a text got its label."""
    lines = [reason_text(decision, language)]
    if decision.unread_script:
        return lines, []
    if decision.kind:
        lines.append(say(language, "explain-kind", kind=kind_text(decision, language)))
    heavy = sorted((piece for piece in found.words if piece.weight >= CLOSE), key=lambda piece: -piece.weight)
    label = say(language, f"label-{found.label}")
    lines.append(say(language, "explain-words" if heavy else "explain-no-words", label=label))
    quoted = [(say(language, "explain-part"), found.part)] if found.part else []
    quoted += [(f"{100 * piece.weight:+.0f} %", piece.word) for piece in heavy[:MOST_WORDS]]
    near = [
        (say(language, "explain-near", label=say(language, f"label-{said}"), share=round(100 * share)), text)
        for text, said, share in found.nearest
    ]
    return lines, [*quoted, *near]


def probabilities(shares: Mapping[Label, float], language: Language) -> str:
    """ "hate 91 %, offensive 6 %, neutral 3 %"."""
    return ", ".join(f"{say(language, f'label-{label}')} {100 * shares[label]:.0f} %" for label in LABELS)


def kind_text(decision: Decision, language: Language) -> str:
    """ "sexual harassment": the kind of harm in words; "" if it is unknown."""
    return say(language, f"kind-{decision.kind}") if decision.kind else ""


def title(case: Case, language: Language) -> str:
    """ "offensive 93 % · swearing": what a case is about."""
    decision = case.decision
    label, score = decision.label, round(100 * decision.score)
    if decision.is_unread:
        return say(language, "card-title-wordless" if WORDLESS in decision.flags else "card-title-unread")
    if decision.unread_script:
        return say(language, "card-title-not-read", script=decision.unread_script)
    if label not in HARMFUL:
        return say(language, "card-title-neutral", score=score)
    shown = say(language, "card-title", label=say(language, f"label-{label}"), score=score)
    return f"{shown} · {kind_text(decision, language)}" if decision.kind else shown


def done_text(case: Case, language: Language) -> str:
    """What was done, would be done, or could not be."""
    wanted = case.decision.touching_actions
    if not wanted:
        return say(language, "done-nothing")
    names = ", ".join(action_text(language, action) for action in wanted)
    if not case.decision.enforced:
        is_paused = "cap" in case.decision.flags
        return say(language, "done-paused" if is_paused else "done-shadow", actions=names)
    state, unsure = case.message.state, case.message.unsure
    not_done = {one.action.name for one in case.message.unchanged if not one.undoes}
    sure = [action for action in wanted if action.name != unsure and action.name not in not_done]
    unsure_texts = [
        say(language, "done-unsure", actions=action_text(language, one)) for one in wanted if one.name == unsure
    ]
    if sure:
        names = ", ".join(action_text(language, action) for action in sure)
        wording = f"done-{state if state in DONE_WORDINGS else RowState.DONE}"
        unsure_texts.insert(0, say(language, wording, actions=names))
    return " ".join([*unsure_texts, *(unchanged_text(one, language) for one in case.message.unchanged)])


def unchanged_text(one: UnchangedAction, language: Language) -> str:
    """What stayed as it was, and by whose hand it stands: "Left as a person has set it, …"."""
    standing, name = one.what.standing, f"standing-{one.what.standing.kind}"
    if standing.kind in ("limits", "timeout", "ban"):
        ends = f"{standing.until:%Y-%m-%d %H:%M} UTC" if standing.until else ""
        stands = say(language, name, until=ends) if ends else say(language, f"{name}-for-good")
    else:
        return say(language, name, action=action_text(language, one.action))
    which = f"{'not-undone' if one.undoes else 'not-done'}-{one.what.by}"
    return say(language, which, action=action_text(language, one.action), standing=stands)


def edited_text(case: Case, language: Language) -> str:
    """What came of later edits of the message; "" where there were none."""
    if not case.edited:
        return ""
    return say(language, "card-edited-better" if case.edited == Band.CLEAR else "card-edited")


def digest_title(cases: Sequence[Case], language: Language) -> str:
    """ "12 messages by 3 authors need a look"."""
    return say(language, "digest-title", count=len(cases), authors=len({case.message.author for case in cases}))


def digest_line(case: Case, language: Language) -> str:
    """One case in a digest, without its text."""
    state = say(language, f"state-{case.state}") if case.state is not CaseState.OPEN else done_text(case, language)
    return say(language, "digest-line", title=title(case, language), state=state, case=case.id)


def _said(case: Case, words: Sequence[Correction], language: Language) -> tuple[tuple[str, str], ...]:
    """(moderator, what they said), in order; the undo last."""
    shown_text, answers = case.decision.label, []
    for said in words:
        label = say(language, f"label-{said.label}")
        answers.append(
            (said.moderator, say(language, "said-right" if said.label == shown_text else "said-wrong", label=label))
        )
    if case.undone and case.moderator and case.state is CaseState.UNDONE:
        answers.append((case.moderator, say(language, "said-undone")))
    return tuple(answers)


def _buttons(case: Case, language: Language) -> tuple[Button, ...]:
    """None where there is no label to speak about."""
    if case.decision.is_unread:
        return ()
    reversible = any(map(is_reversible, case.decision.enforced_actions))
    verbs: list[Verb] = ["right", "wrong", "explain"]
    if reversible and not case.undone:
        verbs.insert(2, "undo")
    return tuple(Button(verb, say(language, f"button-{verb}")) for verb in verbs)
