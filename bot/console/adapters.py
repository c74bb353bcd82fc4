"""The page's routes about adapters: those for all, and those that communities have for themselves."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from bot.console.components import COMPONENTS, Components, answer_json, error_json
from bot.console.json_shapes import flip_json
from bot.console.origin_guard import REPORT_POLICY
from bot.console.requests import ask_later, asker, may_read
from bot.console.rights import COMMUNITY_ASKED, ROLE
from bot.domain.role import Role
from bot.learning.changed_decisions import changed_decisions
from bot.pipeline.question_lane import AskLater
from model.adapters.files import REPORT_FILE, has_file, read_report
from model.adapters.registry import GLOBAL, Manifest, scope_of
from model.classifier import AdapterRejected, ClassifierError

routes = web.RouteTableDef()


@routes.get("/api/adapters")
async def adapters(request: web.Request) -> web.Response:
    """The history of adapters with their figures, newest first: those for all, then this community's own; the operator
    sees those of every community.

    `community` is "" for all, `name` what the community is called, or its key where that is not known.
    """
    parts, asked = request.app[COMPONENTS], request[COMMUNITY_ASKED]
    is_operator = request[ROLE] is Role.OPERATOR
    standing = await parts.store.training_views.standing()
    names = {place.community: place.name for overview in parts.platforms for place in (await overview()).places}
    rows = [_row(parts, manifest, "", "", standing) for manifest in reversed(parts.registry.versions())]
    for row in rows:
        row["has_report"] &= is_operator
    for community in parts.registry.communities():
        if is_operator or community == asked:
            for manifest in reversed(parts.registry.versions(scope_of(community))):
                rows.append(_row(parts, manifest, community, names.get(community) or community, standing))
    return answer_json({"adapters": rows})


def _row(
    parts: Components, manifest: Manifest, community: str, name: str, standing: Mapping[str, str]
) -> dict[str, Any]:
    figures = manifest.metrics.get("held_out") or manifest.metrics.get("davidson")
    measured: Mapping[str, Any] = figures if isinstance(figures, Mapping) else {}
    adapter = f"{_scope(community)}/{manifest.version}"
    serving = parts.learning.adapter_of(community) if community else parts.learning.serving
    may_teach = parts.learning.trusted | {community}
    return {
        "version": manifest.version,
        "community": community,
        "name": name,
        "created_at": manifest.created_at,
        "serving": serving == adapter,
        "macro_f1": _number(measured.get("macro_f1")),
        "balanced_accuracy": _number(measured.get("balanced_accuracy")),
        "parent": manifest.parent,
        "taken_back": len(set(manifest.examples) - standing.keys()),
        "untrusted": sum(standing.get(id, community) not in may_teach for id in manifest.examples),
        "has_report": has_file(parts.registry.folder(adapter) / REPORT_FILE),
    }


@routes.get("/api/adapters/{version}/changes")
async def changes(request: web.Request) -> web.Response:
    """Which decisions of the last 7 days differ between an adapter for all and the one it came from."""
    parts, version = request.app[COMPONENTS], request.match_info["version"]
    manifest = next((m for m in parts.registry.versions() if m.version == version), None)
    if manifest is None or manifest.parent is None:
        return error_json(f"{version} did not come from an adapter that is still here", 404)
    community, adapter = request[COMMUNITY_ASKED], f"{GLOBAL}/{version}"
    rows = await parts.store.messages(community, datetime.now(UTC) - timedelta(days=7))
    messages = [row for row in rows if await may_read(request, row.key)]
    policy = await parts.pipeline.policy(community)
    try:
        with parts.case_service.questions.asked(asker(request)) as classifier:
            looked_at, flips = await changed_decisions(classifier, messages, manifest.parent, adapter, policy)
    except AskLater as error:
        return ask_later(error)
    except ClassifierError as error:
        return error_json(f"cannot compare at the moment: {error}", 503)
    return answer_json({"looked_at": looked_at, "flips": [flip_json(flip) for flip in flips]})


@routes.post("/api/adapters/rollback")
async def rollback(request: web.Request) -> web.Response:
    """Rolls the adapter for all back; the watcher notices within a second."""
    return _rolled_back(request, GLOBAL)


@routes.post("/api/adapters/own/rollback")
async def rollback_own(request: web.Request) -> web.Response:
    """The same for this community's own adapter."""
    return _rolled_back(request, scope_of(request[COMMUNITY_ASKED]))


@routes.get("/adapters/{version}/report.html")
async def report(request: web.Request) -> web.StreamResponse:
    """The report of an adapter for all: it tells what the moderators of all communities taught."""
    return await _report(request, GLOBAL)


@routes.get("/adapters/own/{version}/report.html")
async def report_own(request: web.Request) -> web.StreamResponse:
    """The report of this community's own adapter."""
    return await _report(request, scope_of(request[COMMUNITY_ASKED]))


def _rolled_back(request: web.Request, scope: str) -> web.Response:
    try:
        return answer_json({"adapter": request.app[COMPONENTS].registry.rollback(scope)})
    except AdapterRejected as error:
        return error_json(str(error), 409)


async def _report(request: web.Request, scope: str) -> web.StreamResponse:
    registry, adapter = request.app[COMPONENTS].registry, f"{scope}/{request.match_info['version']}"
    try:
        page = await asyncio.to_thread(lambda: read_report(registry.folder(adapter)))
    except FileNotFoundError:
        return error_json("this adapter has no report", 404)
    except AdapterRejected as error:
        return error_json(str(error), 404)
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)


def _number(figure: object) -> float | None:
    """A manifest's figures are anything its maker wrote."""
    return float(figure) if isinstance(figure, float | int) else None


def _scope(community: str) -> str:
    return scope_of(community) if community else GLOBAL
