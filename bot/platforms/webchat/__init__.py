"""The try-out chat: a real platform with one room and a few people, all of them played by the person who opened the
page."""

from bot.platforms.webchat.chat import COMMUNITY, MAX_CHARACTERS, PEOPLE, ROOM, Posted, Refused, WebChat

__all__ = ["COMMUNITY", "MAX_CHARACTERS", "PEOPLE", "ROOM", "Posted", "Refused", "WebChat"]
