"""A channel's messages as REST has them, read one by one: one that the library cannot read keeps back no other."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import discord
import structlog

from bot.domain.platform import Unreadable
from bot.platforms.unreadable_answers import PARSE_ERRORS, described_error, error_place, raised_in

PAGE = 100
log = structlog.get_logger()
Room = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread
_PLAIN: Mapping[str, Any] = {
    "type": 0,
    "edited_timestamp": None,
    **{name: [] for name in ("attachments", "embeds", "components", "mentions", "mention_roles")},
}


@dataclass(frozen=True, slots=True)
class Page:
    """Yields messages, oldest first. `newest` is the last message's number. `skipped` lists the numbers of unreadable
    messages, 0 for one without a number."""

    messages: list[discord.Message]
    newest: int
    skipped: list[int]


async def pages(channel: Room, after: int) -> AsyncIterator[Page]:
    """Returns the messages behind this number, as many at once as Discord gives. Raises `Unreadable` where an answer
    does not show where it ends, and the library's errors."""
    while True:
        answer: Any = await channel._state.http.logs_from(channel.id, PAGE, after=after)
        if not isinstance(answer, list):
            raise Unreadable("Discord's history is no list")
        numbered = [(number, one) for one in answer if (number := _number(one)) > after]
        read_messages = [(number, read(channel, one)) for number, one in sorted(numbered, key=lambda pair: pair[0])]
        messages = [message for _, message in read_messages if message is not None]
        skipped = [number for number, message in read_messages if message is None]
        skipped += [0 for one in answer if not _number(one)]
        if not numbered:
            if answer and len(answer) >= PAGE:
                raise Unreadable("a page of Discord's history has no numbers")
            return
        after = max(number for number, _ in numbered)
        yield Page(messages, after, skipped)
        if len(answer) < PAGE:
            return


def read(channel: Room, data: Any) -> discord.Message | None:
    """Returns the message; where its parts cannot be read, one made of number, author and text. None where these cannot
    be read either."""
    try:
        return discord.Message(state=channel._state, channel=channel, data=data)
    except PARSE_ERRORS as error:
        if not raised_in("discord", error):
            raise
        log.warning(
            "a message cannot be read as it is", room=channel.id, error=described_error(error), at=error_place(error)
        )
    try:
        return discord.Message(state=channel._state, channel=channel, data=_plain(data))
    except PARSE_ERRORS:
        log.error("a message was skipped", room=channel.id, message=_number(data))
        return None


def _plain(data: Any) -> Any:
    author, content = data["author"], data["content"]
    if not isinstance(content, str):
        raise TypeError("a message without text")
    account = {"id": author["id"], "username": str(author.get("username") or "?"), "discriminator": "0", "avatar": None}
    account |= {name: author[name] for name in ("global_name", "bot") if isinstance(author.get(name), str | bool)}
    return {**_PLAIN, "id": data["id"], "author": account, "content": content}


def _number(data: Any) -> int:
    """0 where there is none."""
    number = data.get("id") if isinstance(data, dict) else None
    return int(number) if isinstance(number, str) and number.isdecimal() and len(number) <= 20 else 0
