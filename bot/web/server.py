"""The page's routes. Each handler reads the request, asks one part of the service, and answers JSON."""

import asyncio
import json
import secrets
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from bot.advice import advise, answered
from bot.language import LANGUAGES, language_of
from bot.learning import AlreadyRunning, Refresh
from bot.notices import Notice
from bot.platforms.webchat import COMMUNITY, PEOPLE, ROOM, Refused
from bot.policy import Band, Policy, band
from bot.store import Case
from bot.validation import first_place, first_problem
from bot.web import adapters
from bot.web.feed import Feed
from bot.web.guard import CSRF, guard
from bot.web.parts import PARTS, Parts, answer_json, error_json, loads
from bot.web.shapes import card_json, case_json, norm_json, overview_json, posted_json, tally_json
from model.classifier import TRIAL, AdapterRejected, Item, Overloaded, Unavailable, Unscorable, Verdict
from model.labels import LABELS, Label

STATIC = Path(__file__).with_name("static")
MODERATOR = PEOPLE[-1].name
AUDIT_CARDS = 10
"""Random messages that one click puts before a moderator: a minute's work."""
BASIS = "authored"
"""What is typed in the try-out chat was written by the moderator who plays all its people."""

routes = web.RouteTableDef()


def build(parts: Parts, origin: str = "") -> web.Application:
    """The page as an aiohttp application; `origin` is where people reach it through a proxy."""
    csrf = secrets.token_urlsafe(24)
    app = web.Application(middlewares=[guard(csrf, origin)], client_max_size=2**20)
    app[PARTS], app[CSRF] = parts, csrf

    async def index(_: web.Request) -> web.Response:
        page = (STATIC / "index.html").read_text(encoding="utf-8").replace("{{csrf}}", csrf)
        return web.Response(text=page, content_type="text/html")

    app.router.add_get("/", index)
    app.router.add_static("/static/", STATIC)
    app.add_routes(routes)
    app.add_routes(adapters.routes)
    return app


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """200 while the classifier answers and the store can be written, 503 otherwise."""
    parts = request.app[PARTS]
    if (trouble := parts.moderator.trouble) is not None:
        return answer_json({"status": "messages wait", "error": trouble.text()}, status=503)
    try:
        async with asyncio.timeout(30):
            await parts.classifier.classify([Item(TRIAL, parts.learning.serving, alone=True)])
    except (Unavailable, Unscorable, AdapterRejected, Overloaded, TimeoutError) as error:
        return answer_json({"status": "classifier does not answer", "error": str(error)}, status=503)
    return answer_json({"status": "ok", "adapter": parts.learning.serving, "stand_in": bool(parts.model_trouble())})


@routes.get("/api/state")
async def state(request: web.Request) -> web.Response:
    """Everything a page shows when it opens or finds its service again, and the token it then sends with each click."""
    parts = request.app[PARTS]
    policy = await parts.moderator.policy(COMMUNITY)
    cases = await parts.store.cases(COMMUNITY)
    return answer_json(
        {
            "csrf": request.app[CSRF],
            "community": COMMUNITY,
            "room": ROOM,
            "people": [{"id": p.id, "name": p.name, "is_moderator": p.is_moderator} for p in PEOPLE],
            "policy": policy.model_dump(mode="json"),
            "paused": parts.moderator.cap.is_paused(COMMUNITY),
            "own_categories": parts.own_categories,
            "adapter": parts.learning.serving,
            "messages": [posted_json(posted) for posted in parts.chat.messages.values()],
            "cases": [case_json(case) for case in cases],
            "notice": _trouble(parts),
            "refresh": parts.learning.state.to_json() if parts.learning.state else None,
            "two_stages": tally_json(parts.tally) if parts.tally else None,
            "norm": norm_json(parts.learning.norm_of(COMMUNITY)),
            "audit": await parts.store.audit.found(COMMUNITY),
            "platforms": [overview_json(await overview()) for overview in parts.platforms],
        }
    )


@routes.get("/api/platforms")
async def platforms(request: web.Request) -> web.Response:
    """How the platforms stand, and where the bot is."""
    found = [overview_json(await overview()) for overview in request.app[PARTS].platforms]
    return answer_json({"platforms": found})


@routes.get("/api/events")
async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events until the page or the service goes."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    await response.write(b": hello\n\n")
    async for text in request.app[PARTS].feed.listen():
        try:
            await response.write(f"data: {text}\n\n".encode())
        except ConnectionResetError:
            break
    return response


@routes.post("/api/messages")
async def post_message(request: web.Request) -> web.Response:
    """A message into the room; answered once it is in the journal."""
    parts, data = request.app[PARTS], await _body(request)
    try:
        event = parts.chat.compose(str(data.get("person", "")), str(data.get("text", "")), datetime.now(UTC))
    except Refused as error:
        return error_json(str(error), 400)
    parts.chat.show(event)
    await parts.moderator.receive(event)
    return answer_json({"message": event.key.message}, status=201)


@routes.post("/api/cases/{case}/confirm")
async def confirm(request: web.Request) -> web.Response:
    """👍"""
    case = await _case(request)
    outcome = await request.app[PARTS].desk.confirm(case, MODERATOR, BASIS)
    return answer_json({"case": case_json(outcome.case), "text": outcome.text()})


@routes.post("/api/cases/{case}/correct")
async def correct(request: web.Request) -> web.Response:
    """👎 and which label is right."""
    case, data = await _case(request), await _body(request)
    if data.get("label") not in list(LABELS):
        return error_json(f'"{data.get("label")}" is no label; send one of {", ".join(LABELS)}', 400)
    outcome = await request.app[PARTS].desk.correct(case, MODERATOR, Label(data["label"]), BASIS)
    return answer_json({"case": case_json(outcome.case), "text": outcome.text()})


@routes.post("/api/cases/{case}/undo")
async def undo(request: web.Request) -> web.Response:
    """The action was wrong here."""
    outcome = await request.app[PARTS].desk.undo(await _case(request), MODERATOR)
    return answer_json({"case": case_json(outcome.case), "text": outcome.text()})


@routes.get("/api/cases/{case}/explain")
async def explain(request: web.Request) -> web.Response:
    """Evidence words, the threshold that fired, and the nearest past corrections of this community."""
    parts, case = request.app[PARTS], await _case(request)
    try:
        found = await parts.desk.explain_case(case)
    except (Unavailable, Unscorable, AdapterRejected) as error:
        return error_json(f"cannot explain at the moment: {error}", 503)
    return answer_json(
        {
            "words": [asdict(piece) for piece in found.words],
            "label": found.label,
            "sentence": case.message.decision["reason"],
            "nearest": [{"text": text, "label": label, "similarity": share} for text, label, share in found.nearest],
        }
    )


@routes.get("/api/card")
async def card(request: web.Request) -> web.Response:
    """The newest card as a platform's moderators see it, in a language."""
    parts, language = request.app[PARTS], request.query.get("language", "en")
    if language not in LANGUAGES:
        return error_json(f'"{language}" is no language here; send one of {", ".join(LANGUAGES)}', 400)
    newest, known = await parts.store.cases(COMMUNITY, limit=1), language_of(language)
    shown = [card_json(await parts.desk.card(case, known), known) for case in newest]
    return answer_json({"card": shown[0] if shown else None})


@routes.put("/api/policy")
async def save_policy(request: web.Request) -> web.Response:
    """Saves the whole policy, mode included."""
    parts = request.app[PARTS]
    policy = await _policy(request)
    if policy.categories and not parts.own_categories:
        return error_json(
            "own categories are read by a GPT-J: set another base under [model] in config.toml first", 400
        )
    before = await parts.moderator.policy(COMMUNITY)
    await parts.moderator.set_policy(COMMUNITY, policy)
    if before.mode is not policy.mode:
        await parts.moderator.set_mode(COMMUNITY, policy.mode)  # who says enforce ends a pause, too
    parts.feed.publish("policy", policy=policy.model_dump(mode="json"))
    return answer_json({"policy": policy.model_dump(mode="json")})


@routes.post("/api/resume")
async def resume(request: web.Request) -> web.Response:
    """Acts again although the hourly cap was reached."""
    return answer_json({"resumed": await request.app[PARTS].moderator.resume(COMMUNITY)})


@routes.post("/api/policy/preview")
async def preview(request: web.Request) -> web.Response:
    """What this policy would have done to the last 7 days, from the probabilities in the journal."""
    parts, policy = request.app[PARTS], await _policy(request)
    messages = await parts.store.messages(COMMUNITY, datetime.now(UTC) - timedelta(days=7))
    verdicts = [Verdict({label: m.probabilities[label] for label in LABELS}, "", m.adapter) for m in messages]
    bands = [band(verdict, policy) for verdict in verdicts]
    acted = [section for reached, section in bands if reached is Band.ACTION and section is not None]
    removed = sum("delete" in section.actions for section in acted)
    alerted = sum(reached is not Band.CLEAR for reached, _ in bands)
    sentence = (
        f"In the last 7 days this would have alerted on {alerted} of {len(messages)} messages and removed {removed}."
    )
    return answer_json({"sentence": sentence})


@routes.get("/api/advice")
async def advice(request: web.Request) -> web.Response:
    """Thresholds that the moderators' words on the latest cards speak for."""
    parts = request.app[PARTS]
    policy, cases = await parts.moderator.policy(COMMUNITY), await parts.store.cases(COMMUNITY, limit=1000)
    return answer_json({"advice": [asdict(piece) for piece in advise(answered(cases), policy)]})


@routes.post("/api/audit")
async def audit(request: web.Request) -> web.Response:
    """Cards of a few random messages of the last 7 days that nobody was shown."""
    parts = request.app[PARTS]
    opened = await parts.desk.random_cases(COMMUNITY, AUDIT_CARDS)
    return answer_json({"opened": len(opened), "audit": await parts.store.audit.found(COMMUNITY)}, status=201)


@routes.post("/api/refresh")
async def refresh(request: web.Request) -> web.Response:
    """Starts a refresh."""
    parts = request.app[PARTS]
    try:
        parts.learning.start(parts.group)
    except AlreadyRunning as error:
        return error_json(str(error), 409)
    return answer_json({}, status=202)


def _trouble(parts: Parts) -> str:
    """What whoever opens the page must know first; "" while all is well."""
    waiting, recovery = parts.moderator.trouble, parts.store.recovery
    repaired = Notice("notice-store-repaired", {"found": str(recovery)}) if recovery and recovery.is_repair else None
    paused = Notice("page-paused") if parts.moderator.cap.is_paused(COMMUNITY) else None
    said = (waiting or repaired, paused, parts.model_trouble(), parts.learning.problem)
    return next((one if isinstance(one, str) else one.text() for one in said if one), "")


def refresh_event(feed: Feed, told: Refresh) -> None:
    """Passes a refresh's progress to the pages."""
    feed.publish("refresh", refresh=told.to_json())


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        data = await request.json(loads=loads)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise _http_error("send a JSON object")
    return data


async def _policy(request: web.Request) -> Policy:
    try:
        return Policy.model_validate(await _body(request))
    except ValidationError as error:
        raise _http_error(f"{first_place(error)}: {first_problem(error)}".removeprefix(": ")) from None


async def _case(request: web.Request) -> Case:
    number = request.match_info["case"]
    case = await request.app[PARTS].store.case(int(number)) if number.isdecimal() and len(number) < 16 else None
    if case is None:
        raise _http_error(f"there is no case {number}")
    return case


def _http_error(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": text}), content_type="application/json")
