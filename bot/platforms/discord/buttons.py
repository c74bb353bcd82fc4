"""The buttons on cards. What they are called says what they do, so they work after a restart as before."""

import re
from typing import TYPE_CHECKING, Any

import discord

if TYPE_CHECKING:
    pass

Click = discord.Interaction[Any]


class CaseButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"domovoi:(?P<verb>[a-z]+):(?P<case>[0-9]{1,15})(?::(?P<argument>[a-z]+))?",
):
    """Says or asks something about one case: right, wrong, label, undo, explain, back."""

    def __init__(
        self,
        verb: str,
        case: int,
        argument: str = "",
        *,
        text: str | None = None,
        style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    ) -> None:
        name = f"domovoi:{verb}:{case}" + (f":{argument}" if argument else "")
        super().__init__(discord.ui.Button(label=text, style=style, custom_id=name))
        self.verb, self.case, self.argument = verb, case, argument

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction, __: discord.ui.Item[Any], match: re.Match[str], /
    ) -> "CaseButton":
        """Makes the button from the id that Discord sends with a click."""
        return cls(match["verb"], int(match["case"]), match["argument"] or "")

    async def callback(self, interaction: Click) -> None:
        """Passes the click to `Clicks`, which checks rights."""
        await interaction.client.clicks.case(interaction, self.verb, self.case, self.argument)


class DigestButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"domovoi-digest:(?P<first>[0-9]{1,15})"):
    """Shows a digest's open cases one after the other to the moderator who clicks."""

    def __init__(self, first: int, *, text: str | None = None) -> None:
        style = discord.ButtonStyle.primary
        super().__init__(discord.ui.Button(label=text, style=style, custom_id=f"domovoi-digest:{first}"))
        self.first = first

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction, __: discord.ui.Item[Any], match: re.Match[str], /
    ) -> "DigestButton":
        """Makes the button from the id that Discord sends with a click."""
        return cls(int(match["first"]))

    async def callback(self, interaction: Click) -> None:
        """Passed on like the others."""
        await interaction.client.clicks.digest(interaction, self.first)


class ResumeButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"domovoi-resume"):
    """Ends a pause of the hourly cap on the server where it is clicked."""

    def __init__(self, *, text: str | None = None) -> None:
        style = discord.ButtonStyle.primary
        super().__init__(discord.ui.Button(label=text, style=style, custom_id="domovoi-resume"))

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction, __: discord.ui.Item[Any], match: re.Match[str], /
    ) -> "ResumeButton":
        """Makes the button from the id that Discord sends with a click."""
        return cls()

    async def callback(self, interaction: Click) -> None:
        """Passed on like the others."""
        await interaction.client.clicks.resume(interaction)
