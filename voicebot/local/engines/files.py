"""Finds a file inside an installed package and refuses it unless its SHA-256 is the one we measured with."""

import hashlib
import importlib.util
from pathlib import Path

from voicebot.errors import ConfigurationError

READ_BYTES = 1 << 20


def package_file(package: str, relative: str, *, sha256: str, extra: str) -> Path:
    """
    Path of `relative` inside the folder of the installed `package`, without importing the package.

    Raises ConfigurationError when the package is missing (naming the `extra` to install) or the file is not the
    one whose `sha256` we know: other weights would recognise differently, or not load at all.
    """
    path = package_folder(package, extra) / relative
    if not path.is_file():
        raise ConfigurationError(
            f"{package} is installed but has no {relative}; install the pinned version: {install_hint(extra)}"
        )
    found = _digest(path)
    if found != sha256:
        raise ConfigurationError(
            f"{path.name} of {package} has SHA-256 {found[:12]}…, expected {sha256[:12]}…; install the pinned version: {install_hint(extra)}"
        )
    return path


def package_folder(package: str, extra: str) -> Path:
    """Folder of an installed package; raises ConfigurationError naming the extra when it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"the speech engine package {package!r} is not installed; run: {install_hint(extra)}")
    return Path(spec.submodule_search_locations[0])


def install_hint(extra: str) -> str:
    """The command that installs one of our optional sets of packages."""
    return f"uv sync --extra {extra}"


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
