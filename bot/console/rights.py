"""Which role each of the page's routes takes, and the middleware that asks for it.

A route that is not in the table is refused, so that none can be forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from bot.console.components import COMPONENTS
from bot.console.origin_guard import OUTDATED, OUTDATED_CODE, Handler, csrf_fits, refusal, refused
from bot.console.sign_in import DOOR, Session
from bot.domain.case import Case
from bot.domain.platform import Unreachable
from bot.domain.role import Person, Role
from bot.platforms.webchat import COMMUNITY

LONGEST_CASE, LONGEST_COMMUNITY = 15, 100
"""Digits of a case's number, characters of a community's."""
SESSION: web.RequestKey[Session] = web.RequestKey("session", Session)
COMMUNITY_ASKED: web.RequestKey[str] = web.RequestKey("community", str)
ROLE: web.RequestKey[Role] = web.RequestKey("role", Role)
CASE: web.RequestKey[Case] = web.RequestKey("case", Case)


@dataclass(frozen=True, slots=True)
class Right:
    """A route takes this role: in the `community` that is asked for, in that of the `case`, or `anywhere`."""

    role: Role
    where: Literal["community", "case", "anywhere"] = "community"


OPEN = frozenset({"/", "/static", "/healthz", "/sign-in", "/sign-in/{provider}", "/sign-in/{provider}/done"})
"""Routes for people who have not signed in."""
RIGHTS: Mapping[tuple[str, str], Right] = {
    ("POST", "/api/sign-out"): Right(Role.NOBODY, "anywhere"),
    ("GET", "/api/me"): Right(Role.NOBODY, "anywhere"),
    ("GET", "/api/state"): Right(Role.VIEWER),
    ("GET", "/api/events"): Right(Role.VIEWER),
    ("GET", "/api/platforms"): Right(Role.NOBODY, "anywhere"),
    ("GET", "/api/card"): Right(Role.VIEWER),
    ("GET", "/api/cases/{case}/explain"): Right(Role.VIEWER, "case"),
    ("POST", "/api/cases/{case}/confirm"): Right(Role.MODERATOR, "case"),
    ("POST", "/api/cases/{case}/correct"): Right(Role.MODERATOR, "case"),
    ("POST", "/api/cases/{case}/undo"): Right(Role.MODERATOR, "case"),
    ("GET", "/api/advice"): Right(Role.VIEWER),
    ("POST", "/api/policy/preview"): Right(Role.VIEWER),
    ("PUT", "/api/policy"): Right(Role.OWNER),
    ("POST", "/api/resume"): Right(Role.MODERATOR),
    ("POST", "/api/audit"): Right(Role.MODERATOR),
    ("POST", "/api/messages"): Right(Role.OPERATOR),
    ("POST", "/api/refresh"): Right(Role.OPERATOR),
    ("GET", "/api/adapters"): Right(Role.VIEWER),
    ("GET", "/api/adapters/{version}/changes"): Right(Role.MODERATOR),
    ("POST", "/api/adapters/rollback"): Right(Role.OPERATOR),
    ("POST", "/api/adapters/own/rollback"): Right(Role.OWNER),
    ("GET", "/adapters/{version}/report.html"): Right(Role.OPERATOR),
    ("GET", "/adapters/own/{version}/report.html"): Right(Role.OWNER),
}


@web.middleware
async def rights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Admits a signed-in person who has the route's role; answers 401, 403 or 503 else."""
    resource = request.match_info.route.resource
    if resource is None or resource.canonical in OPEN:
        return await handler(request)
    right = RIGHTS.get(("GET" if request.method == "HEAD" else request.method, resource.canonical))
    session = await request.app[DOOR].session(request)
    if session is None:
        return refused("sign in first", 401)
    if request.method not in ("GET", "HEAD") and not csrf_fits(request, session.csrf):
        return refused(OUTDATED, 403, OUTDATED_CODE)
    if right is None:
        return refused("nobody may do that", 403)
    request[SESSION] = session
    try:
        if right.where != "anywhere":
            await _settle(request, session.person, right)
    except Unreachable as error:
        return refused(f"{session.person.platform.capitalize()} does not say what you may do ({error}); try again", 503)
    return await handler(request)


async def _settle(request: web.Request, person: Person, right: Right) -> None:
    """Raises `HTTPForbidden` for a person without the role, and for a case that does not exist, so that cases cannot be
    counted."""
    access = request.app[COMPONENTS].access
    if right.where == "case":
        case = await _case(request)
        community = case.message.key.community if case is not None else ""
    else:
        case, community = None, request.query.get("community", "")[:LONGEST_COMMUNITY] or await _first(request, person)
    role = await access.role(person, community) if community or access.is_operator(person) else Role.NOBODY
    if right.where == "case" and case is None and role is Role.OPERATOR:
        raise refusal(web.HTTPBadRequest, f"there is no case {request.match_info['case']}")
    if role < right.role or community == "":
        raise refusal(web.HTTPForbidden, _why(right, community))
    request[COMMUNITY_ASKED], request[ROLE] = community, role
    if case is not None:
        request[CASE] = case


async def _first(request: web.Request, person: Person) -> str:
    access = request.app[COMPONENTS].access
    if access.is_operator(person):
        return COMMUNITY
    granted = await access.granted(person)
    return granted[0].community if granted else ""


def _why(right: Right, community: str) -> str:
    if not community:
        return "you moderate no community that this bot is in; its owner can give you the rights there"
    if right.role is Role.OPERATOR:
        return "only whoever runs this service may do that"
    return f"that takes the rights of a {right.role.name.lower()} in this community"


async def _case(request: web.Request) -> Case | None:
    number = request.match_info["case"]
    is_number = number.isascii() and number.isdecimal() and len(number) <= LONGEST_CASE
    return await request.app[COMPONENTS].store.case(int(number)) if is_number else None
