"""Files that are encrypted, each folder under a key of its own, and that end when the key does.

A file is MAGIC, a random nonce (12 bytes), AES-256-GCM of the content; what it is goes into the additional data, so
that a file put in another's place does not open. The key is a file in the folder, mode 0600.
While nobody knows whether the entry for a folder is in the ledger, a file `pending` lies in it.
"""

import secrets
import shutil
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.platform.durable import make_folder, write_atomically
from query_service.errors import DeskError

MAGIC: Final = b"liucun-sealed-v1\n"
_NONCE_BYTES: Final = 12
_KEY: Final = "key"
_PENDING: Final = "pending"


class Vault:
    """Folders of sealed files below one folder. Thread-safe as long as nobody writes one file twice at once."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made yet."""
        self._folder = folder

    def write(self, group: str, name: str, content: bytes, what: bytes, *, pending: bool = False) -> None:
        """Seal and write; durable, with its folder, when it returns. Pending: until `settle`.

        The group's key is made with its first file.
        """
        folder = self._folder / group
        make_folder(folder)
        if pending:
            (folder / _PENDING).touch(mode=0o600)
        key_file = folder / _KEY
        if not key_file.exists():
            write_atomically(key_file, secrets.token_bytes(32))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(key_file.read_bytes()).encrypt(nonce, content, what)
        write_atomically(folder / name, MAGIC + nonce + sealed)

    def read(self, group: str, name: str, what: bytes) -> bytes:
        """The content. LOOKUP_EXPIRED when it or its key is gone, FAULT when it was changed."""
        folder = self._folder / group
        try:
            key = (folder / _KEY).read_bytes()
            data = (folder / name).read_bytes()
        except OSError:
            raise DeskError("LOOKUP_EXPIRED") from None
        if not data.startswith(MAGIC):
            raise DeskError("FAULT")
        nonce, sealed = data[len(MAGIC) :][:_NONCE_BYTES], data[len(MAGIC) + _NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, sealed, what)
        except (InvalidTag, ValueError):
            raise DeskError("FAULT") from None

    def settle(self, group: str) -> None:
        """Its entry is in the ledger."""
        (self._folder / group / _PENDING).unlink(missing_ok=True)

    def pending(self) -> list[str]:
        """Groups whose entry a kill, or a ledger that was away, has left open."""
        return [path.parent.name for path in self._folder.glob(f"*/{_PENDING}")]

    def groups(self) -> list[str]:
        """All of them."""
        return [path.name for path in self._folder.glob("*")]

    def has(self, group: str) -> bool:
        """Whether the group's key is still there."""
        return (self._folder / group / _KEY).exists()

    def destroy(self, group: str) -> None:
        """Remove key and files; the key first. May be repeated."""
        folder = self._folder / group
        (folder / _KEY).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
