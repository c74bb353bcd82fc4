"""Each wrong line of config.toml is one clear line back; each right one is what the file says."""

import codecs
import re
from pathlib import Path

import pytest

from bot.config import BadConfig, Config, read_config
from tests.test_house import ROOT

WRONG = [
    ("[servise]\nport = 1", 'unknown key "servise"'),
    ("[service]\nprot = 1", 'unknown key "service.prot"'),
    ('[service]\nport = "8080"', '"service.port"'),
    ("[service]\nport = 70000", '"service.port" = 70000'),
    ("[service]\nretention_days = 0", '"service.retention_days" = 0'),
    ("[model]\nthreads = nan", '"model.threads"'),
    ("[model]\nadapter_mib = inf", '"model.adapter_mib"'),
    ('[model]\ndevice = "gpu"', '"model.device"'),
    ('[model]\nint8 = "weight-only"', "int8 and fp16 are for a GPT-J"),
    ('[model]\nbase = "mini"\nint8 = "weight-only"\nprecision = "fp32"', "int8 brings its own precision"),
    ("[model]\nfirst_stage_below = 0.1", "first_stage_below is for a GPT-J"),
    ('[learning]\ntrusted = ["everybody"]', "'everybody' is no community"),
    ("[learning]\nrefresh_hour = 24", '"learning.refresh_hour" = 24'),
    ('[console]\norigin = "mod.example.org"', '"console.origin"'),
    ('[console]\noperators = ["dana"]', '"console.operators.0"'),
    ('[discord]\napi = "ftp://x"', '"discord.api"'),
    ("service = 1", '"service" = 1'),
    ("[service", "not TOML"),
]
UNADVERTISED = {"discord_address", "telegram_address"}
"""Other servers that sign people in, for tests."""
RIGHT = [
    ("", "port", 8080),
    ("[service]\nport = 0", "port", 0),
    ("[service]\nretention_days = 3650", "retention_days", 3650),
]


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_wrong_line_is_named(text: str, words: str, tmp_path: Path) -> None:
    """One line that names the file, the key and what is wrong."""
    with pytest.raises(BadConfig) as error:
        read_config(written(tmp_path, text))
    assert words in str(error.value) and str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "name", "value"), RIGHT)
def test_what_the_file_says_holds(text: str, name: str, value: int, tmp_path: Path) -> None:
    """A key that is left out has its default."""
    assert getattr(read_config(written(tmp_path, text)).service, name) == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_editors_file_is_read(encoding: str, tmp_path: Path) -> None:
    """With a byte-order mark, without one, or in UTF-16."""
    assert read_config(written(tmp_path, "[service]\nport = 81".encode(encoding))).service.port == 81


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Half a character is not TOML."""
    with pytest.raises(BadConfig, match="not TOML"):
        read_config(written(tmp_path, codecs.BOM_UTF8 + b"\xff\xfe\xfa"))


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder, the key, the port, and other servers' addresses."""
    for name, value in {"DATA": "/d", "KEY_FILE": "/k", "PORT": "99", "DISCORD_API": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(f"DOMOVOI_{name}", value)
    config = read_config(written(tmp_path, '[service]\nport = 1\ndata_folder = "x"'))
    assert (config.service.data, config.service.key, config.service.port) == (Path("/d"), Path("/k"), 99)
    assert config.discord.api == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"one two", "must hold the token and nothing else"),
        ("тайна".encode(), "nothing else"),
        (None, "cannot be read"),
    ],
)
def test_a_token_file_holds_the_token_alone(content: bytes | None, words: str, tmp_path: Path) -> None:
    """Two words, letters that no token has, or no file."""
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    config = read_config(written(tmp_path, f'[discord]\ntoken_file = "{token}"'))
    with pytest.raises(BadConfig, match=words):
        assert config.discord.token


def test_the_token_of_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a file that holds one is read."""
    (tmp_path / "token").write_text("from-file\n")
    config = read_config(written(tmp_path, f'[telegram]\ntoken_file = "{tmp_path}/token"'))
    assert config.telegram.token == "from-file"
    monkeypatch.setenv("DOMOVOI_TELEGRAM_TOKEN", " from-environment ")
    assert config.telegram.token == "from-environment"


def test_the_repositorys_file_is_the_default() -> None:
    """config.toml shows every key with its default."""
    assert read_config(ROOT / "config.toml").model_dump() == read_config(Path("/dev/null")).model_dump()


def test_the_repositorys_file_names_every_key() -> None:
    """Each section with all of its keys; one without a default of its own stands there as a comment."""
    named: dict[str, set[str]] = {}
    section = ""
    for line in (ROOT / "config.toml").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\[(\w+)\]", line):
            section = found[1]
        elif found := re.match(r"(?:# )?(\w+) = ", line):
            named.setdefault(section, set()).add(found[1])
    for name, field in Config.model_fields.items():
        missing = set(type(field.default).model_fields) - named.get(name, set())
        assert missing <= UNADVERTISED, (name, missing)
