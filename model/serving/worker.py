"""The process that owns the device, and the handle that keeps it alive.

The child (`python -m model.serving.worker`) reads one JSON request per line and answers with one JSON line; only the
child loads torch. When it dies for any reason, the parent starts a new one and asks again. This is safe, because
`classify` is pure.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.choice import BaseChoice, add_base_options, read_base_choice
from model.classifier import AdapterRejected, Died, Item, Unavailable, Unscorable, Verdict, are_probabilities
from model.kinds import Kind
from model.labels import LABELS
from model.serving import core_dumps

MAX_LINE_BYTES = 64 * 2**20
ATTEMPTS = 3
"""Tries of one request before `Died` is raised."""
_EMPTY_REQUEST = json.dumps({"items": [], "adapters": {}}).encode() + b"\n"


class Worker:
    """A `Classifier` in another process. `async with` starts and stops it; it works on one request at a time.

    `folder_of` maps an adapter (`scope/version`) to its folder. `answer_timeout_s` bounds one request; the first one,
    which waits for the model to load, gets `load_timeout_s` more. A slower worker is killed and replaced. After
    `attempts` dead workers the request fails; a service that counts the deaths for each message uses one attempt. With
    `tries_adapters`, an adapter must pass `model.adapters.canaries` (none does over a base with random weights). With
    `lazy` the process starts with the first request, not before.
    """

    def __init__(
        self,
        base: str | BaseChoice,
        folder_of: Callable[[str], Path],
        *,
        threads: int = 2,
        answer_timeout_s: float = 60.0,
        load_timeout_s: float = 60.0,
        attempts: int = ATTEMPTS,
        tries_adapters: bool = True,
        lazy: bool = False,
    ) -> None:
        choice = base if isinstance(base, BaseChoice) else BaseChoice(base)
        self._command = [sys.executable, "-m", "model.serving.worker", *choice.arguments(), "--threads", str(threads)]
        self._command += [] if tries_adapters else ["--untried"]
        self._load_timeout_s = load_timeout_s
        self._loaded, self._lazy = False, lazy
        self._folder_of = folder_of
        self._answer_timeout_s = answer_timeout_s
        self._attempts = attempts
        self._process: asyncio.subprocess.Process | None = None
        self._request_lock = asyncio.Lock()
        self.restarts = 0

    async def __aenter__(self) -> "Worker":
        if not self._lazy:
            await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while no child runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item. Raises `AdapterRejected`, `Unscorable`, `Died` if every attempt killed a worker, or
        `Unavailable` if no worker could be started."""
        try:
            adapters = {item.adapter: str(self._folder_of(item.adapter)) for item in items}
        except OSError as error:  # temporary, such as too many open files
            raise Unavailable(f"the adapters' folder cannot be read: {error.strerror}") from error
        rows_sent = [(item.text, item.adapter, item.categories, item.community) for item in items]
        answer = await self._ask({"items": rows_sent, "adapters": adapters})
        rows = answer["verdicts"]
        numbers = [
            (*row["probabilities"], *row.get("categories", {}).values(), *row.get("kinds", {}).values()) for row in rows
        ]
        if places := frozenset(place for place, row in enumerate(numbers) if not are_probabilities(row)):
            raise Unscorable("the model's process answered with numbers that are not probabilities", places)
        return [
            Verdict(
                dict(zip(LABELS, row.pop("probabilities"), strict=True)),
                kinds={Kind(kind): share for kind, share in row.pop("kinds", {}).items()},
                **row,
            )
            for row in rows
        ]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors of the frozen base."""
        vectors: list[list[float]] = (await self._ask({"embed": list(texts)}))["vectors"]
        return vectors

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sends the request and waits; a cancelled caller leaves no half-read answer behind."""
        line = json.dumps(request).encode() + b"\n"
        async with self._request_lock:
            loaded = False
            for _ in range(self._attempts):
                try:
                    if (self.pid is None or not self._loaded) and "error" in (answer := await self._load()):
                        raise Unavailable(answer["error"])
                    answer = await self._exchange(line, self._answer_timeout_s)
                    loaded = True
                except (OSError, EOFError, ValueError, TimeoutError):
                    loaded = loaded or self._loaded
                    await self._stop()
                    self.restarts += 1
                    continue
                except asyncio.CancelledError:
                    await self._stop()  # else the next request would read this answer
                    raise
                if answer.pop("needs_restart", False):
                    await self._stop()
                    self.restarts += 1
                    if "unscorable" in answer:
                        continue  # a new process may be able to
                if "rejected" in answer:
                    raise AdapterRejected(answer["rejected"])
                if "unscorable" in answer:
                    raise Unscorable(answer["why"], frozenset(answer["unscorable"]))
                return answer
        if not loaded:
            raise Unavailable("the model's process ends, or takes too long, while it loads the model")
        times = f"{self._attempts} times on the same request" if self._attempts > 1 else "or took too long"
        raise Died(f"the model's process died {times}")

    async def restart(self) -> None:
        """Ends the process after the current request; the next request starts a new one, which loads the base again."""
        async with self._request_lock:
            await self._stop()

    async def _load(self) -> dict[str, Any]:
        """Sends an empty request, so that a death while loading is not blamed on a text."""
        if self.pid is None:
            await self._start()
        answer = await self._exchange(_EMPTY_REQUEST, self._load_timeout_s + self._answer_timeout_s)
        self._loaded = "error" not in answer
        return answer

    async def _exchange(self, line: bytes, timeout_s: float) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError
        async with asyncio.timeout(timeout_s):
            process.stdin.write(line)
            await process.stdin.drain()
            if not (answer_line := await process.stdout.readline()):
                raise EOFError
        answer: dict[str, Any] = json.loads(answer_line)
        return answer

    async def _start(self) -> asyncio.subprocess.Process:
        self._loaded = False
        # Waiting threads must sleep: spinning threads take the cores from the event loop (docs/LOG.md).
        environment = {
            "OMP_WAIT_POLICY": "passive",
            **without_secrets(os.environ),
            "OMP_NUM_THREADS": self._command[self._command.index("--threads") + 1],
        }
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            process_group=0,  # Ctrl-C reaches only the parent, which then ends this process
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        return self._process

    async def _stop(self) -> None:
        process, self._process, self._loaded = self._process, None, False
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # else the pipes linger until garbage collection


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the bot's own settings, DOMOVOI_…, for a process that needs no token."""
    return {name: value for name, value in environment.items() if not name.upper().startswith("DOMOVOI_")}


def serve(choice: BaseChoice, threads: int, *, tries_adapters: bool = True) -> None:
    """The child's loop. It ends when its input ends, so the child never outlives its parent."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries goes to the log, not between the answers
    import torch

    from model.base import BaseNotFound
    from model.open import open_chosen_base
    from model.serving.scorer import Scorer

    logging.basicConfig(format="%(asctime)s [%(levelname)-8s] %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("model").setLevel(logging.INFO)  # the memory table, in the parent's log
    torch.set_num_threads(threads)
    failure, scorer = "", None
    try:
        scorer = Scorer(open_chosen_base(choice), choice.adapter_mib, tries_adapters=tries_adapters)
    except BaseNotFound as error:
        failure = str(error)
    for line in sys.stdin:
        answer = _answer(scorer, json.loads(line)) if scorer else {"error": failure}
        answers.write(json.dumps(answer, allow_nan=False) + "\n")
        answers.flush()


def _answer(scorer: Any, request: dict[str, Any]) -> dict[str, Any]:
    if "embed" in request:
        return {"vectors": scorer.embed(request["embed"])}
    try:
        for adapter, folder in request["adapters"].items():
            scorer.load(adapter, Path(folder))
        items = [
            Item(text, adapter, tuple((name, description) for name, description in categories), community)
            for text, adapter, categories, community in request["items"]
        ]
        verdicts = scorer.classify(items)
    except AdapterRejected as error:
        return {"rejected": str(error)}
    except Unscorable as error:
        return {"unscorable": sorted(error.places), "why": str(error), "needs_restart": scorer.needs_restart}
    rows = [{**asdict(v), "probabilities": list(v.probabilities.values())} for v in verdicts]
    return {"verdicts": rows, "needs_restart": scorer.needs_restart}


if __name__ == "__main__":
    core_dumps.forbid()
    parser = argparse.ArgumentParser(prog="python -m model.serving.worker", description="Serves one parent process.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--untried", action="store_true", help="do not test adapters on a few plain texts")
    add_base_options(parser)
    options = parser.parse_args()
    with contextlib.suppress(BrokenPipeError):  # the parent was killed
        serve(read_base_choice(options), options.threads, tries_adapters=not options.untried)
