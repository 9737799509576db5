"""Officer tokens: a JWT (RFC 7519), EdDSA by the owner's registered Ed25519 key, bound to a certificate (RFC 8705).

    {iss: name, aud: "liucun", iat, exp <= iat + 300, jti, cnf: {"x5t#S256": base64url(SHA-256 of the DER)}}

The algorithm is pinned, the times are checked here against the injected clock, and every claim is required.
"""

import base64
import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.platform.clock import SECOND
from query_service.errors import DeskError

AUDIENCE: Final = "liucun"
ALGORITHM: Final = "EdDSA"
LIFE_SECONDS_MAX: Final = 300
SKEW_SECONDS_MAX: Final = 30  # how far an honest client's clock may be ahead
TOKEN_CHARACTERS_MAX: Final = 4096
_TEXT: Final = re.compile(r"[!-~]{1,200}")  # what goes into the ledger has a canonical form
_CLAIMS: Final = ("iss", "aud", "iat", "exp", "jti", "cnf")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; nothing of it is believed before `verify`."""

    issuer: str
    token_id: str
    thumbprint: str
    begin: int  # seconds since the epoch
    end: int


def thumbprint(certificate_der: bytes) -> str:
    """The certificate's x5t#S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate_der).digest()).rstrip(b"=").decode()


def mint(key: Ed25519PrivateKey, name: str, certificate_der: bytes, now: int, life_seconds: int = 240) -> str:
    """A token of `name` for connections with this certificate, from `now` (microseconds)."""
    begin = now // SECOND
    claims = {
        "iss": name,
        "aud": AUDIENCE,
        "iat": begin,
        "exp": begin + life_seconds,
        "jti": str(uuid.uuid4()),
        "cnf": {"x5t#S256": thumbprint(certificate_der)},
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def read(token: str) -> Claims:
    """What a token says of itself, to know whose key to ask for. TOKEN_INVALID for what is none."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise DeskError("TOKEN_INVALID")
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise DeskError("TOKEN_INVALID") from None
    if header.get("alg") != ALGORITHM or set(header) - {"alg", "typ"}:
        raise DeskError("TOKEN_INVALID")
    return _claims(claims)


def verify(token: str, public_key: bytes, now: int) -> None:
    """TOKEN_INVALID unless the key (32 bytes) signed it for us; TOKEN_EXPIRED unless `now` lies in its short life."""
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        decoded = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except (jwt.PyJWTError, ValueError):
        raise DeskError("TOKEN_INVALID") from None
    claims = _claims(decoded)
    second = now // SECOND
    if not claims.begin - SKEW_SECONDS_MAX <= second < claims.end:
        raise DeskError("TOKEN_EXPIRED")
    if not 0 < claims.end - claims.begin <= LIFE_SECONDS_MAX:
        raise DeskError("TOKEN_INVALID")


def _claims(claims: dict[str, Any]) -> Claims:
    confirmation = claims.get("cnf")
    found = (
        claims.get("iss"),
        claims.get("jti"),
        confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None,
        claims.get("iat"),
        claims.get("exp"),
    )
    if (
        not all(isinstance(value, str) and _TEXT.fullmatch(value) for value in found[:3])
        or not all(type(value) is int for value in found[3:])
        or claims.get("aud") != AUDIENCE
    ):
        raise DeskError("TOKEN_INVALID")
    return Claims(*found)  # type: ignore[arg-type]  # checked just above
