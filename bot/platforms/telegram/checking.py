"""What `python -m bot check` says of Telegram: whether the token is good, and the link that adds the bot to a group."""

import telegram
from telegram.error import InvalidToken, TelegramError

from bot.platforms.base import PlatformRefuses, Unreachable
from bot.platforms.telegram.service import Access, invite


async def check_access(access: Access) -> list[str]:
    """Lines to print. Raises `PlatformRefuses` and `Unreachable`."""
    base = access.api.rstrip("/") or "https://api.telegram.org"
    try:
        async with telegram.Bot(access.token, base_url=f"{base}/bot", base_file_url=f"{base}/file/bot") as bot:
            me = bot.bot
    except InvalidToken as error:
        raise PlatformRefuses(
            "Telegram refuses the token; get one from @BotFather (/token) and put it into DOMOVOI_TELEGRAM_TOKEN"
        ) from error
    except TelegramError as error:
        raise Unreachable(f"Telegram: cannot be reached now ({error.message}); the token was not checked") from error
    lines = [f"Telegram: logged in as @{me.username}"]
    if not me.can_read_all_group_messages:
        lines.append(
            "Telegram: the bot is in privacy mode; as a group's administrator it reads everything all the same"
        )
    if not me.can_join_groups:
        lines.append("Telegram: the bot may not be added to groups; allow it with @BotFather (/setjoingroups)")
    return [*lines, f"Telegram: add the bot to a group with {invite(str(me.username))}"]
