"""Cards as Discord shows them: embeds with inert text, and buttons that outlive a restart."""

from collections.abc import Sequence

import discord

from bot.cases.card import MOST_IN_DIGEST, Card, digest_line, digest_title
from bot.cases.card import shown_text as message_shown
from bot.domain.case import Case
from bot.platforms.discord.buttons import CaseButton, DigestButton, ResumeButton
from bot.platforms.discord.events import channel_of, guild_of, message_of
from bot.platforms.discord.inert_markdown import block, inline
from bot.text.language import Language, say
from model.labels import Label

COLOURS = {Label.HATE: 0xC62828, Label.OFFENSIVE: 0xEF6C00, Label.NEUTRAL: 0x546E7A}
STYLES = {
    "right": discord.ButtonStyle.success,
    "wrong": discord.ButtonStyle.danger,
    "undo": discord.ButtonStyle.secondary,
    "explain": discord.ButtonStyle.primary,
}
IN_DIGEST = 120
"""Characters of a message in a digest's line."""


def link(case: Case) -> str:
    """Returns the link to the message; to the channel for a title, and "" for a name."""
    key = case.message.key
    channel, message = channel_of(key.room), message_of(key)
    if not channel:
        return ""
    place = f"https://discord.com/channels/{guild_of(key.community)}/{channel}"
    return f"{place}/{message}" if message is not None else place


def embed(card: Card, case: Case, language: Language) -> discord.Embed:
    """The card of one case."""
    shown = discord.Embed(title=card.title, description=block(card.text, language), colour=COLOURS[card.label])
    author = f"<@{card.author_id}> {inline(card.author)}" if card.author_id.isdecimal() else inline(card.author)
    shown.add_field(name=say(language, "card-author"), value=author)
    if channel := channel_of(card.room):
        place = f"<#{channel}> · [{say(language, 'card-jump')}]({link(case)})"
        shown.add_field(name=say(language, "card-where"), value=place)
    shown.add_field(name=say(language, "card-why"), value="\n".join(card.lines)[:1024], inline=False)
    if card.words:
        words = "\n".join(f"{who(moderator)}: {answer}" for moderator, answer in card.words)
        shown.add_field(name=say(language, "card-said"), value=words[-1024:], inline=False)
    shown.set_footer(text=card.footer)
    return shown


def buttons(card: Card) -> discord.ui.View:
    """Returns the card's buttons. Their ids say what they do, so the view need not be kept."""
    view = discord.ui.View(timeout=None)
    for button in card.buttons:
        view.add_item(CaseButton(button.verb, card.case, text=button.text, style=STYLES[button.verb]))
    view.stop()
    return view


def digest_embed(cases: Sequence[Case], language: Language) -> discord.Embed:
    """One card for many cases."""
    shown = list(cases)[-MOST_IN_DIGEST:]
    lines = [
        f"{digest_line(case, language)}\n{inline(message_shown(case.message, language), IN_DIGEST)}" for case in shown
    ]
    if len(cases) > len(shown):
        lines.append(say(language, "digest-more", count=len(cases) - len(shown)))
    title = digest_title(cases, language)
    return discord.Embed(title=title, description="\n".join(lines)[:4096], colour=COLOURS[Label.OFFENSIVE])


def digest_buttons(first: int, language: Language) -> discord.ui.View:
    """Returns a digest's one button; `first` is its first case."""
    view = discord.ui.View(timeout=None)
    view.add_item(DigestButton(first, text=say(language, "button-next")))
    view.stop()
    return view


def resume_button(language: Language) -> discord.ui.View:
    """Below the notice that acting is paused."""
    view = discord.ui.View(timeout=None)
    view.add_item(ResumeButton(text=say(language, "button-resume")))
    view.stop()
    return view


def who(moderator: str) -> str:
    """A moderator as Discord shows them, without calling them."""
    return f"<@{moderator.removeprefix('discord:')}>" if moderator.startswith("discord:") else inline(moderator)
