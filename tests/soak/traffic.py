"""Who is there on both platforms and what they say: seeded, mostly harmless, a little of it to be acted on.

Each text is the only one of its kind, so a row of the journal names the message it was made from. Who writes something
that is punished writes nothing else, so what happened to an author happened for that message.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.discord_server import Channel, DiscordServer, User
from tests.simulators.discord_server import Message as Written
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Chat, Message
from tests.simulators.telegram_state import User as Account
from tests.soak.record import Said
from tests.soak.stub_worker import SHARES

SHARE = {"HATE": 0.008, "RUDE": 0.008, "SHADY": 0.004}
"""How many of a thousand thousand are what, by the stub's words; the rest is harmless."""
EDITED = 0.01
EDIT_AFTER = 20
"""An edit comes when so many more messages were written."""
PEOPLE, CHANNELS, GROUPS = 60, 4, 3
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu")


def word(number: int) -> str:
    """A number in letters: a text with digits would be read twice."""
    return "".join(SYLLABLES[int(digit)] for digit in str(number))


@dataclass(eq=False)
class Spoken:
    """One message of ours."""

    author: User | Account
    texts: list[str]
    message: Written | Message
    chat: Chat | None = None
    """Telegram's; None on Discord."""


@dataclass
class Traffic:
    """The scene of both platforms, and everything that was said so far."""

    discord: DiscordServer
    telegram: TelegramServer
    dice: random.Random
    spoken: list[Spoken] = field(default_factory=list)
    _count: int = 0
    _to_edit: list[tuple[int, Spoken]] = field(default_factory=list)

    def __post_init__(self) -> None:
        server, other = self.discord, self.telegram
        self.guild = server.add_guild("Friends")
        self.alerts = self.guild.add_channel("alerts")
        self.channels: list[Channel] = [self.guild.add_channel(f"room-{word(n)}") for n in range(CHANNELS)]
        people = [self._member() for _ in range(PEOPLE)]
        self.channels += [self.channels[n].add_thread(f"thread {word(n)}", people[n]) for n in range(2)]
        self.members = people
        self.groups: list[Chat] = [other.add_group(f"Group {word(n)}") for n in range(GROUPS)]
        self.board = other.add_group("CaseService")
        self.accounts = [[self._account(group) for _ in range(PEOPLE)] for group in self.groups]

    def say(self, ago: timedelta = timedelta(0), platform: str = "") -> None:
        """One message, on the other platform than the last one unless one is named; `ago` is how long before now it was
        written, and then nobody is told of it before they ask."""
        self._count += 1
        kind = self.dice.random()
        harm, bound = "", 0.0
        for name in SHARES:
            bound += SHARE[name]
            if kind < bound and not harm:
                harm = name
        text = f"{harm or 'hello'} {word(self._count)}"
        at = datetime.now(UTC) - ago if ago else None
        platform = platform or ("discord", "telegram")[self._count % 2]
        spoken = (self._on_discord if platform == "discord" else self._on_telegram)(text, harm, at)
        self.spoken.append(spoken)
        if not harm and not ago and self.dice.random() < EDITED:
            self._to_edit.append((self._count + EDIT_AFTER, spoken))
        self._edit()

    def settle(self) -> None:
        """The edits that are still to come, now."""
        self._edit(everything=True)

    def said(self) -> tuple[Said, ...]:
        """Of both, as the oracle wants it."""
        found = []
        for one in self.spoken:
            if one.chat is None:
                number, platform = str(one.message.id), "discord"
            else:
                number, platform = f"{one.chat.id}:{one.message.id}", "telegram"
            author = f"{platform}:{one.author.id}"
            found.append(Said(platform, number, author, tuple(one.texts), one.chat is not None, one.message.deleted))
        return tuple(found)

    def _member(self) -> User:
        user = self.discord.add_user(f"p{word(len(self.discord.users))}")
        self.guild.add_member(user)
        return user

    def _account(self, group: Chat) -> Account:
        account = self.telegram.add_user(f"p{word(len(self.telegram.users))}")
        self.telegram.join(group, account)
        return account

    def _on_discord(self, text: str, harm: str, at: datetime | None) -> Spoken:
        author = self._member() if harm else self.dice.choice(self.members)
        channel = self.dice.choice(self.channels)
        message = self.discord.write(channel, author, text, at=at)
        if at is None:
            self.discord.publish(message)
        else:
            self.discord.keep(message)
        return Spoken(author, [text], message)

    def _on_telegram(self, text: str, harm: str, at: datetime | None) -> Spoken:
        number = self.dice.randrange(GROUPS)
        chat = self.groups[number]
        author = self._account(chat) if harm else self.dice.choice(self.accounts[number])
        message = self.telegram.write(chat, author, text)
        if at is not None:
            message.data["date"] = int(at.timestamp())
        self.telegram.push({"message": dict(message.data)})
        return Spoken(author, [text], message, chat)

    def _edit(self, *, everything: bool = False) -> None:
        while self._to_edit and (everything or self._to_edit[0][0] <= self._count):
            _, spoken = self._to_edit.pop(0)
            text = f"{spoken.texts[0]} again"
            spoken.texts.append(text)
            if isinstance(spoken.message, Message):
                date: dict[str, Any] = {"edit_date": int(spoken.message.data["date"]) + 1}
                spoken.message.data |= {"text": text} | date
                self.telegram.push({"edited_message": dict(spoken.message.data)})
            else:
                self.discord.update(spoken.message, content=text)
