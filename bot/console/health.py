"""`/healthz`: whether messages are being read."""

import asyncio
import time
from typing import Any

from aiohttp import web

from bot.console.components import Components, answer_json
from model.classifier import TRIAL, ClassifierError, Item

SERVES_S = 1.0
"""A caller within the same second gets the same answer, so that health checks cannot load the model."""
routes = web.RouteTableDef()


class Health:
    """Answers `/healthz`; asks the classifier at most once a second."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self._lock = asyncio.Lock()
        self._known: tuple[float, dict[str, Any]] = (-SERVES_S, {})

    async def look(self) -> dict[str, Any]:
        """`status` is "ok" while the classifier answers and the store can be written."""
        async with self._lock:
            if time.monotonic() - self._known[0] >= SERVES_S:
                self._known = time.monotonic(), await self._ask()
            return self._known[1]

    async def _ask(self) -> dict[str, Any]:
        parts = self._parts
        if (trouble := parts.pipeline.trouble) is not None:
            return {"status": "messages wait", "error": trouble.text()}
        try:
            async with asyncio.timeout(30):
                await parts.classifier.classify([Item(TRIAL, parts.learning.serving, alone=True)])
        except (ClassifierError, TimeoutError) as error:
            return {"status": "classifier does not answer", "error": str(error)}
        return {"status": "ok", "adapter": parts.learning.serving, "stand_in": bool(parts.model_trouble())}


HEALTH: web.AppKey[Health] = web.AppKey("health", Health)


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """200 while the classifier answers and the store can be written, 503 otherwise."""
    health = await request.app[HEALTH].look()
    return answer_json(health, status=200 if health["status"] == "ok" else 503)
