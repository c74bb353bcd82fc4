"""Who may call the page: only a browser that loaded it from here, on this machine or through the proxy of `origin`."""

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
OUTDATED = "the page is outdated; reload it"
CSRF: web.AppKey[str] = web.AppKey("csrf", str)


def guard(csrf: str, origin: str = "") -> Middleware:
    """Middleware: Host against DNS rebinding, Origin and token against forged requests, headers on every answer.

    `origin` is where people reach the page through a proxy, "https://mod.example.org"; "" for this machine only.
    """
    public = urlsplit(origin)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = urlsplit(f"//{request.host}")
        is_public = bool(origin) and (asked.hostname, asked.port or public.port) == (public.hostname, public.port)
        if not is_public and asked.hostname not in LOCAL:
            fix = 'name the address people use as origin under [console] in config.toml, such as "https://mod.example.org"'
            return _refused(f"this page is not served for the host {request.host!r}; {fix}", 421)
        if request.method not in ("GET", "HEAD"):
            came_from = request.headers.get("Origin")
            own = {f"http://{request.host}", *([f"{public.scheme}://{public.netloc}"] if origin else [])}
            if came_from is not None and came_from not in own:
                return _refused(
                    f"this request came from another page ({came_from}); if that is how people reach this one, "
                    f"name it as origin under [console] in config.toml",
                    403,
                )
            if not secrets.compare_digest(request.headers.get("X-CSRF-Token", "").encode(), csrf.encode()):
                return _refused(OUTDATED, 403)
        response = await handler(request)
        if not response.prepared:
            response.headers.setdefault("Content-Security-Policy", POLICY)
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Cache-Control"] = "no-store"
        return response

    return check


def _refused(error: str, status: int) -> web.Response:
    return web.json_response({"error": error}, status=status)
