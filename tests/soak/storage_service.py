"""The whole service as a process of its own, forked from nobody, so that a library can be loaded before everything
else: `python -m tests.soak.storage_service FOLDER DISCORD_API GATEWAY TELEGRAM_API`."""

import asyncio
import sys
from pathlib import Path

from tests.soak.service_process import configured, running, scale

STANDARD_ERROR = 2

if __name__ == "__main__":
    scale()
    asyncio.run(running(configured(Path(sys.argv[1]), *sys.argv[2:]), STANDARD_ERROR))
