"""The whole service, to be killed: `python -m tests.soak.service_process FOLDER DISCORD_API GATEWAY TELEGRAM_API`.

This process has imported everything and forks the service anew for each "start" it reads, which saves the second that
the imports take; what it forks runs `bot.app.run` like `python -m bot run` and is a process of its own. It says, a JSON
line each: {"forked": pid}; {"begun": pid} once that hears signals; {"up": pid} once its page is served; {"ended": pid,
"code": c}, where c < 0 is minus the signal that ended it.

Not as in life: the model's process is a stub (`stub_worker.py`), the libraries' pauses before they connect again are
short, and so is what scales with the day: how far back edits are looked for, how much Telegram takes in a minute, how
often a digest is drawn again, how long a warning waits for others to name. The certificates, which the simulators do
not need, are read once before the first fork.
"""

import asyncio
import functools
import gc
import json
import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import httpx

from bot import app, config
from bot.pipeline import warning_pace
from bot.platforms.discord import missed_messages, service
from bot.platforms.telegram import service as telegram_service
from bot.process import models
from model.serving import worker

STUB = Path(__file__).with_name("stub_worker.py")
OVERLAP = timedelta(seconds=2)
"""Ten minutes of a day are two seconds of a soak, in which an edit follows within half a second."""


class Stubbed(worker.Worker):
    """The real handle; another program at its other end."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._command = [sys.executable, "-S", "-E", str(STUB), "--threads", "1"]


async def at_once(*_: Any, **__: Any) -> None:
    """The library waits five seconds before it identifies again."""


def scale() -> None:
    """What the docstring says."""
    models.Worker = Stubbed
    httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)
    httpx._transports.default.create_ssl_context(verify=True, cert=None, trust_env=True)  # as the library asks
    discord.Client.before_identify_hook = at_once
    discord.backoff.ExponentialBackoff.delay = lambda _: 0.05
    service.Gateway = functools.partial(service.Gateway, guild_ready_timeout=0.02)
    missed_messages.OVERLAP = OVERLAP
    missed_messages.WAIT_S = 0.1
    telegram_service.PER_MINUTE = 100_000
    telegram_service.PACE = replace(telegram_service.PACE, redraw_s=0.1)
    service.Pace = functools.partial(service.Pace, redraw_s=0.1)
    warning_pace.GATHER_S = 0.05


def configured(folder: Path, discord_api: str, gateway: str, telegram_api: str) -> config.Config:
    """Both tokens, which are in the environment; no port of its own."""
    return config.Config(
        service=config.Service(port=0, data_folder=str(folder / "data"), key_file=str(folder / "sealing.key")),
        discord=config.Discord(api=discord_api, gateway=gateway),
        telegram=config.Telegram(api=telegram_api),
    )


def tell(pipe: int, **said: Any) -> None:
    """One line, which no other can come into."""
    os.write(pipe, json.dumps(said).encode() + b"\n")


async def running(settings: config.Config, pipe: int) -> None:
    """Says so once signals are heard, which is before anything is waited for."""
    asyncio.get_running_loop().call_soon(functools.partial(tell, pipe, begun=os.getpid()))
    await app.run(settings, lambda *_: tell(pipe, up=os.getpid()))


def serve(settings: config.Config, pipe: int, log: int) -> None:
    """The service, until a signal; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    code = 1
    try:
        asyncio.run(running(settings, pipe))
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def main(folder: Path, *addresses: str) -> None:
    """Forks until nobody listens any more; then the last child goes, too."""
    scale()
    settings = configured(folder, *addresses)
    pipe = os.dup(1)
    log = os.open(folder / "service.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    alive: set[int] = set()

    def reap(*_: object) -> None:
        while alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            alive.discard(pid)
            tell(pipe, ended=pid, code=os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, reap)
    gc.collect()
    gc.freeze()
    while sys.stdin.buffer.raw.readline():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        child = os.fork()
        if not child:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            serve(settings, pipe, log)
        alive.add(child)
        tell(pipe, forked=child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for left in list(alive):
        os.kill(left, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
