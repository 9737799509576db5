"""Who is calling: a client certificate with exactly one SPIFFE URI, and a token of somebody registered under it.

1. The TLS library has checked that our authority issued the certificate (without one, no call reaches Python), and it
   is one of ours now (authorities.py).
2. It is in force now: an open connection outlives its certificate, so this is asked at every call.
3. It has exactly one URI, spiffe://<trust domain>/agency/<id> or .../person/<id>.
4. The token names an officer of that agency, or that person, who is enrolled and not revoked.
5. It is bound to this very certificate, signed by the registered key, for us, and in its short life.
6. For calls that act, it was never used before (interceptors/authenticate.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from infra.platform.clock import from_datetime
from query_service import tokens
from query_service.errors import DeskError

_SPIFFE: Final = re.compile(r"spiffe://([a-z0-9.-]{1,254})/(agency|person)/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)")
_CERTIFICATES_REMEMBERED_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """A client certificate: whose it is, when it is in force (microseconds), and its thumbprint."""

    trust_domain: str
    kind: str
    name: str  # agencies/... or persons/...
    begin: int
    end: int
    thumbprint: str
    chain: bytes = b""  # PEM: the certificate, and what came with it


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may be spoken to. Officers have an agency and no roles; provider people have roles and no agency."""

    actor: str
    agency: str | None
    roles: frozenset[str]
    token_id: str
    token_end: int  # microseconds
    peer: Peer
    public_key: bytes = b""  # that the token was signed with

    def has(self, role: str) -> bool:
        """Whether this is a provider person with that role."""
        return role in self.roles


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the registry knows of an officer or a person."""

    public_key: bytes
    roles: frozenset[str]


class Registry(Protocol):
    """Who is enrolled now."""

    def enrolled(self, name: str) -> Enrolled | None:
        """None for nobody, for somebody revoked, and for an officer of an agency that is."""
        ...


def peer_of(auth_context: Mapping[str, Sequence[bytes]], trust_domain: str, now: int) -> Peer:
    """Steps 2 and 3. CERTIFICATE_INVALID."""
    pem = auth_context.get("x509_pem_cert")
    if not pem:
        raise DeskError("CERTIFICATE_INVALID")
    peer = _peer(bytes(pem[0]), b"".join(auth_context.get("x509_pem_cert_chain") or ()))
    if peer is None or peer.trust_domain != trust_domain or not peer.begin <= now < peer.end:
        raise DeskError("CERTIFICATE_INVALID")
    return peer


def caller_of(peer: Peer, authorization: str | None, registry: Registry, now: int) -> Caller:
    """Steps 4 and 5: `authorization` is the metadata's value."""
    if not authorization:
        raise DeskError("TOKEN_MISSING")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise DeskError("TOKEN_MISSING")
    claims = tokens.read(token)
    owner = claims.issuer.rpartition("/officers/")[0] if peer.kind == "agency" else claims.issuer
    if owner != peer.name or claims.thumbprint != peer.thumbprint:
        raise DeskError("TOKEN_NOT_BOUND")
    known = registry.enrolled(claims.issuer)
    if known is None:
        raise DeskError("NOT_ENROLLED")
    tokens.verify(token, known.public_key, now)
    return Caller(
        actor=claims.issuer,
        agency=peer.name if peer.kind == "agency" else None,
        roles=known.roles,
        token_id=claims.token_id,
        token_end=claims.end * 1_000_000,
        peer=peer,
        public_key=known.public_key,
    )


def spiffe_name(certificate: x509.Certificate) -> str | None:
    """agencies/... or persons/..., for a certificate with exactly one URI of that form."""
    found = _spiffe(certificate)
    return None if found is None else f"{'agencies' if found[2] == 'agency' else 'persons'}/{found[3]}"


def _spiffe(certificate: x509.Certificate) -> re.Match[str] | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return _SPIFFE.fullmatch(uris[0]) if len(uris) == 1 else None


@lru_cache(maxsize=_CERTIFICATES_REMEMBERED_MAX)
def _peer(pem: bytes, others: bytes) -> Peer | None:
    """What a certificate says; None when it does not have exactly one SPIFFE URI of ours."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        found = _spiffe(certificate)
    except ValueError:
        return None
    if found is None:
        return None
    return Peer(
        trust_domain=found[1],
        kind=found[2],
        name=f"{'agencies' if found[2] == 'agency' else 'persons'}/{found[3]}",
        begin=from_datetime(certificate.not_valid_before_utc),
        end=from_datetime(certificate.not_valid_after_utc),
        thumbprint=tokens.thumbprint(certificate.public_bytes(Encoding.DER)),
        chain=pem + b"\n" + others,
    )
