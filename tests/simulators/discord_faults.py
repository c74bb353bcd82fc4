"""What a test may break: the socket, the order of events, the answers of REST. Seeded; nothing breaks by itself."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .odd_bodies import Odd

if TYPE_CHECKING:
    from .discord_gateway import Session
    from .discord_server import DiscordServer

SHUFFLE_WAIT_S = 0.05
FINAL_CODES = (1000, 1001, 4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014)
Failure = int | str
"""A status, or "reset" (RST instead of an answer), "hang", "429" or "429-global"."""


@dataclass
class RestFault:
    """One armed failure of REST; `left` is how many more requests it hits."""

    method: str
    path: re.Pattern[str]
    failure: Failure
    left: float
    before_effect: bool
    retry_after_s: float
    odd: Odd | None = None
    """Answers this instead of the right answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """With it, in place of Discord's own."""


@dataclass
class RestLimit:
    """A bucket: so many requests in each window."""

    method: str
    path: re.Pattern[str]
    requests: int
    window_s: float
    used: int = 0
    ends_s: float = 0.0

    def take(self) -> bool:
        """Count a request; False: it is one too many."""
        now_s = time.monotonic()
        if now_s >= self.ends_s:
            self.used, self.ends_s = 0, now_s + self.window_s
        self.used += 1
        return self.used <= self.requests

    def left(self) -> int:
        return max(0, self.requests - self.used)

    def reset_after_s(self) -> float:
        return max(0.001, self.ends_s - time.monotonic())


class Faults:
    """Armed failures of one server."""

    def __init__(self, server: DiscordServer, seed: int) -> None:
        self._server = server
        self.random = random.Random(seed)
        self._drop_in = 0
        self._duplicates = 0
        self._window = 0
        self._held: list[tuple[Session, str, str]] = []
        self._rest: list[RestFault] = []
        self._limits: list[RestLimit] = []
        self.silent: str | None = None
        self._refusals = 0.0
        self.refuse_how: int | str = "reset"

    # what tests call

    def drop_socket_after(self, n_events: int) -> None:
        """Cut the TCP connection, without a close frame, in place of the n-th event from now. That event and those
        after it wait in the session for a RESUME. Once."""
        self._drop_in = n_events

    def drop_socket(self) -> None:
        """Cut every TCP connection now, without a close frame, after what was sent before."""
        for session in self._server.live_sessions():
            session.cut()

    def close_socket(self, code: int) -> None:
        """Close every socket with this code. Some codes also end the session, as on Discord."""
        for session in self._server.live_sessions():
            if code in FINAL_CODES:
                self._server.sessions.pop(session.id, None)
            session.close(code)

    def invalid_session(self, resumable: bool) -> None:
        """Op 9 to every client; `False` also forgets the session."""
        for session in self._server.live_sessions():
            session.control({"op": 9, "d": resumable})
            if not resumable:
                self._server.sessions.pop(session.id, None)
                session.connection = None

    def ask_reconnect(self) -> None:
        """Op 7 to every client."""
        for session in self._server.live_sessions():
            session.control({"op": 7, "d": None})

    def duplicate(self, n_events: int) -> None:
        """Deliver each of the next n events twice, under two sequence numbers."""
        self._duplicates = n_events

    def shuffle(self, window: int) -> None:
        """From now on hold events until `window` of them wait (or 50 ms passed) and deliver them in random order.
        0 ends it."""
        self._window = window
        if not window:
            self._release()

    def malformed(self, event: str, text: str = '{"id": null, "guild_id": "?", "author": 7}') -> None:
        """Dispatch an event of a known type with garbage (JSON text) for its data, now, to every session."""
        for session in list(self._server.sessions.values()):
            session.emit(event, text)

    def fail_rest(
        self,
        method: str,
        path: str,
        failure: Failure,
        times: int = 1,
        *,
        before_effect: bool = True,
        retry_after_s: float = 0.05,
    ) -> None:
        """Fail the next requests whose method equals `method` ("*": any) and whose path, like
        "/channels/1/messages/2", contains a match of the regex `path`. `before_effect=False`: the request takes
        effect first, then its answer is lost."""
        fault = RestFault(method.upper(), re.compile(path), failure, times, before_effect, retry_after_s)
        self._rest.append(fault)

    def answer_oddly(
        self,
        method: str,
        path: str,
        odd: Odd,
        times: float = 1,
        *,
        before_effect: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """The next of these requests take effect, and are answered with something else than they should be. Matching
        as for `fail_rest`."""
        named = {"Content-Type": "application/json"} if headers is None else headers
        pattern = re.compile(path)
        self._rest.append(RestFault(method.upper(), pattern, 200, times, before_effect, 0.0, odd, named))

    def limit_rest(self, method: str, path: str, requests: int, window_s: float) -> None:
        """A real rate limit: headers count down, and what exceeds it is answered 429. Matching as for `fail_rest`."""
        self._limits.append(RestLimit(method.upper(), re.compile(path), requests, window_s))

    def silence(self, what: str = "acks") -> None:
        """ "acks": heartbeats are not answered; "all": nothing at all is sent on any socket, until `speak()`."""
        self.silent = what

    def speak(self) -> None:
        """Ends `silence`; what was held back is sent."""
        self.silent = None
        for session in self._server.live_sessions():
            session.wake()

    def refuse_connections(self, times: float = float("inf"), how: int | str = "reset") -> None:
        """Refuse the next gateway handshakes: "reset" or an HTTP status. 0 ends it."""
        self._refusals, self.refuse_how = times, how

    def clear(self) -> None:
        """Disarm everything."""
        self._drop_in = self._duplicates = 0
        self._rest.clear()
        self._limits.clear()
        self._refusals = 0
        self.shuffle(0)
        self.speak()

    # what the server asks

    def refuses(self) -> bool:
        if self._refusals <= 0:
            return False
        self._refusals -= 1
        return True

    def rest_fault(self, method: str, path: str) -> RestFault | None:
        for fault in self._rest:
            if fault.left > 0 and fault.method in ("*", method) and fault.path.search(path):
                fault.left -= 1
                return fault
        return None

    def rest_limit(self, method: str, path: str) -> RestLimit | None:
        return next((one for one in self._limits if one.method in ("*", method) and one.path.search(path)), None)

    @property
    def quiet(self) -> bool:
        """Nothing armed that touches events, so that they can go the short way."""
        return not (self._drop_in or self._duplicates or self._window)

    def deliver(self, session: Session, event: str, text: str) -> None:
        """Send an event on, as the armed faults have it."""
        if self._window:
            self._held.append((session, event, text))
            if len(self._held) >= self._window:
                self._release()
            elif len(self._held) == 1:
                self._server.loop.call_later(SHUFFLE_WAIT_S, self._release)
            return
        self._deliver_now(session, event, text)

    def _release(self) -> None:
        held, self._held = self._held, []
        self.random.shuffle(held)
        for session, event, text in held:
            self._deliver_now(session, event, text)

    def _deliver_now(self, session: Session, event: str, text: str) -> None:
        twice = self._duplicates > 0
        self._duplicates -= twice
        for _ in range(1 + twice):
            if self._drop_in and session.connection is not None:
                self._drop_in -= 1
                if not self._drop_in:
                    session.cut()
            session.emit(event, text)
