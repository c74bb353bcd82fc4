"""Telegram: `service` is the platform, `receiving` takes updates, `events` and `acting` translate.

The rest is what people see and click.
"""

import os

os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library's coming way to say how long to wait

from bot.platforms.telegram.bot import Access  # the library reads that when it is used
from bot.platforms.telegram.service import Telegram

__all__ = ["Access", "Telegram"]
