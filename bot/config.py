"""Typed sections of config.toml. A typo is an error at start that names the key; secrets never stand in the file."""

import codecs
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bot.text.validation import first_place, first_problem
from model.choice import ADAPTER_MIB, BaseChoice, Int8, Precision

_COMMUNITY = re.compile(r"try-out|discord-\d{1,20}|telegram--?\d{1,20}")


class BadConfig(Exception):
    """config.toml cannot be used; the message names the key and the fix."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Service(_Section):
    """Where the service listens and keeps its things."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    data_folder: str = "data"
    key_file: str = "~/.config/domovoi/sealing.key"
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 30

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.data_folder).expanduser()

    @property
    def key(self) -> Path:
        """The sealing key's file."""
        return Path(self.key_file).expanduser()


class Model(_Section):
    """Which base answers, how it computes, and how much it takes at once. Without `try_adapters` an adapter may serve
    that is wrong about plain English texts, such as one for another language."""

    base: Annotated[str, Field(min_length=1)] = "minilm"
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    int8: Int8 = "off"
    stand_in: bool = True
    other_languages: Literal["e5", "off"] = "e5"
    first_stage_below: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    audit_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    precision: Precision = "auto"
    adapter_mib: Annotated[float, Field(ge=1)] = ADAPTER_MIB
    try_adapters: bool = True
    max_batch_tokens: Annotated[int, Field(ge=256)] = 4096
    max_waiting_tokens: Annotated[int, Field(ge=256)] = 200_000

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.choice.embedded and (self.int8 != "off" or self.precision == "fp16"):
            raise ValueError('int8 and fp16 are for a GPT-J; with base = "minilm" leave them out')
        if self.choice.embedded and self.first_stage_below:
            raise ValueError('first_stage_below is for a GPT-J; with base = "minilm" there is one stage')
        if self.int8 != "off" and self.precision != "auto":
            raise ValueError('int8 brings its own precision; leave precision at "auto"')
        return self

    @property
    def has_two_bases(self) -> bool:
        """Whether a second embedded base reads what is not English."""
        return self.choice.embedded and self.other_languages != "off"

    @property
    def choice(self) -> BaseChoice:
        """The base, for a loader."""
        return BaseChoice(self.base, self.device, self.precision, self.int8, self.adapter_mib)


class Learning(_Section):
    """When a refresh is made by itself, and how. `refresh_hour` is the local clock's.

    `trusted` communities teach the adapter that serves all; the others teach what serves themselves.
    """

    refresh_after: Annotated[int, Field(ge=0)] = 0
    refresh_hour: Annotated[int, Field(ge=0, le=23)] | None = None
    trusted: list[str] = ["try-out"]
    replay_rows: Annotated[int, Field(ge=0)] = 2300
    keep_adapters: Annotated[int, Field(ge=2, le=1000)] = 5

    @field_validator("trusted")
    @classmethod
    def _names(cls, trusted: list[str]) -> list[str]:
        if wrong := [name for name in trusted if not _COMMUNITY.fullmatch(name)]:
            raise ValueError(
                f'{wrong[0][:60]!r} is no community; write "try-out", "discord-" and the number of a server, or '
                f'"telegram-" and that of a group (with its minus), as a refresh names it'
            )
        return trusted


class Lora(_Section):
    """The shape of an adapter that `training.train` makes from nothing; 0 chooses what suits the base."""

    rank: Annotated[int, Field(ge=0, le=256)] = 0
    alpha: Annotated[float, Field(ge=0)] = 0.0
    on: Literal["attention", "linears", "everything"] = "linears"


class Discord(_Section):
    """Discord; without a token it is left out. The token is `DOMOVOI_DISCORD_TOKEN` or lies in `token_file`.

    `permission` names Discord's written permission to train on messages, "" where there is none. `api` and `gateway`
    stand for another server that speaks Discord's protocol.
    """

    token_file: str = ""
    permission: str = ""
    members_intent: bool = False
    api: Annotated[str, Field(pattern=r"^(https?://.*)?$")] = ""
    gateway: Annotated[str, Field(pattern=r"^(wss?://.*)?$")] = ""

    @property
    def token(self) -> str:
        """The token, or ""; raises `BadConfig` where its file cannot be read."""
        return _secret("DOMOVOI_DISCORD_TOKEN", self.token_file, "token_file", "discord")


class Telegram(_Section):
    """Telegram; without a token it is left out. The token is `DOMOVOI_TELEGRAM_TOKEN` or lies in `token_file`.

    With `webhook_url` Telegram brings updates to that address, which a proxy with TLS passes on to
    `webhook_host`:`webhook_port`; else the bot asks for them. `api` names another server that speaks the Bot API.
    """

    token_file: str = ""
    mode: Literal["polling", "webhook"] = "polling"
    webhook_url: Annotated[str, Field(pattern=r"^(https?://.*)?$")] = ""
    webhook_host: str = "127.0.0.1"
    webhook_port: Annotated[int, Field(ge=0, le=65_535)] = 8081
    api: Annotated[str, Field(pattern=r"^(https?://.*)?$")] = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.mode == "webhook") != bool(self.webhook_url):
            raise ValueError('mode = "webhook" and webhook_url go together')
        return self

    @property
    def token(self) -> str:
        """The token, or ""; raises `BadConfig` where its file cannot be read."""
        return _secret("DOMOVOI_TELEGRAM_TOKEN", self.token_file, "token_file", "telegram")


def _as(pattern: str, example: str) -> AfterValidator:
    """Accepts a text of this form; the error shows an example."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f'write it as in "{example}"')
        return text

    return AfterValidator(check)


_ORIGIN = _as(r"(https?://[^/\s]+)?", "https://mod.example.org")
_ADDRESS = _as(r"https?://\S+[^/\s]", "https://discord.com")
_ACCOUNT = _as(r"(discord|telegram):\d{1,20}", "discord:80351110224678912")
_CLIENT = _as(r"\d*", "1574858475450662920")


class Console(_Section):
    """The page for moderators, and how people sign in to it.

    `origin` is the page's address behind a proxy, such as "https://mod.example.org"; "" for this machine only. An
    account of `operators`, "discord:80351110224678912", may do what an operator may. A client's secret is
    `DOMOVOI_DISCORD_CLIENT_SECRET` or lies in `discord_secret_file`, likewise for Telegram. The addresses name other
    servers that sign people in as Discord and Telegram do.
    """

    origin: Annotated[str, _ORIGIN] = ""
    operators: list[Annotated[str, _ACCOUNT]] = []
    session_days: Annotated[int, Field(ge=1, le=90)] = 7
    discord_client_id: Annotated[str, _CLIENT] = ""
    discord_secret_file: str = ""
    discord_address: Annotated[str, _ADDRESS] = "https://discord.com"
    telegram_client_id: Annotated[str, _CLIENT] = ""
    telegram_secret_file: str = ""
    telegram_address: Annotated[str, _ADDRESS] = "https://oauth.telegram.org"

    @property
    def discord_secret(self) -> str:
        """Of Discord's OAuth2 client, or ""; raises `BadConfig` where its file cannot be read."""
        return _secret("DOMOVOI_DISCORD_CLIENT_SECRET", self.discord_secret_file, "discord_secret_file", "console")

    @property
    def telegram_secret(self) -> str:
        """Of Telegram's OpenID client, or ""; raises `BadConfig` where its file cannot be read."""
        return _secret("DOMOVOI_TELEGRAM_CLIENT_SECRET", self.telegram_secret_file, "telegram_secret_file", "console")


class Config(_Section):
    """The whole file; every section and key may be left out."""

    service: Service = Service()
    model: Model = Model()
    learning: Learning = Learning()
    lora: Lora = Lora()
    discord: Discord = Discord()
    telegram: Telegram = Telegram()
    console: Console = Console()


def read_config(path: Path) -> Config:
    """Reads and checks the file; raises `BadConfig` with one line. `DOMOVOI_DATA`, `DOMOVOI_KEY_FILE`, `DOMOVOI_PORT`
    in the environment override the file."""
    try:
        data = tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise BadConfig(f"{path}: no such file; copy config.toml from the repository") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: not TOML: {error}") from error
    for section, names in (("discord", ("api", "gateway")), ("telegram", ("api",))):
        if isinstance(values := data.setdefault(section, {}), dict):
            for name in names:
                if override := os.environ.get(f"DOMOVOI_{section.upper()}_{name.upper()}"):
                    values[name] = override
    service = data.setdefault("service", {})
    if isinstance(service, dict):
        if folder := os.environ.get("DOMOVOI_DATA"):
            service["data_folder"] = folder
        if key := os.environ.get("DOMOVOI_KEY_FILE"):
            service["key_file"] = key
        if (port := os.environ.get("DOMOVOI_PORT", "")).isdecimal():
            service["port"] = int(port)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        first, key = error.errors()[0], first_place(error)
        if first["type"] == "extra_forbidden":
            raise BadConfig(f'{path}: unknown key "{key}"; the config.toml of the repository names every key') from None
        if isinstance(first["input"], dict):  # what several keys of a section come to together
            raise BadConfig(f"{path}: [{key}]: {first_problem(error)}") from None
        raise BadConfig(f'{path}: "{key}" = {first["input"]!r}: {first_problem(error)}') from None


def read_text(path: Path) -> str:
    """Reads a text file of any editor: with or without a byte-order mark. Raises OSError and UnicodeDecodeError."""
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    return raw.decode("utf-8-sig")


def _secret(name: str, file: str, setting: str, section: str) -> str:
    """Reads a secret from the environment, else from the file that the section names."""
    if secret := os.environ.get(name, "").strip():
        return secret
    if not file:
        return ""
    try:
        secret = read_text(Path(file).expanduser()).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f'{setting} = "{file}" under [{section}] cannot be read ({error}); or set {name}') from None
    if not secret.isascii() or len(secret.split()) != 1:
        kind = "token" if setting == "token_file" else "secret"
        raise BadConfig(f'{setting} = "{file}" under [{section}] must hold the {kind} and nothing else; or set {name}')
    return secret
