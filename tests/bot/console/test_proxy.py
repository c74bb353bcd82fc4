"""The page behind a TLS proxy, set up as docs/operations.md shows: a real Caddy, a real nginx."""

import asyncio
import contextlib
import datetime
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bot.app import Running, service
from bot.config import Config, Console, Service

ROOT = Path(__file__).parents[3]
NAME = "mod.example.org"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key) for the proxy's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)]), datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    files = folder / "fullchain.pem", folder / "privkey.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return files


def documented(language: str) -> str:
    """The example as the document has it."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


def put(text: str, **replaced: str) -> str:
    """Each of these is in the example, and becomes what holds here."""
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def caddy(folder: Path, port: int, page: int) -> list[str]:
    cert, key = certificate(folder)
    example = put(
        documented("caddy"),
        **{
            "mod.example.org {": f"mod.example.org:{port} {{\n\ttls {cert} {key}\n\tbind 127.0.0.1",
            "127.0.0.1:8080": f"127.0.0.1:{page}",
        },
    )
    file = folder / "Caddyfile"
    file.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n" + example)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]


def nginx(folder: Path, port: int, page: int) -> list[str]:
    cert, key = certificate(folder)
    example = put(
        documented("nginx"),
        **{
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "/etc/letsencrypt/live/mod.example.org/fullchain.pem": str(cert),
            "/etc/letsencrypt/live/mod.example.org/privkey.pem": str(key),
            "127.0.0.1:8080": f"127.0.0.1:{page}",
        },
    )
    own = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; {own}\n{example}\n}}"
    )
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(file), "-p", str(folder)]


PROXIES = {"caddy": caddy, "nginx": nginx}


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """Where the proxy's own user can read, too."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextlib.asynccontextmanager
async def proxied(name: str, folder: Path, origin: str = "") -> AsyncIterator[tuple[ClientSession, str, Running]]:
    """A browser's session, the public address, and the service behind it."""
    port = free_port()
    address = f"https://{NAME}:{port}"
    settings = Service(port=0, data_folder=str(folder / "data"), key_file=str(folder / "key"))
    config = Config(service=settings, console=Console(origin=origin or address))
    async with service(config) as running:
        process = subprocess.Popen(
            PROXIES[name](folder, port, running.port), stderr=subprocess.PIPE, start_new_session=True
        )
        trusted = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))

        class Here:
            async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
                return [
                    {
                        "hostname": host,
                        "host": "127.0.0.1",
                        "port": port,
                        "family": socket.AF_INET,
                        "proto": 0,
                        "flags": 0,
                    }
                ]

            async def close(self) -> None:
                pass

        try:
            connector = TCPConnector(ssl=trusted, resolver=Here())  # type: ignore[arg-type]
            async with ClientSession(connector=connector) as session, asyncio.timeout(60):
                while True:
                    with contextlib.suppress(OSError):
                        socket.create_connection(("127.0.0.1", port), 1).close()
                        break
                    assert process.poll() is None, process.stderr and process.stderr.read().decode()
                    await asyncio.sleep(0.1)
                yield session, address, running
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # nginx has children, Caddy waits for its streams
            process.communicate(timeout=20)


@pytest.mark.parametrize("name", PROXIES)
async def test_the_page_works_behind_the_documented_proxy(name: str, folder: Path) -> None:
    """Sign in, load, post as a browser would, and hear of it by the feed; no sign-in, no page."""
    async with proxied(name, folder) as (session, address, running):
        async with session.get(address + "/") as refused:
            assert refused.url.path == "/sign-in"
        async with session.get(address + "/api/state") as answer:
            assert answer.status == 401
        sign_in = {"token": running.links.issue()}
        async with session.get(address + "/", params=sign_in, allow_redirects=False) as answer:
            cookie = answer.cookies["__Host-domovoi"]
            assert cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Lax"
        async with session.get(address + "/api/state") as answer:
            token = (await answer.json())["csrf"]
        async with session.get(address + "/api/events") as feed:
            sent = {"Origin": address, "X-CSRF-Token": token}
            message = {"person": "ann", "text": "good morning"}
            async with session.post(address + "/api/messages", json=message, headers=sent) as posted:
                assert posted.status == 201, await posted.text()
            async with asyncio.timeout(60):
                while b"good morning" not in await feed.content.readline():
                    pass
        other = sent | {"Origin": "https://evil.example"}
        async with session.post(address + "/api/messages", json=message, headers=other) as forged:
            assert forged.status == 403


async def test_an_address_that_was_not_named_is_told_where_to_name_it(folder: Path) -> None:
    """One line with the setting, for a page and for a click."""
    async with (
        proxied("nginx", folder, origin="https://another.example") as (session, address, _),
        session.get(address + "/") as answer,
    ):
        assert answer.status == 421 and "[console]" in (await answer.json())["error"]
