"""The ledger's two keys, each in a file that only its user can read.

    <keys_dir>/log.key        signs checkpoints: the text form of notes.Signer, and a line end
    <keys_dir>/wrapping.key   wraps payload keys (RFC 3394): `liucun-wrapping-key-v1+<64 hex digits>`, and a line end

Losing the wrapping key loses every payload, and no leaf; losing the signing key ends the log under this name.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.platform.durable import make_folder, sync_folder
from infra.platform.errors import SettingsError
from infra.proof.errors import NoteError
from infra.proof.notes import Signer

LOG_KEY: Final = "log.key"
WRAPPING_KEY: Final = "wrapping.key"
KEY_BYTES: Final = 32
_WORD: Final = "liucun-wrapping-key-v1+"


@dataclass(frozen=True, slots=True)
class Keys:
    """Both. Never printed."""

    log: Signer
    wrapping: bytes

    def __repr__(self) -> str:
        return "Keys()"


def load(folder: Path, origin: str) -> Keys:
    """Both keys. SettingsError when one is missing, open to others, or another log's."""
    return Keys(load_log_key(folder, origin), load_wrapping_key(folder))


def load_log_key(folder: Path, origin: str) -> Signer:
    """The signing key. SettingsError."""
    path = folder / LOG_KEY
    text = _read(path)
    try:
        found = Signer.parse(text.removesuffix("\n"))
    except NoteError:
        raise _wrong(path) from None
    if text != found.encode() + "\n":
        raise _wrong(path)
    if found.name != origin:
        raise SettingsError(f"{path} is the key of {found.name}.", f"Set ledger.origin to it; it is {origin} now.")
    return found


def load_wrapping_key(folder: Path) -> bytes:
    """The wrapping key. SettingsError."""
    path = folder / WRAPPING_KEY
    text = _read(path)
    try:
        key = bytes.fromhex(text.removeprefix(_WORD).removesuffix("\n"))
    except ValueError:
        raise _wrong(path) from None
    if len(key) != KEY_BYTES or text != _wrapping_text(key):
        raise _wrong(path)
    return key


def make_log_key(folder: Path, origin: str) -> Signer:
    """A new signing key, durable. SettingsError when there is one already."""
    signer = Signer(origin, os.urandom(KEY_BYTES))
    _write(folder / LOG_KEY, signer.encode() + "\n")
    return signer


def make_wrapping_key(folder: Path) -> bytes:
    """A new wrapping key, durable. SettingsError when there is one already."""
    key = os.urandom(KEY_BYTES)
    _write(folder / WRAPPING_KEY, _wrapping_text(key))
    return key


def _wrapping_text(key: bytes) -> str:
    return f"{_WORD}{key.hex()}\n"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(4096)
    except OSError as error:
        raise SettingsError(
            f"The key {path} cannot be read ({error.strerror}).",
            "Run this as the ledger's user; check ledger.keys_dir.",
        ) from None
    if status.st_mode & 0o077:
        raise SettingsError(f"The key {path} can be read by others.", f"chmod 600 {path}; then ask who has read it.")
    return data.decode("utf-8", errors="replace")


def _write(path: Path, text: str) -> None:
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except FileExistsError:
        raise SettingsError(f"{path} is there already.", "A key is never replaced by this command.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).", "Check ledger.keys_dir.") from None


def _wrong(path: Path) -> SettingsError:
    return SettingsError(f"{path} is not a key of the ledger.", "Restore it from its backup, bit for bit.")
