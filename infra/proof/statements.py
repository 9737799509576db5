"""What a person signs: the canonical bytes of a statement behind a fixed word, with Ed25519.

    signature = Ed25519(key, "liucun-signature-v1" 00 || canonical(statement))

The word keeps a signature from being taken for one of another protocol; the statement's own `type` keeps two kinds of
statement apart.
"""

from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.proof import canonical

PUBLIC_KEY_BYTES: Final = 32
_DOMAIN: Final = b"liucun-signature-v1\x00"


def message(statement: Any) -> bytes:
    """The bytes that are signed, for a signer that is not this process. CanonicalError."""
    return _DOMAIN + canonical.encode(statement)


def sign(key: Ed25519PrivateKey, statement: Any) -> bytes:
    """A person's signature over a statement (64 bytes)."""
    return key.sign(message(statement))


def verify(public_key: bytes, statement: Any, signature: bytes) -> bool:
    """Whether the key (32 bytes) signed the statement. Never raises for a key or signature that is none."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message(statement))
    except (InvalidSignature, ValueError):
        return False
    return True
