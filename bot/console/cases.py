"""The page's routes about cases: answering them, explaining them, cards of random messages."""

from dataclasses import asdict

from aiohttp import web

from bot.console.components import COMPONENTS, answer_json, error_json
from bot.console.json_shapes import card_json, case_json
from bot.console.requests import ask_later, asker, body, forbid_beyond, may_read, readable_case
from bot.console.rights import CASE, COMMUNITY_ASKED, SESSION
from bot.pipeline.question_lane import AskLater
from bot.platforms.webchat import PEOPLE, WebChat
from bot.text.language import LANGUAGES, language_of, say
from model.classifier import ClassifierError
from model.labels import LABELS, Label

MODERATOR = PEOPLE[-1].name
AUDIT_CARDS = 10
"""Random messages that one click puts before a moderator: a minute's work."""
routes = web.RouteTableDef()


@routes.post("/api/cases/{case}/confirm")
async def confirm(request: web.Request) -> web.Response:
    """👍"""
    case = await readable_case(request)
    outcome = await request.app[COMPONENTS].case_service.confirm(case, _moderator(request))
    return answer_json({"case": case_json(outcome.case), "text": outcome.text()})


@routes.post("/api/cases/{case}/correct")
async def correct(request: web.Request) -> web.Response:
    """👎 and which label is right."""
    case, data = await readable_case(request), await body(request)
    if data.get("label") not in list(LABELS):
        return error_json(f'"{data.get("label")}" is no label; send one of {", ".join(LABELS)}', 400)
    if data["label"] == Label.NEUTRAL:  # takes back what was done
        await forbid_beyond(request, lambda standing: standing.beyond_undo(case))
    outcome = await request.app[COMPONENTS].case_service.correct(case, _moderator(request), Label(data["label"]))
    return answer_json({"case": case_json(outcome.case), "text": outcome.text()})


@routes.post("/api/cases/{case}/undo")
async def undo(request: web.Request) -> web.Response:
    """The action was wrong here."""
    case = await readable_case(request)
    await forbid_beyond(request, lambda standing: standing.beyond_undo(case))
    outcome = await request.app[COMPONENTS].case_service.undo(case, _moderator(request))
    return answer_json({"case": case_json(outcome.case), "text": outcome.text()})


@routes.get("/api/cases/{case}/explain")
async def explain(request: web.Request) -> web.Response:
    """Evidence words, the threshold that fired, and the nearest past corrections of this community."""
    parts, case = request.app[COMPONENTS], await readable_case(request)
    try:
        explanation = await parts.case_service.explain_case(case, asker(request), lambda key: may_read(request, key))
    except AskLater as error:
        return ask_later(error)
    except ClassifierError as error:
        return error_json(f"cannot explain at the moment: {error}", 503)
    return answer_json(
        {
            "words": [asdict(piece) for piece in explanation.words],
            "label": explanation.label,
            "part": explanation.part,
            "sentence": case.decision.reason,
            "nearest": [
                {"text": text, "label": label, "similarity": share} for text, label, share in explanation.nearest
            ],
        }
    )


@routes.get("/api/card")
async def card(request: web.Request) -> web.Response:
    """The newest card as a platform's moderators see it, in a language."""
    parts, language = request.app[COMPONENTS], request.query.get("language", "en")
    if language not in LANGUAGES:
        return error_json(f'"{language}" is no language here; send one of {", ".join(LANGUAGES)}', 400)
    newest, known = await parts.store.cases(request[COMMUNITY_ASKED], limit=1), language_of(language)
    seen = [case for case in newest if await may_read(request, case.message.key)]
    shown = [card_json(await parts.case_service.card(case, known), known) for case in seen]
    return answer_json({"card": shown[0] if shown else None})


@routes.post("/api/audit")
async def audit(request: web.Request) -> web.Response:
    """Opens cards of a few random messages of the last 7 days that no card showed."""
    parts, community = request.app[COMPONENTS], request[COMMUNITY_ASKED]
    opened = await parts.case_service.random_cases(community, AUDIT_CARDS)
    audited = await parts.store.audit.found(community)
    text = say("en", "audit-opened", count=len(opened)) if opened else say("en", "audit-none")
    return answer_json({"opened": len(opened), "audit": audited, "text": text}, status=201)


def _moderator(request: web.Request) -> str:
    """Returns the name under which a person answers: their account; the operator of the try-out chat plays its
    moderator."""
    person, case = request[SESSION].person, request[CASE]
    return MODERATOR if case.message.key.platform == WebChat.name else person.key
