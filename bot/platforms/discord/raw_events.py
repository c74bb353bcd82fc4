"""Messages as Discord sent them: the library keeps what it knows of, and people read what is new, too."""

from collections.abc import Mapping
from typing import Any

import discord
from discord import state
from discord.app_commands import namespace

Json = Mapping[str, Any]


class Received(discord.Message):
    """The library's message with the JSON it was made from."""

    __slots__ = ("raw",)

    def __init__(self, *, state: Any, channel: Any, data: Any) -> None:
        self.raw: Json = data
        super().__init__(state=state, channel=channel, data=data)


def raw_of(message: discord.Message) -> Json:
    """Returns the JSON that a message was made from; for a message made elsewhere only its text."""
    return message.raw if isinstance(message, Received) else {"content": message.content}


# events, channels' histories and menus make their messages by these names
state.Message = namespace.Message = Received  # type: ignore[attr-defined]
