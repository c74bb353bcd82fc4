"""Checks for `python -m bot check` whether Discord takes the token, and names the link that adds the bot to a
server."""

import base64
import binascii

import aiohttp
import discord
from discord import http

from bot.domain.platform import PlatformRefuses, Unreachable
from bot.platforms.discord.bot import Access
from bot.platforms.discord.rights import invite
from bot.platforms.unreadable_answers import PARSE_ERRORS, error_place, raised_in
from bot.text.inert import one_line


async def check_access(access: Access) -> list[str]:
    """Lines to print. Raises `PlatformRefuses` and `Unreachable`."""
    if access.api:
        http.Route.BASE = access.api.rstrip("/")
    application, lines = _application_in(access.token), []
    client = discord.Client(intents=discord.Intents.none())
    try:
        async with client:
            await client.login(access.token)
            application = client.application_id
            flags = client.application.flags if client.application is not None else discord.ApplicationFlags()
            lines.append(f"Discord: logged in as {client.user}")
            if not (flags.gateway_message_content or flags.gateway_message_content_limited):
                lines.append(
                    "Discord: the Message Content Intent is off, so no message could be read; "
                    "turn it on under Bot in the Developer Portal"
                )
    except discord.LoginFailure as error:
        raise PlatformRefuses(
            "Discord refuses the token; make a new one under Bot in the Developer Portal "
            "and put it into DOMOVOI_DISCORD_TOKEN"
        ) from error
    except (discord.HTTPException, OSError, aiohttp.ClientError) as error:
        link = f"; the link that adds the bot is {invite(application)}" if application is not None else ""
        why = one_line(str(error), 200) or type(error).__name__
        raise Unreachable(f"Discord: cannot be reached now ({why}); the token was not checked{link}") from error
    except discord.RateLimited as error:
        raise Unreachable(
            f"Discord: asks to wait {error.retry_after:.0f} seconds; the token was not checked"
        ) from error
    except PARSE_ERRORS as error:
        if not raised_in("discord", error):
            raise
        raise Unreachable(
            f"Discord: cannot be used now (what it answers cannot be read, {error_place(error)}); "
            f"the token was not checked"
        ) from error
    if application is not None:
        lines.append(f"Discord: add the bot to a server with {invite(application)}")
    return lines


def _application_in(token: str) -> int | None:
    """A token begins with its bot's id, which is the application's for all but the oldest."""
    first = token.partition(".")[0]
    try:
        text = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return int(text) if text.isdecimal() and 15 <= len(text) <= 20 else None
