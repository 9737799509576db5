"""Page tokens and stream cursors: opaque, and good only for the request that they came from.

    base64url(01 || position (8 bytes, big-endian) || first 16 bytes of HMAC-SHA-256(key, arguments 00 01 position))

They carry no authorisation: whoever sends one is checked like anybody else.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from infra.platform.durable import write_atomically
from infra.platform.errors import SettingsError
from query_service.errors import DeskError

_VERSION: Final = b"\x01"
_MAC_BYTES: Final = 16
_LENGTH: Final = 1 + 8 + _MAC_BYTES
_KEY_BYTES: Final = 32


class Pages:
    """Makes and reads tokens under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, position: int, *arguments: str | int) -> str:
        """A token for going on behind `position`, with these arguments."""
        body = _VERSION + position.to_bytes(8, "big")
        return base64.urlsafe_b64encode(body + self._mac(body, arguments)).rstrip(b"=").decode()

    def position(self, token: str, *arguments: str | int) -> int:
        """The position; 0 for no token. PAGE_TOKEN_INVALID unless `token` made it for these arguments."""
        if not token:
            return 0
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise DeskError("PAGE_TOKEN_INVALID") from None
        body, mac = data[:9], data[9:]
        if len(data) != _LENGTH or not hmac.compare_digest(mac, self._mac(body, arguments)):
            raise DeskError("PAGE_TOKEN_INVALID")
        return int.from_bytes(body[1:], "big")

    def _mac(self, body: bytes, arguments: tuple[str | int, ...]) -> bytes:
        text = "\x00".join(str(argument) for argument in arguments).encode() + b"\x00" + body
        return hmac.digest(self._key, text, hashlib.sha256)[:_MAC_BYTES]


def page_key(folder: Path) -> bytes:
    """The key of this installation, made once. A lost one only makes open pages start again. SettingsError."""
    path = folder / "page.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, secrets.token_bytes(_KEY_BYTES))
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"{path} is no key of {_KEY_BYTES} bytes.", "Remove it: open pages only start again.")
    return key
