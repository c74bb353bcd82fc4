"""The simulators started by hand, and a whole bot started as they say."""

import asyncio
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def line_with(stream: asyncio.StreamReader, pattern: str) -> re.Match[str]:
    """The first line that matches; fails with everything that came before where none comes."""
    lines: list[str] = []
    async with asyncio.timeout(120):
        while line := (await stream.readline()).decode():
            if match := re.search(pattern, line):
                return match
            lines.append(line)
    raise AssertionError(f"no line matches {pattern!r}:\n{''.join(lines)}")


async def test_a_bot_started_as_it_says_answers_what_is_typed() -> None:
    """It connects to both, hears what is typed, and what it writes is shown; the simulators end with their input."""
    pipe = asyncio.subprocess.PIPE
    simulators = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulators"), cwd=ROOT, stdin=pipe, stdout=pipe
    )
    assert simulators.stdin is not None and simulators.stdout is not None
    start = await line_with(simulators.stdout, r"start a bot with: (\S+)=(\S+) (\S+)=(\S+) python (.*)")
    environment = os.environ | {start[1]: start[2], start[3]: start[4]}
    bot = await asyncio.create_subprocess_exec(
        sys.executable, *start[5].split(), cwd=ROOT, env=environment, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        assert bot.stdout is not None
        await line_with(bot.stdout, "connected to Discord")
        simulators.stdin.write(b"ann: hello\n")
        await line_with(simulators.stdout, r"^Telegram Friends: Hello! I am Domovoi")
    finally:
        bot.terminate()
        await bot.communicate()
        simulators.stdin.close()
        await simulators.wait()
    assert (bot.returncode, simulators.returncode) == (0, 0)
