"""A leaf: what the whole world may see of an entry. Version, coarse type, and a salted commitment to the payload.

    leaf        = 01 || type (1 byte) || commitment (32 bytes)
    commitment  = SHA-256("liucun-leaf-v1" 00 || salt (32 bytes) || payload)

The salt is random and kept with the payload. Without it nobody can try out payloads; with it destroyed, nobody ever
can, and the leaf, the tree and every proof stay as they are.
"""

from hashlib import sha256
from typing import Final, NamedTuple

from infra.proof.kinds import TYPE_NAMES

LEAF_BYTES: Final = 34
SALT_BYTES: Final = 32
VERSION: Final = 1
_DOMAIN: Final = b"liucun-leaf-v1\x00"


class Leaf(NamedTuple):
    """A leaf, taken apart."""

    type_byte: int
    commitment: bytes


def commitment(salt: bytes, payload: bytes) -> bytes:
    """What a leaf says of a payload."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return sha256(_DOMAIN + salt + payload).digest()


def encode(type_byte: int, commitment_: bytes) -> bytes:
    """The bytes of a leaf."""
    if type_byte not in TYPE_NAMES or len(commitment_) != 32:
        raise ValueError("not a leaf of this table")
    return bytes((VERSION, type_byte)) + commitment_


def decode(data: bytes) -> Leaf:
    """A leaf from its bytes. ValueError when it is none of ours."""
    if len(data) != LEAF_BYTES or data[0] != VERSION or data[1] not in TYPE_NAMES:
        raise ValueError("not a leaf of this table")
    return Leaf(data[1], data[2:])
