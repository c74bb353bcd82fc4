"""Admits only a browser that loaded the page from here, on this machine or through the proxy of `origin`."""

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
OUTDATED = "the page is outdated; reload it"
OUTDATED_CODE = "outdated"
"""The `code` of that answer: `static/api.js` then reads its token anew and asks again."""


def csrf_fits(request: web.Request, csrf: str) -> bool:
    """Whether the request was made by a page that was read in this session."""
    return secrets.compare_digest(request.headers.get("X-CSRF-Token", "").encode(), csrf.encode())


def guard(origin: str = "") -> Middleware:
    """Middleware: checks Host against DNS rebinding and Origin against forged requests, and sets headers on every
    answer.

    `origin` is the page's address behind a proxy, "https://mod.example.org"; "" for this machine only.
    """
    public = urlsplit(origin)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            requested = urlsplit(f"//{request.host}")
            port = requested.port or public.port
            is_public = bool(origin) and (requested.hostname, port) == (public.hostname, public.port)
        except ValueError:
            return refused("the Host header names no host", 400)
        if not is_public and requested.hostname not in LOCAL:
            fix = 'name the address people use as origin under [console] in config.toml, such as "https://mod.example.org"'
            return refused(f"this page is not served for the host {request.host!r}; {fix}", 421)
        if request.method not in ("GET", "HEAD"):
            came_from = request.headers.get("Origin")
            own = {f"http://{request.host}", *([f"{public.scheme}://{public.netloc}"] if origin else [])}
            if came_from is not None and came_from not in own:
                return refused(
                    f"this request came from another page ({came_from}); if that is how people reach this one, "
                    f"name it as origin under [console] in config.toml",
                    403,
                )
        try:
            response = await handler(request)
        except web.HTTPException as error:
            _protect(error.headers)
            raise
        if not response.prepared:
            _protect(response.headers)
        return response

    return check


def _protect(headers: MutableMapping[str, str]) -> None:
    headers.setdefault("Content-Security-Policy", POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cache-Control"] = "no-store"


def refused(error: str, status: int, code: str = "") -> web.Response:
    """Answers with one line that says why not; `code` is for a program that can react to it."""
    return web.json_response({"error": error} | ({"code": code} if code else {}), status=status)


def refusal(kind: type[web.HTTPException], error: str) -> web.HTTPException:
    """The same, to be raised."""
    return kind(text=json.dumps({"error": error}), content_type="application/json")
