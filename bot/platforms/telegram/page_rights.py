"""Asks Telegram for the page what an account may do in a group; a click would bring the account along."""

from telegram.error import TelegramError

from bot.domain.platform import Unreachable
from bot.domain.role import STRANGER, Role, Standing
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.events import PLATFORM, chat_named
from bot.platforms.telegram.who_may import Right, rights_beyond, rights_beyond_undo, rights_from


async def standing(bot: TelegramBot, community: str, person: int) -> Standing:
    """Returns the standing of an account. An administrator without a right that counts is a viewer. Raises
    `Unreachable`.

    A group that is linked with another platform's community gives no role in that community: its owner may have no
    rights there.
    """
    if (chat := _chat(bot, community)) is None:
        return STRANGER
    try:
        rights = await bot.admins.rights(bot.api, chat, person, fresh=True)
        if not await bot.admins.is_one(bot.api, chat, person):  # as it was answered a moment ago
            return STRANGER
    except TelegramError as error:
        raise Unreachable(error.message) from error
    may = rights_from(rights)
    role = Role.OWNER if Right.MANAGE in may else Role.MODERATOR if Right.MODERATE in may else Role.VIEWER
    return Standing(role, lambda policy: rights_beyond(rights, policy), lambda case: rights_beyond_undo(rights, case))


async def communities(bot: TelegramBot, person: int) -> list[str]:
    """Returns groups in which a user was seen, or which they are known to administer; makes no call."""
    chats = [chat for chat, _ in await bot.groups_with(person)] + bot.admins.of_whom(person)
    own = dict.fromkeys(bot.groups.community_of(chat) for chat in chats)
    return [community for community in own if community.startswith(f"{PLATFORM}-")]


def _chat(bot: TelegramBot, community: str) -> int | None:
    """A community's own group, where the bot is."""
    try:
        chat = bot.groups.now_at(chat_named(community))
    except ValueError:
        return None
    return chat if bot.groups.knows(chat) and bot.groups.community_of(chat) == community else None
