"""The page's routes. Each handler reads the request, asks one part of the service, and answers JSON."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import ValidationError

from bot.console import adapters, cases, health, sign_in
from bot.console import live_stream as stream
from bot.console.components import COMPONENTS, Components, answer_json, error_json
from bot.console.facts import allowed_routes, facts
from bot.console.health import HEALTH, Health
from bot.console.json_shapes import case_json, norm_json, overview_json, posted_json, tally_json
from bot.console.live_stream import OPEN_STREAMS
from bot.console.origin_guard import guard
from bot.console.requests import ask_later, asker, bad_request, body, forbid_beyond, hide_unreadable
from bot.console.rights import COMMUNITY_ASKED, ROLE, SESSION, rights
from bot.console.sign_in import DOOR, SignIn
from bot.domain.decision import Band
from bot.domain.notice import Notice
from bot.domain.platform import Unreachable
from bot.domain.policy import LabelPolicy, Policy, band
from bot.domain.role import Role
from bot.learning.refresh import AlreadyRunning
from bot.learning.threshold_advice import advise, answered
from bot.pipeline.question_lane import AskLater
from bot.pipeline.rate_limit import RateLimit
from bot.platforms.webchat import COMMUNITY, PEOPLE, ROOM, Refused
from bot.text.validation import first_place, first_problem
from model.classifier import Verdict
from model.labels import LABELS

STATIC = Path(__file__).with_name("static")

ADVICE_A_MINUTE = 60
"""Each advice unseals a thousand cases, and the page asks after each answer."""
ADVICE: web.AppKey[RateLimit] = web.AppKey("advice", RateLimit)
routes = web.RouteTableDef()


def build(parts: Components, door: SignIn, origin: str, *first: Middleware) -> web.Application:
    """The page as an aiohttp application, behind these middlewares and its own.

    `origin` is where people reach it through a proxy, "" for nowhere.
    """
    app = web.Application(middlewares=[*first, guard(origin), rights], client_max_size=2**20)
    app[COMPONENTS], app[DOOR], app[HEALTH] = parts, door, Health(parts)
    app[OPEN_STREAMS], app[ADVICE] = [], RateLimit(ADVICE_A_MINUTE, 60.0)
    app.router.add_static("/static/", STATIC)
    for one in (routes, adapters.routes, cases.routes, health.routes, sign_in.routes, stream.routes):
        app.add_routes(one)
    return app


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    """Sends the page; a link from the terminal signs its browser in first."""
    door = request.app[DOOR]
    if "token" in request.query:
        if (signed_in := await sign_in.by_link(request)) is not None:
            return signed_in
        is_in = await door.session(request) is not None
        return web.Response(status=303, headers={"Location": "/" if is_in else "/sign-in?used"})
    session = await door.session(request)
    if session is None:
        return web.Response(status=303, headers={"Location": "/sign-in"})
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    page = page.replace("{{csrf}}", session.csrf).replace("{{modules}}", _preloads())
    return web.Response(text=page, content_type="text/html")


def _preloads() -> str:
    """The browser asks for all modules at once, and not for one after it has read another."""
    modules = sorted(path.name for path in STATIC.glob("*.js"))
    return "\n".join(f'  <link rel="modulepreload" href="/static/{name}">' for name in modules)


@routes.post("/api/sign-out")
async def sign_out(request: web.Request) -> web.Response:
    """This browser, all browsers of this account, or everybody: `{"whose": "this" | "mine" | "everybody"}`."""
    session, sessions = request[SESSION], (await body(request)).get("whose", "this")
    if sessions not in ("this", "mine", "everybody"):
        return error_json('"whose" is one of this, mine, everybody', 400)
    if sessions == "everybody" and not request.app[COMPONENTS].access.is_operator(session.person):
        return error_json("only whoever runs this service may do that", 403)
    await request.app[DOOR].end(session, sessions)
    return answer_json({})


@routes.get("/api/me")
async def me(request: web.Request) -> web.Response:
    """Says who is signed in, and where they may do what."""
    session, access = request[SESSION], request.app[COMPONENTS].access
    try:
        granted = await access.granted(session.person)
    except Unreachable as error:
        return error_json(f"{session.person.platform.capitalize()} does not say what you may do ({error})", 503)
    return answer_json(
        {
            "name": session.person.name,
            "key": session.person.key,
            "csrf": session.csrf,
            "is_operator": access.is_operator(session.person),
            "communities": [
                {"community": one.community, "name": one.name, "role": one.role.name.lower()} for one in granted
            ],
        }
    )


@routes.get("/api/state")
async def state(request: web.Request) -> web.Response:
    """Everything a page shows of a community when it opens or finds its service again, and the token it then sends with
    each click."""
    parts, community, role = request.app[COMPONENTS], request[COMMUNITY_ASKED], request[ROLE]
    policy = await parts.pipeline.policy(community)
    cases = await parts.store.cases(community)
    is_trial, is_operator = community == COMMUNITY, role is Role.OPERATOR
    return answer_json(
        {
            "csrf": request[SESSION].csrf,
            "community": community,
            "role": role.name.lower(),
            "may": allowed_routes(role),
            "facts": facts(),
            "room": ROOM if is_trial else "",
            "people": [{"id": p.id, "name": p.name, "is_moderator": p.is_moderator} for p in PEOPLE]
            if is_trial
            else [],
            "policy": policy.model_dump(mode="json"),
            "paused": parts.pipeline.cap.is_paused(community),
            "own_categories": parts.own_categories,
            "adapter": parts.learning.adapter_of(community),
            "messages": [posted_json(posted) for posted in parts.chat.messages.values()] if is_trial else [],
            "cases": [await hide_unreadable(request, case_json(case), case.message.key) for case in cases],
            "notice": _trouble(parts, community, is_operator=is_operator),
            "refresh": parts.learning.state.to_json() if is_operator and parts.learning.state else None,
            "two_stages": tally_json(parts.tally) if parts.tally else None,
            "norm": norm_json(parts.learning.norm_of(community)),
            "audit": await parts.store.audit.found(community),
            "platforms": await _platforms(request),
        }
    )


@routes.get("/api/platforms")
async def platforms(request: web.Request) -> web.Response:
    """Says how the platforms stand, and where the bot is, as far as this person may know it."""
    return answer_json({"platforms": await _platforms(request)})


async def _platforms(request: web.Request) -> list[dict[str, Any]]:
    parts, person = request.app[COMPONENTS], request[SESSION].person
    if parts.access.is_operator(person):
        return [overview_json(await overview()) for overview in parts.platforms]
    granted = {one.community for one in await parts.access.granted(person)}
    overviews = [await overview() for overview in parts.platforms]
    own = [replace(one, places=tuple(place for place in one.places if place.community in granted)) for one in overviews]
    return [overview_json(replace(one, faults=())) for one in own if one.places]


@routes.post("/api/messages")
async def post_message(request: web.Request) -> web.Response:
    """Posts a message, or a command, into the room; answered once the message is in the journal."""
    parts, data = request.app[COMPONENTS], await body(request)
    if request[COMMUNITY_ASKED] != COMMUNITY:
        return error_json("only the try-out chat takes messages from the page", 400)
    try:
        event = parts.chat.compose(str(data.get("person", "")), str(data.get("text", "")), datetime.now(UTC))
    except Refused as error:
        return error_json(str(error), 400)
    parts.chat.show(event)
    command = parts.chat_commands.command_of(event.text)
    if command is None or (command[1] and not event.author.is_moderator):  # members' words after a command are read
        await parts.pipeline.receive(event)
    if command is not None:
        await parts.chat_commands.run(event, *command)
    return answer_json({"message": event.key.message}, status=201)


@routes.put("/api/policy")
async def save_policy(request: web.Request) -> web.Response:
    """Saves the whole policy, mode included."""
    parts, community = request.app[COMPONENTS], request[COMMUNITY_ASKED]
    policy = await _policy(request)
    if policy.categories and not parts.own_categories:
        return error_json(
            "own categories are read by a GPT-J: set another base under [model] in config.toml first", 400
        )
    await forbid_beyond(request, lambda standing: standing.beyond(policy))
    before = await parts.pipeline.policy(community)
    await parts.pipeline.set_policy(community, policy)
    if before.mode is not policy.mode:
        await parts.pipeline.set_mode(community, policy.mode)  # who says enforce ends a pause, too
    parts.feed.publish("policy", community, policy=policy.model_dump(mode="json"))
    return answer_json({"policy": policy.model_dump(mode="json")})


@routes.post("/api/resume")
async def resume(request: web.Request) -> web.Response:
    """Acts again although the hourly cap was reached."""
    moderator, community = request.app[COMPONENTS].pipeline, request[COMMUNITY_ASKED]
    policy = await moderator.policy(community)
    await forbid_beyond(request, lambda standing: standing.beyond(policy))
    return answer_json({"resumed": await moderator.resume(community)})


@routes.post("/api/policy/preview")
async def preview(request: web.Request) -> web.Response:
    """Says what this policy would have done to the last 7 days, from the probabilities in the journal."""
    parts, policy = request.app[COMPONENTS], await _policy(request)
    try:
        with parts.case_service.questions.asked(asker(request)):
            since = datetime.now(UTC) - timedelta(days=7)
            messages = await parts.store.scores(request[COMMUNITY_ASKED], since)
            bands = await asyncio.to_thread(_bands, messages, policy)
    except AskLater as error:
        return ask_later(error)
    acted = [section for reached, section in bands if reached is Band.ACTION and section is not None]
    removed = sum("delete" in section.actions for section in acted)
    alerted = sum(reached is not Band.CLEAR for reached, _ in bands)
    sentence = (
        f"In the last 7 days this would have alerted on {alerted} of {len(messages)} messages and removed {removed}."
    )
    return answer_json({"sentence": sentence})


def _bands(messages: Sequence[Mapping[str, float]], policy: Policy) -> list[tuple[Band, LabelPolicy | None]]:
    return [band(Verdict({label: shares[label] for label in LABELS}, "", ""), policy) for shares in messages]


@routes.get("/api/advice")
async def advice(request: web.Request) -> web.Response:
    """Thresholds that the moderators' words on the latest cards speak for."""
    parts, community = request.app[COMPONENTS], request[COMMUNITY_ASKED]
    if not request.app[ADVICE].take(request[SESSION].person.key):
        return ask_later(AskLater(60.0))
    policy, cases = await parts.pipeline.policy(community), await parts.store.cases(community, limit=1000)
    return answer_json({"advice": [asdict(piece) for piece in advise(answered(cases), policy)]})


@routes.post("/api/refresh")
async def refresh(request: web.Request) -> web.Response:
    """Starts a refresh."""
    parts = request.app[COMPONENTS]
    try:
        parts.learning.start(parts.group)
    except AlreadyRunning as error:
        return error_json(str(error), 409)
    return answer_json({}, status=202)


def _trouble(parts: Components, community: str, *, is_operator: bool) -> str:
    """Returns the first thing that a reader must know; "" while all is well. Notices that name files are for
    operators."""
    waiting, recovery = parts.pipeline.trouble, parts.store.recovery
    repaired = Notice("notice-store-repaired", {"found": str(recovery)}) if recovery and recovery.is_repair else None
    paused = Notice("page-paused") if parts.pipeline.cap.is_paused(community) else None
    own = (parts.model_trouble(), parts.learning.problem) if is_operator else ()
    troubles = (waiting or (repaired if is_operator else None), paused, *own)
    return next((one if isinstance(one, str) else one.text() for one in troubles if one), "")


async def _policy(request: web.Request) -> Policy:
    try:
        return Policy.model_validate(await body(request))
    except ValidationError as error:
        raise bad_request(f"{first_place(error)}: {first_problem(error)}".removeprefix(": ")) from None
