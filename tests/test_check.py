"""`python -m bot check` finds what a start would stumble over, says it in one line each, and exits with 2."""

import codecs
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEY = "0123456789abcdef" * 4


def check(tmp: Path, config: bytes | str = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    """With a data folder and a key of its own."""
    path = tmp / "config.toml"
    path.write_bytes(config.encode() if isinstance(config, str) else config)
    own = {"DOMOVOI_DATA": str(tmp / "data"), "DOMOVOI_KEY_FILE": str(tmp / "keys" / "sealing.key")}
    command = [sys.executable, "-m", "bot", "check", "--config", str(path)]
    env = os.environ | own | environment
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


SIGN_IN = '[console]\ndiscord_client_id = "1574858475450662920"\n'


def test_all_is_well(tmp_path: Path) -> None:
    """And nothing was made."""
    done = check(tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    for part in ("configuration", "data folder", "sealing key", "adapter", "device cpu", "Discord", "Telegram"):
        assert part in done.stdout
    assert not (tmp_path / "data").exists() and not (tmp_path / "keys").exists()


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE], ids=["8", "16le", "16be"])
def test_a_byte_order_mark_is_no_mistake(mark: bytes, tmp_path: Path) -> None:
    """In config.toml, in a token's file and before the key: as some editors write them."""
    coding = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}[mark]
    (tmp_path / "token").write_bytes(mark + "123456:ABC\r\n".encode(coding))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "sealing.key").write_bytes(codecs.BOM_UTF8 + KEY.encode())
    text = f'[telegram]\ntoken_file = "{tmp_path}/token"\napi = "http://127.0.0.1:9"\n'
    done = check(tmp_path, mark + text.encode(coding))
    assert "configuration" in done.stdout and "sealing key" in done.stdout
    assert "Telegram: cannot be reached" in done.stderr and done.stderr.count("\n") == 1  # so the token was read


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Also when whoever asks is root: there is a file where a folder should be, or the system refuses."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "data", Path("/proc/domovoi")):
        done = check(tmp_path, DOMOVOI_DATA=str(folder))
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2 and "data_folder" in line and "cannot be written" in line
        assert "device" in done.stdout  # what comes after it is looked at as well


@pytest.mark.parametrize("content", [b"", b"abc", b"zz" * 32, b"\xff\xfe\xfd", KEY[:-2].encode()])
def test_a_broken_key_file_is_named(content: bytes, tmp_path: Path) -> None:
    """Empty, short, no hexadecimal digits, no text."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "sealing.key").write_bytes(content)
    done = check(tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "sealing" in line and "Traceback" not in line


def test_a_folder_where_the_key_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys" / "sealing.key").mkdir(parents=True)
    done = check(tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "sealing.key" in line


@pytest.mark.parametrize("device", ["cuda:7", "cuda"])
def test_a_gpu_that_is_not_there_is_named(device: str, tmp_path: Path) -> None:
    """With the setting to change."""
    done = check(tmp_path, f'[model]\nbase = "mini"\ndevice = "{device}"\n')
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and f'device "{device}"' in line and "[model]" in line


@pytest.mark.parametrize("platform", ["discord", "telegram"])
def test_a_platform_that_cannot_be_reached_is_named(platform: str, tmp_path: Path) -> None:
    """Nobody listens at that address; the rest is looked at all the same."""
    token = {"discord": "MTIzNDU2Nzg5MDEyMzQ1Njc4.x.y", "telegram": "123456:ABC"}[platform]
    path = "/api/v10" if platform == "discord" else ""
    extra = {f"DOMOVOI_{platform.upper()}_TOKEN": token}
    done = check(tmp_path, f'[{platform}]\napi = "http://127.0.0.1:9{path}"\n', **extra)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "cannot be reached" in line and "token was not checked" in line


class Anything(BaseHTTPRequestHandler):
    """A web server that is no platform."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>It works!</html>")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("platform", ["discord", "telegram"])
def test_a_web_server_that_is_no_platform_is_named(platform: str, tmp_path: Path) -> None:
    """In one line, without the token."""
    token = {"discord": "MTIzNDU2Nzg5MDEyMzQ1Njc4.x.y", "telegram": "123456:ABC"}[platform]
    with ThreadingHTTPServer(("127.0.0.1", 0), Anything) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        extra = {f"DOMOVOI_{platform.upper()}_TOKEN": token}
        done = check(tmp_path, f'[{platform}]\napi = "http://127.0.0.1:{server.server_port}"\n', **extra)
        server.shutdown()
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "token was not checked" in line and token not in line


def test_what_a_start_cannot_use_ends_it_with_the_same_line(tmp_path: Path) -> None:
    """No traceback, exit status 2."""
    (tmp_path / "file").write_text("")
    env = os.environ | {"DOMOVOI_DATA": str(tmp_path / "file" / "data"), "DOMOVOI_KEY_FILE": str(tmp_path / "key")}
    command = [sys.executable, "-m", "bot", "run"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "data_folder" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("extra", "expected"), [("", "whoever runs the service alone"), (SIGN_IN, "with Discord")])
def test_the_page_and_its_door_are_looked_at(extra: str, expected: str, tmp_path: Path) -> None:
    """Who can sign in."""
    done = check(tmp_path, extra, DOMOVOI_DISCORD_CLIENT_SECRET="a-secret" if extra else "")
    assert done.returncode == 0 and expected in done.stdout, done


@pytest.mark.parametrize(
    ("config", "expected"),
    [(SIGN_IN, "DOMOVOI_DISCORD_CLIENT_SECRET"), ('[service]\nhost = "192.0.2.1"\n', "nobody could sign in")],
)
def test_a_page_without_a_door_is_named(config: str, expected: str, tmp_path: Path) -> None:
    """Half a sign-in, and none for a host that others can reach."""
    done = check(tmp_path, config)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and expected in line and "[console]" in line
