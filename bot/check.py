"""What `python -m bot check` looks at: everything a start would stumble over, all of it in one go."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bot.config import BadConfig, Config
from bot.console.sign_in_options import sign_in_providers
from bot.domain.platform import PlatformRefuses, Unreachable
from bot.platforms.configured import PLATFORMS, platform_lines
from bot.process.models import adapters_of
from bot.store import KeyMissing, Sealer
from model.adapters.registry import read_manifest
from model.classifier import AdapterRejected


async def check(config: Config, path: Path) -> AsyncIterator[tuple[bool, str]]:
    """(whether it is in order, one line) of each thing, in order; the configuration was read from `path`."""
    yield True, f"configuration {path}: in order"
    for one in (_folder, _key, _adapter, _device, _page):
        try:
            for line in one(config):
                yield True, line
        except (BadConfig, KeyMissing, AdapterRejected) as error:
            yield False, str(error)
    for name in PLATFORMS:
        try:
            for line in await platform_lines(config, name):
                yield True, line
        except (BadConfig, PlatformRefuses, Unreachable) as error:
            yield False, str(error)


def write_into(folder: Path, setting: str) -> None:
    """Writes a file into a folder that is there or can be made, and takes it away again; raises `BadConfig`."""
    existing = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise BadConfig(
            f'{setting} = "{folder}" under [service] cannot be written ({error.strerror}); '
            f"give the service's user the right to write there, or name another folder"
        ) from None


def _folder(config: Config) -> Iterator[str]:
    write_into(config.service.data, "data_folder")
    yield f"data folder {config.service.data}: can be written"


def _key(config: Config) -> Iterator[str]:
    key = config.service.key
    if key.exists() or (config.service.data / "domovoi.db").exists():
        Sealer.from_file(key, create=False)
        yield f"sealing key {key}: in order"
    else:
        write_into(key.parent, "key_file")
        yield f"sealing key {key}: will be made at the first start"


def _adapter(config: Config) -> Iterator[str]:
    registry = adapters_of(config)
    data = config.service.data
    if not next((one for one in (data, *data.absolute().parents) if one.exists()), data).is_dir():
        return  # which was said
    try:
        adapter, problem = registry.newest_sound()
        base = read_manifest(registry.folder(adapter)).base
    except OSError as error:
        raise BadConfig(
            f"the adapters in {registry.root} cannot be read ({error.strerror}); see whose files they are"
        ) from None
    if problem:
        raise AdapterRejected(f"{problem}. {adapter} would serve instead")
    yield f"adapter {adapter} for {base}: in order"


def _device(config: Config) -> Iterator[str]:
    from model.base import BaseNotFound  # with torch, which takes a second

    try:
        from model.open import resolve_device  # loads torch

        yield f"device {resolve_device(config.model.choice)}: in order"
    except BaseNotFound as error:
        raise BadConfig(f"{error} (under [model] in config.toml)") from None


def _page(config: Config) -> Iterator[str]:
    ways = [way.title for way in sign_in_providers(config)]
    readers = f"people sign in with {' or '.join(ways)}" if ways else "for whoever runs the service alone"
    yield f"page on {config.service.host}:{config.service.port}: {readers}"
