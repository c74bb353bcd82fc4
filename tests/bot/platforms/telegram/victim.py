"""The bot in a process of its own, to be killed: `python -m tests.bot.platforms.telegram.victim FOLDER API TOKEN`.

Real store, real pipeline, real connection; only the classifier is a stub, so that a start takes no time, and a group
takes more than twenty messages a minute.
"""

import asyncio
import sys
from pathlib import Path

from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.simulators.telegram_server import TelegramServer


async def main(folder: Path, api: str, token: str) -> None:
    """Serves until it is killed."""
    from bot.platforms.telegram import Access, service

    service.PER_MINUTE = 100_000

    elsewhere = TelegramServer(token=token)  # never started: only the names of its scene are used
    scene = Scene(elsewhere)
    scene.access = Access(token, api=api)
    async with serving(scene, folder, set_up=False, patient=True):
        print("serving", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
