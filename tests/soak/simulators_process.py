"""Both simulators in one process, which records everything: `python -m tests.soak.simulators_process SEED`.

It reads commands, a JSON line each, and answers each with one line; it ends when nobody sends any more. It can kill the
service at the n-th call that people see, after the call took effect and before it is answered.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.simulators.discord_server import DiscordServer
from tests.simulators.telegram_server import TelegramServer
from tests.soak.record import Record, Shown
from tests.soak.traffic import Traffic

CASE = re.compile(r"case ([\d,]+)")
DIGEST = re.compile(r"(\d+) messages by (?:one|\d+) author")
AUTHOR = re.compile(r"tg://user\?id=(\d+)")
MARK = "May have been shown before"
READ = {"getupdates", "getme", "getchat", "getchatadministrators", "getchatmember", "deletewebhook"}
"""Telegram's calls that nobody sees."""
A_TURN = 20
"""Messages that are written before others get a turn."""


class Calls(list[Any]):
    """The simulators' own records of calls; whoever listens hears of each."""

    def __init__(self, heard: Callable[[Any], None]) -> None:
        super().__init__()
        self._heard = heard

    def append(self, call: Any) -> None:
        super().append(call)
        self._heard(call)


class Simulators:
    """Both, with their traffic. `victim` is whom the next kill is meant for."""

    def __init__(self, discord: DiscordServer, telegram: TelegramServer, seed: int) -> None:
        self.discord, self.telegram = discord, telegram
        self.traffic = Traffic(discord, telegram, random.Random(seed))
        self.calls = self.seen = self.kills = 0
        self.victim = 0
        self.kill_at = {"call": 0, "read": 0}
        discord.calls = Calls(lambda call: self._called(call.method != "GET" and "/commands" not in call.path))
        telegram.calls = Calls(lambda call: self._called(call.method.lower() not in READ))

    def _called(self, visible: bool) -> None:
        self.calls += 1
        self.seen += visible
        kind = "call" if visible else "read"
        if self.victim and self.kill_at[kind]:
            self.kill_at[kind] -= 1
            if not self.kill_at[kind]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.victim, signal.SIGKILL)
                    self.kills += 1
                self.victim = 0

    async def where(self) -> dict[str, Any]:
        """How they are reached, and what is there."""
        traffic = self.traffic
        return {
            "discord": self.discord.api,
            "gateway": self.discord.gateway,
            "telegram": self.telegram.api,
            "tokens": [self.discord.token, self.telegram.token],
            "guild": traffic.guild.id,
            "alerts": traffic.alerts.id,
            "groups": [group.id for group in traffic.groups],
            "board": traffic.board.id,
            "rooms": len(traffic.channels) + 1,
        }

    async def say(self, count: int, over_s: float = 0.0, since_s: float = 0.0, platform: str = "") -> dict[str, Any]:
        """Returns when it is said. Spread over `over_s`; or, at once, written evenly since so many seconds ago."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(count):
            self.traffic.say(timedelta(seconds=since_s * (1 - number / count)), platform)
            late = began + over_s * number / count - loop.time()
            if late > 0.01 or number % A_TURN == 0:
                await asyncio.sleep(max(late, 0.0))
        return {}

    async def life(self, pid: int, call: int = 0, read: int = 0) -> dict[str, Any]:
        """A new process of the service; it dies at the n-th call that people see, or that nobody sees."""
        for session in list(self.discord.sessions.values()):
            if session.connection is None:  # nobody resumes the session of a dead process
                del self.discord.sessions[session.id]
        self.victim, self.kill_at = pid, {"call": call, "read": read}
        return {}

    async def down(self, discord: bool, telegram: bool) -> dict[str, Any]:
        """They refuse connections, or drop what there is of them; or do so no more."""
        self.discord.faults.clear()
        self.telegram.faults.clear()
        if discord:
            self.discord.faults.refuse_connections()
            self.discord.faults.fail_rest("*", "", "reset", times=10**9)
            self.discord.sessions.clear()
            for connection in self.discord.connections:
                connection.cut()
        if telegram:
            self.telegram.fail("*", "reset", times=float("inf"))
        return {}

    async def state(self) -> dict[str, Any]:
        """How far things are."""
        return {
            "waiting": self.telegram.waiting,
            "calls": self.calls,
            "seen": self.seen,
            "kills": self.kills,
            "said": len(self.traffic.spoken),
            "connected": len(self.discord.live_sessions()),
        }

    async def settle(self) -> dict[str, Any]:
        """Nothing more will be said."""
        self.traffic.settle()
        return {}

    async def record(self, path: str) -> dict[str, Any]:
        """Everything so far, into a file; and what the simulators themselves could not make sense of."""
        guild, groups = self.traffic.guild, self.traffic.groups
        banned = {f"discord:{number}" for number in guild.bans}
        banned |= {f"telegram:{m.user.id}" for g in groups for m in g.members.values() if m.status == "kicked"}
        timed_out = {f"discord:{m.id}" for m in guild.members.values() if m.timed_out}
        timed_out |= {f"telegram:{m.user.id}" for g in groups for m in g.members.values() if m.status == "restricted"}
        warned = self._warned_on_discord() + self._warned_on_telegram()
        shown = (*self._shown_on_discord(), *self._shown_on_telegram())
        punished = (dict(warned), frozenset(banned), frozenset(timed_out))
        Record(self.traffic.said(), *punished, shown, self._digests()).save(Path(path))
        return {"unknown": self.discord.unknown_routes, "errors": [repr(error) for error in self.discord.errors]}

    def _digests(self) -> dict[str, int]:
        standing = [(f"discord:{m.id}", json.dumps(m.embeds)) for m in self.discord.bot_messages(self.traffic.alerts)]
        standing += [(f"telegram:{m.id}", m.text) for m in self.telegram.by_bot(self.traffic.board)]
        return {name: int(found[1]) for name, text in standing if (found := DIGEST.search(text))}

    def _warned_on_discord(self) -> Counter[str]:
        """Calls are counted, not messages: the simulator, like Discord, answers a repeated nonce with the message that
        is there, but Discord knows it only for a few minutes."""
        authors = {str(one.message.id): one.author.id for one in self.traffic.spoken if one.chat is None}
        nonces = [str(call.body().get("nonce") or "") for call in self.discord.calls if call.method == "POST"]
        numbers = [nonce.removeprefix("warn-") for nonce in nonces if nonce.startswith("warn-")]
        return Counter(f"discord:{authors[number]}" for number in numbers)

    def _warned_on_telegram(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for group in self.traffic.groups:
            for message in self.telegram.by_bot(group):
                found.update(f"telegram:{number}" for number in AUTHOR.findall(message.text))
        return found

    def _shown_on_discord(self) -> list[Shown]:
        """Every state a message was in counts: a digest shows its last lines only."""
        alerts = self.traffic.alerts
        found: dict[Shown, None] = {}
        for call in self.discord.calls:
            body, number = call.body(), 0
            if call.path == f"/channels/{alerts.id}/messages" and call.method == "POST":
                posted = self.discord.nonces.get((alerts.id, str(body.get("nonce"))))
                number = posted.id if posted else 0
            elif call.path.startswith(f"/channels/{alerts.id}/messages/") and call.method == "PATCH":
                number = int(call.path.rpartition("/")[2])
            if number and (embeds := body.get("embeds")):
                text, digest = json.dumps(embeds), "domovoi-digest" in json.dumps(body.get("components"))
                for case in CASE.findall(text):
                    found[Shown("discord", str(number), int(case.replace(",", "")), MARK in text, digest)] = None
        return list(found)

    def _shown_on_telegram(self) -> list[Shown]:
        board, found = self.traffic.board, dict[Shown, None]()
        sent = iter([one for one in board.messages.values() if one.data["from"]["id"] == self.telegram.bot.id])
        for call in self.telegram.calls:
            if call.status != 200 or str(call.data.get("chat_id")) != str(board.id):
                continue
            number = 0
            if call.method == "sendMessage":
                number = next(sent).id
            elif call.method == "editMessageText":
                number = int(call.data["message_id"])
            text, digest = str(call.data.get("text")), "next:" in json.dumps(call.data.get("reply_markup"))
            for case in CASE.findall(text) if number else ():
                found[Shown("telegram", str(number), int(case.replace(",", "")), MARK in text, digest)] = None
        return list(found)


async def main(seed: int) -> None:
    """Answers commands until there are no more."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with DiscordServer() as discord, TelegramServer() as telegram:
        simulators = Simulators(discord, telegram, seed)
        async with asyncio.TaskGroup() as group:

            async def answer(number: int, what: str, arguments: dict[str, Any]) -> None:
                said = await getattr(simulators, what)(**arguments)
                sys.stdout.write(json.dumps({"number": number, "said": said}) + "\n")
                sys.stdout.flush()

            while line := await reader.readline():
                group.create_task(answer(*json.loads(line)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
