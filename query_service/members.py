"""Agencies and people as canonical documents: what is hashed and signed when they are enrolled. Pure."""

import re
from typing import Any, Final

from liucun.registry.v1 import registry_pb2 as pb

from infra.proof import canonical
from query_service import names, wire

OFFICERS_MAX: Final = 100
DOCUMENT_BYTES_MAX: Final = 48_000  # an entry of the ledger holds 60,000
TEXT_MAX: Final = 100
_KEY: Final = re.compile(r"[0-9a-f]{64}")


def agency_document(message: pb.Agency) -> dict[str, Any]:
    """The canonical document of an agency. REQUEST_INVALID."""
    if not names.is_name("agency", message.name):
        raise wire.invalid("agency.name", "is not agencies/{agency} in lower-case letters, digits and hyphens")
    if not 0 < len(message.officers) <= OFFICERS_MAX:
        raise wire.invalid("agency.officers", f"has not between 1 and {OFFICERS_MAX} entries")
    officers = []
    for at, officer in enumerate(message.officers):
        field = f"agency.officers[{at}]"
        if not names.is_name("officer", officer.name) or names.owner("officer", officer.name) != message.name:
            raise wire.invalid(f"{field}.name", "is not an officer's name of this agency")
        officers.append(
            {
                "name": officer.name,
                "display_name": wire.text(officer.display_name, f"{field}.display_name", TEXT_MAX),
                "public_key": _key(officer.public_key, f"{field}.public_key"),
            }
        )
    keys = {officer["public_key"] for officer in officers}
    if len(keys) < len(officers) or len({officer["name"] for officer in officers}) < len(officers):
        raise wire.invalid("agency.officers", "has a name or a key twice")
    document = {
        "name": message.name,
        "display_name": wire.text(message.display_name, "agency.display_name", TEXT_MAX),
        "agency_class": wire.name_of(pb.AgencyClass, message.agency_class, "AGENCY_CLASS_", "agency.agency_class"),
        "officers": sorted(officers, key=lambda officer: officer["name"]),
    }
    if len(canonical.encode(document)) > DOCUMENT_BYTES_MAX:
        raise wire.invalid("agency", f"is longer than {DOCUMENT_BYTES_MAX} bytes")
    return document


def person_document(message: pb.Person) -> dict[str, Any]:
    """The canonical document of a person, as in the genesis. REQUEST_INVALID."""
    if not names.is_name("person", message.name):
        raise wire.invalid("person.name", "is not persons/{person} in lower-case letters, digits and hyphens")
    roles = {wire.name_of(pb.Role, role, "ROLE_", "person.roles").lower() for role in message.roles}
    if not roles:
        raise wire.invalid("person.roles", "is empty")
    return {
        "name": message.name,
        "display_name": wire.text(message.display_name, "person.display_name", TEXT_MAX),
        "roles": sorted(roles),
        "public_key": _key(message.public_key, "person.public_key"),
    }


def _key(value: str, field: str) -> str:
    if not _KEY.fullmatch(value):
        raise wire.invalid(field, "is not an Ed25519 public key of 64 lower-case hex digits")
    return value
