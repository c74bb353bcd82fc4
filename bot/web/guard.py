"""Who may call the page: only a browser on this machine that loaded it from here."""

import secrets
from collections.abc import Awaitable, Callable
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


def guard(csrf: str) -> Middleware:
    """Middleware: Host against DNS rebinding, Origin and token against forged requests, headers on every answer."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if urlsplit(f"//{request.host}").hostname not in LOCAL:
            return web.json_response({"error": f"this page is not served for the host {request.host!r}"}, status=421)
        if request.method not in ("GET", "HEAD"):
            origin = request.headers.get("Origin")
            if origin is not None and origin != f"http://{request.host}":
                return web.json_response({"error": "this request came from another page"}, status=403)
            if not secrets.compare_digest(request.headers.get("X-CSRF-Token", "").encode(), csrf.encode()):
                return web.json_response({"error": "the page is outdated; reload it"}, status=403)
        response = await handler(request)
        if not response.prepared:
            response.headers.setdefault("Content-Security-Policy", POLICY)
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Cache-Control"] = "no-store"
        return response

    return check
