"""Cards as Telegram shows them: HTML in which everything a member typed is escaped and stands in a code block."""

import html
import re
from collections.abc import Sequence

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.cases.card import MOST_IN_DIGEST, Card, digest_line, digest_title
from bot.cases.card import shown_text as message_shown
from bot.domain.case import Case
from bot.pipeline.hourly_cap import RESUME
from bot.platforms.telegram.events import chat_of, number_of
from bot.text.inert import one_line, plain
from bot.text.language import Language, say
from model.labels import LABELS

LONGEST_BLOCK = 2800
"""A message holds 4,096 characters."""
IN_DIGEST = 120


LONGEST_TEXT = 4096
"""Characters of a message as people read it: tags and escapes do not count."""
_TAG = re.compile(r"<[^>]*>")


def fitting(text: str) -> str:
    """HTML as long as a message may be: last lines go, and a line or a block is never cut."""
    lines = text.split("\n")
    while len(lines) > 1 and (len(html.unescape(_TAG.sub("", text))) >= LONGEST_TEXT or _open(text)):
        lines.pop()
        text = "\n".join([*lines, "…"])
    return text


def _open(text: str) -> bool:
    return text.count("<pre>") != text.count("</pre>")


def block(text: str, language: Language, limit: int = LONGEST_BLOCK) -> str:
    """Returns a code block; a sentence where the text is no longer kept."""
    shown = plain(text, limit)
    return f"<pre>{html.escape(shown)}</pre>" if shown else f"<i>{say(language, 'text-forgotten')}</i>"


def inline(text: str, limit: int = 80) -> str:
    """Inline code of one line."""
    return f"<code>{html.escape(one_line(text, limit)) or '…'}</code>"


def link(case: Case) -> str:
    """Returns the link to the message; "" for a name and in a group that is no supergroup."""
    number, chat = number_of(case.message.key), str(chat_of(case.message.key.message.partition(":")[0]))
    return f"https://t.me/c/{chat[4:]}/{number}" if number is not None and chat.startswith("-100") else ""


def card_text(card: Card, case: Case, language: Language) -> str:
    """The card of one case."""
    author = inline(card.author)
    if card.author_id.isdecimal():
        author = f'<a href="tg://user?id={card.author_id}">{html.escape(one_line(card.author, 64)) or "…"}</a>'
    parts = [f"<b>{html.escape(card.title)}</b>", block(card.text, language)]
    address = link(case)
    jump = f' · <a href="{address}">{say(language, "card-jump")}</a>' if address else ""
    parts.append(f"{say(language, 'card-author')}: {author}{jump}")
    parts += [html.escape(line) for line in card.lines]
    parts += [f"{who(moderator)}: {html.escape(answer)}" for moderator, answer in card.words[-8:]]
    parts.append(f"<i>{html.escape(card.footer)}</i>")
    return "\n".join(parts)


def digest_text(cases: Sequence[Case], language: Language) -> str:
    """One card for many cases."""
    shown = list(cases)[-MOST_IN_DIGEST:]
    lines = [f"<b>{html.escape(digest_title(cases, language))}</b>"]
    for case in shown:
        lines.append(
            f"{html.escape(digest_line(case, language))}\n{inline(message_shown(case.message, language), IN_DIGEST)}"
        )
    if len(cases) > len(shown):
        lines.append(say(language, "digest-more", count=len(cases) - len(shown)))
    return "\n".join(lines)


def keyboard(card: Card, *, following: int | None = None, language: Language = "en") -> InlineKeyboardMarkup:
    """Returns the card's buttons, two in a row; `following` is the first case of the digest that is being gone
    through."""
    buttons = [InlineKeyboardButton(button.text, callback_data=f"{button.verb}:{card.case}") for button in card.buttons]
    rows = [buttons[start : start + 2] for start in range(0, len(buttons), 2)]
    if following is not None:
        rows.append([InlineKeyboardButton(say(language, "button-next"), callback_data=f"next:{following}")])
    return InlineKeyboardMarkup(rows)


def digest_keyboard(first: int, language: Language) -> InlineKeyboardMarkup:
    """Returns a digest's one button; `first` is its first case."""
    return InlineKeyboardMarkup([[InlineKeyboardButton(say(language, "button-next"), callback_data=f"next:{first}")]])


def resume_keyboard(chat: int, language: Language) -> InlineKeyboardMarkup:
    """Below the notice that acting is paused in a group."""
    button = InlineKeyboardButton(say(language, "button-resume"), callback_data=f"set:{chat}:{RESUME}")
    return InlineKeyboardMarkup([[button]])


def label_keyboard(case: Case, language: Language) -> InlineKeyboardMarkup:
    """Which label is right, and a way back."""
    shown = case.decision.label
    labels = [
        InlineKeyboardButton(say(language, f"label-{label}"), callback_data=f"label:{case.id}:{label}")
        for label in LABELS
        if label != shown
    ]
    return InlineKeyboardMarkup([labels, [InlineKeyboardButton("◀", callback_data=f"card:{case.id}")]])


def who(moderator: str) -> str:
    """A moderator by a link to their profile, by name where it is known."""
    number, _, name = moderator.removeprefix("telegram:").partition(":")
    if moderator.startswith("telegram:") and number.isdecimal():
        return f'<a href="tg://user?id={number}">{html.escape(one_line(name, 40)) or number}</a>'
    return inline(moderator)
