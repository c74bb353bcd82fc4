"""Translates descriptions of commands; names of commands are the same in every language."""

import discord
from discord import app_commands

from bot.text.language import LANGUAGES, language_of, say


class Translations(app_commands.Translator):
    """Descriptions are written as the name of their text, given as `extras`."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Returns None for a language that the bot does not have; Discord then shows the English text."""
        name = string.extras.get("text")
        if name is None or str(locale).partition("-")[0] not in LANGUAGES or str(locale).startswith("en"):
            return None
        return say(language_of(str(locale)), name)


def described(name: str) -> app_commands.locale_str:
    """The description called `name`: English by default, the others by `Translations`."""
    return app_commands.locale_str(say("en", name), text=name)
