"""Signed notes (C2SP signed-note; Go's sumdb/note): a text, an empty line, and signatures of named keys under it.

    <text, ends with a line end>
    <empty line>
    — <key name> <base64 of key id (4 bytes) || signature>

Ed25519 keys only. Key id = the first 4 bytes of SHA-256(name || 0a || 01 || public key). A signature whose name and id
together are no known key's is ignored, so that keys can be changed and witnesses can add theirs; a known key's
signature that does not verify refuses the note.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.proof.errors import NoteError, UnsignedError

NOTE_BYTES_MAX: Final = 1_000_000  # as Go's sumdb/note
SIGNATURES_MAX: Final = 100  # as Go's sumdb/note
_ED25519: Final = 1
_DASH: Final = "\N{EM DASH} "
_PRIVATE: Final = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that can be checked with; its text form is `<name>+<key id, hex>+<base64 of 01 || public key>`."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """4 bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + bytes((_ED25519,)) + self.public_key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes((_ED25519,)) + self.public_key)}"

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made that signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """A key from its text form. NoteError when it is none, or its id is not that of its name and key."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        key = _unbase64(encoded)
        if len(key) != 33 or key[0] != _ED25519:
            raise NoteError("not an Ed25519 key of a note")
        found = cls(_checked_name(name), key[1:])
        if str(found) != text or found.key_id.hex() != key_id:
            raise NoteError("the key's id is not that of its name and bytes")
        return found


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that can sign; its text form is `PRIVATE+KEY+<name>+<key id, hex>+<base64 of 01 || seed>`. A secret."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return _verifier(self.name, self.seed)

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature."""
        return _private(self.seed).sign(message)

    def encode(self) -> str:
        """The text form, with the secret in it."""
        key_id = self.verifier.key_id.hex()
        return f"{_PRIVATE}{self.name}+{key_id}+{_base64(bytes((_ED25519,)) + self.seed)}"

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """A key from its text form. NoteError when it is none."""
        if not text.startswith(_PRIVATE):
            raise NoteError("not a private key of a note")
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        key = _unbase64(rest.partition("+")[2])
        if len(key) != 33 or key[0] != _ED25519:
            raise NoteError("not an Ed25519 key of a note")
        found = cls(_checked_name(name), key[1:])
        if found.encode() != text:
            raise NoteError("the key's id is not that of its name and bytes")
        return found


@lru_cache(maxsize=4)
def _private(seed: bytes) -> Ed25519PrivateKey:
    """Making one costs more than a signature."""
    return Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=4)
def _verifier(name: str, seed: bytes) -> Verifier:
    return Verifier(name, _private(seed).public_key().public_bytes_raw())


def sign(text: str, *signers: Signer) -> str:
    """A signed note. NoteError for a text that cannot be one."""
    _check_text(text)
    lines = [
        f"{_DASH}{signer.name} {_base64(signer.verifier.key_id + signer.sign(text.encode()))}\n" for signer in signers
    ]
    return text + "\n" + "".join(lines)


def open_note(note: bytes, known: Iterable[Verifier]) -> tuple[str, list[Verifier]]:
    """The text, and which known keys signed it (at least one; each once). NoteError when none did, or one is wrong."""
    text, signatures = _split(note)
    keys = {(key.name, key.key_id): key for key in known}
    signed: dict[tuple[str, bytes], Verifier] = {}
    for name, key_id, signature in signatures:
        key = keys.get((name, key_id))
        if key is None or (name, key_id) in signed:
            continue
        if not key.verify(text.encode(), signature):
            raise NoteError(f"the signature of {name} does not verify")
        signed[name, key_id] = key
    if not signed:
        raise UnsignedError("no known key has signed the note")
    return text, list(signed.values())


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Text and signatures (name, key id, signature) of a note. NoteError when it is malformed."""
    if len(note) > NOTE_BYTES_MAX:
        raise NoteError("the note is too long")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("the note is not UTF-8") from None
    at = whole.rfind("\n\n")
    if at < 0:
        raise NoteError("the note has no signatures")
    text, block = whole[: at + 1], whole[at + 2 :]
    _check_text(text)
    if not block.endswith("\n"):
        raise NoteError("the note's last line has no end")
    lines = block[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteError("the note has too many signatures")
    return text, [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    data = _unbase64(encoded)
    if not line.startswith(_DASH) or not space or len(data) < 5:
        raise NoteError("a signature line is malformed")
    return _checked_name(name), data[:4], data[4:]


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(ord(c) < 0x20 and c != "\n" for c in text):
        raise NoteError("a note's text ends with a line end and has no other control characters")


def _checked_name(name: str) -> str:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise NoteError("a key's name is not empty and has neither spaces nor +")
    return name


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    """Strict: one text for one value, so that no bit of a note is without meaning."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
    if _base64(data) != text:
        raise NoteError("base64 with unused bits set")
    return data
