"""Checks for `python -m bot check` whether Telegram takes the token, and names the link that adds the bot to a
group."""

from telegram.error import InvalidToken, TelegramError

from bot.domain.platform import PlatformRefuses, Unreachable
from bot.platforms.telegram.bot import Access, invite
from bot.platforms.telegram.service import check_identity, new_connection
from bot.platforms.unreadable_answers import PARSE_ERRORS, error_place, raised_in
from bot.text.inert import one_line


async def check_access(access: Access) -> list[str]:
    """Lines to print. Raises `PlatformRefuses` and `Unreachable`."""
    try:
        async with new_connection(access) as bot:
            check_identity(bot)
            me = bot.bot
    except InvalidToken as error:
        raise PlatformRefuses(
            "Telegram refuses the token; get one from @BotFather (/token) and put it into DOMOVOI_TELEGRAM_TOKEN"
        ) from error
    except TelegramError as error:
        raise Unreachable(
            f"Telegram: cannot be reached now ({one_line(error.message, 200)}); the token was not checked"
        ) from error
    except PARSE_ERRORS as error:
        if not raised_in("telegram", error):
            raise
        why = f"what it answers cannot be read, {error_place(error)}"
        raise Unreachable(f"Telegram: cannot be used now ({why}); the token was not checked") from error
    lines = [f"Telegram: logged in as @{me.username}"]
    if not me.can_read_all_group_messages:
        lines.append(
            "Telegram: the bot is in privacy mode; as a group's administrator it reads everything all the same"
        )
    if not me.can_join_groups:
        lines.append("Telegram: the bot may not be added to groups; allow it with @BotFather (/setjoingroups)")
    return [*lines, f"Telegram: add the bot to a group with {invite(str(me.username))}"]
