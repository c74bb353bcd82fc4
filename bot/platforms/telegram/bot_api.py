"""Calls Telegram through the library, and reads only the needed part of an answer.

The library parses an answer whole or not at all: with one missing or unexpected field, a message that was sent looks
like one that was not. Other servers that speak the Bot API give such answers.
"""

import json
import warnings
from collections.abc import Mapping
from typing import Any

import structlog
import telegram
from telegram.error import EndPointNotFound, InvalidToken, NetworkError, TelegramError
from telegram.ext import ExtBot
from telegram.request import HTTPXRequest

LONGEST_REASON = 300
LONGEST_WAIT_S, UNKNOWN_WAIT_S = 7 * 24 * 3600, 5
warnings.filterwarnings("ignore", "Please use 'Bot.")  # its own methods parse everything
log = structlog.get_logger()


class UnreadableAnswer(NetworkError):
    """The answer is not what the Bot API says. The call may have been done."""


class Requests(HTTPXRequest):
    """The library's requests. An answer that the library cannot read raises `OddAnswer` and does not end the
    connection."""

    async def do_request(self, url: str, method: str, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Returns an answer with a `result`, or a refusal whose fields can all be read; the HTTP status counts in any
        case."""
        status, body = await super().do_request(url, method, *args, **kwargs)
        answer = _parsed(body)
        if 200 <= status < 300 and answer.get("result") is not None:
            return status, body
        if 200 <= status < 300 and answer.get("ok") is False:  # some servers say it only here
            code = answer.get("error_code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
        elif 200 <= status < 300:
            raise _odd(url.rpartition("/")[2], body)  # before that the token is part of the address
        return status, _refusal(status, answer)


class BotApi(ExtBot[Any]):
    """The library's bot. All methods raise the library's errors, `OddAnswer` among them."""

    async def ask(self, method: str, *, timeout_s: float | None = None, **data: Any) -> Any:
        """The answer as it came, in JSON."""
        wait: dict[str, Any] = {} if timeout_s is None else {"read_timeout": timeout_s}
        try:
            return await self.do_api_request(method, api_kwargs=data, **wait)
        except EndPointNotFound as error:  # the library takes a refused token for an unknown method
            raise InvalidToken(error.message) from error

    async def object(self, method: str, **data: Any) -> dict[str, Any]:
        """The same where it must be an object."""
        answer = await self.ask(method, **data)
        if not isinstance(answer, dict):
            raise _odd(method, answer)
        return answer

    async def send(
        self,
        chat: int,
        text: str,
        buttons: telegram.InlineKeyboardMarkup | None = None,
        topic: int | None = None,
    ) -> int:
        """Sends HTML; returns the new message's number."""
        data: dict[str, Any] = {"text": text, "reply_markup": buttons, "parse_mode": "HTML", "message_thread_id": topic}
        sent = await self.object("sendMessage", chat_id=chat, **data)
        if not isinstance(number := sent.get("message_id"), int):
            raise _odd("sendMessage", sent)
        return number

    async def redraw(
        self, chat: int, message: int, text: str, buttons: telegram.InlineKeyboardMarkup | None = None
    ) -> None:
        """Another text and other buttons for a message of the bot's, in HTML."""
        data: dict[str, Any] = {"text": text, "reply_markup": buttons, "parse_mode": "HTML"}
        await self.ask("editMessageText", chat_id=chat, message_id=message, **data)

    async def send_file(self, chat: int, content: bytes, name: str, caption: str) -> None:
        """A document."""
        file = telegram.InputFile(content, name)
        await self.ask("sendDocument", chat_id=chat, document=file, caption=caption)


def _parsed(body: bytes) -> dict[str, Any]:
    """{} for everything that is no JSON object."""
    try:
        answer = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(status: int, answer: Mapping[str, Any]) -> bytes:
    """Returns the fields of a refusal that the library reads, each of the type that it expects."""
    said: dict[str, Any] = {}
    if isinstance(description := answer.get("description"), str):
        said["description"] = description[:LONGEST_REASON]
    parameters = answer.get("parameters")
    named = parameters if isinstance(parameters, dict) else {}
    moved, wait_s = named.get("migrate_to_chat_id"), named.get("retry_after")
    if type(moved) is int and abs(moved) < 2**52:
        said["parameters"] = {"migrate_to_chat_id": moved}
    elif type(wait_s) is int and 0 < wait_s < LONGEST_WAIT_S:
        said["parameters"] = {"retry_after": wait_s}
    elif status == 429:
        said["parameters"] = {"retry_after": UNKNOWN_WAIT_S}
    return json.dumps(said).encode()


def _odd(method: str, answer: object) -> TelegramError:
    log.warning("an answer could not be read", method=method, kind=type(answer).__name__)
    return UnreadableAnswer(f"{method}: the answer is not the Bot API's")
