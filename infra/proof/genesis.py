"""The first entry: what a log is, and which three persons vouch for it. All three sign the same statement.

{"statement": {"type": "liucun-genesis-v1", "origin", "log_key", "policy_version", "erase_after_days": {type: days},
               "created_time", "persons": [{"name", "display_name", "roles", "public_key"}, ...]},
 "signatures": {person's name: hex, ...}}
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from infra.proof import statements
from infra.proof.errors import NoteError, ProofError
from infra.proof.kinds import TYPES
from infra.proof.notes import Verifier

TYPE: Final = "liucun-genesis-v1"
PERSONS: Final = 3
ROLES: Final = ("preparer", "reviewer", "legal", "operator", "auditor")
TERM_DAYS_MAX: Final = 36_600
# ERASED and GENESIS entries have no term: they stay.
TERM_TYPES: Final = tuple(name for name in TYPES if name != "ERASED")
_MEMBERS: Final = frozenset(
    {"type", "origin", "log_key", "policy_version", "erase_after_days", "created_time", "persons"}
)
_PERSON_MEMBERS: Final = frozenset({"name", "display_name", "roles", "public_key"})
_NAME: Final = re.compile(r"persons/[a-z0-9][a-z0-9-]{0,62}")
_VERSION: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_KEY: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Genesis:
    """A genesis whose statement is well formed."""

    statement: dict[str, Any]
    signatures: dict[str, str]

    @property
    def origin(self) -> str:
        """Name of the log."""
        return str(self.statement["origin"])

    @property
    def log_key(self) -> Verifier:
        """The key of its checkpoints."""
        return Verifier.parse(self.statement["log_key"])

    @property
    def erase_after_days(self) -> dict[str, int]:
        """Term of each coarse type."""
        return dict(self.statement["erase_after_days"])

    @property
    def public_keys(self) -> dict[str, bytes]:
        """Person -> key."""
        return {person["name"]: bytes.fromhex(person["public_key"]) for person in self.statement["persons"]}

    def unsigned(self) -> list[str]:
        """Persons whose signature is missing. ProofError for a signature that is wrong or nobody's."""
        keys = self.public_keys
        for name, text in self.signatures.items():
            if name not in keys:
                raise ProofError(f"{name} has signed and is not one of the three")
            if not _is(text, re.compile(r"[0-9a-f]{128}")) or not statements.verify(
                keys[name], self.statement, bytes.fromhex(text)
            ):
                raise ProofError(f"the signature of {name} does not verify")
        return [name for name in keys if name not in self.signatures]


def parse(document: Any) -> Genesis:
    """A genesis, signed or not yet. ProofError, saying what is wrong."""
    if not isinstance(document, dict) or document.keys() != {"statement", "signatures"}:
        raise ProofError("it is not an object of statement and signatures")
    statement, signatures = document["statement"], document["signatures"]
    if not isinstance(statement, dict) or statement.keys() != _MEMBERS or statement["type"] != TYPE:
        raise ProofError(f"its statement is not of type {TYPE} with exactly the members of that type")
    if not isinstance(signatures, dict):
        raise ProofError("its signatures are not an object")
    try:
        key = Verifier.parse(str(statement["log_key"]))
    except NoteError as error:
        raise ProofError(f"its log_key is {error}") from None
    if key.name != statement["origin"]:
        raise ProofError("its log_key is not named like its origin")
    if not _is(statement["policy_version"], _VERSION) or not _is(statement["created_time"], _TIME):
        raise ProofError("its policy_version or created_time is not well formed")
    _check_terms(statement["erase_after_days"])
    _check_persons(statement["persons"])
    return Genesis(statement, signatures)


def _check_terms(terms: Any) -> None:
    if not isinstance(terms, dict) or terms.keys() != set(TERM_TYPES):
        raise ProofError(f"its erase_after_days does not name exactly {', '.join(TERM_TYPES)}")
    if not all(type(days) is int and 0 <= days <= TERM_DAYS_MAX for days in terms.values()):
        raise ProofError(f"a term is not a number of days up to {TERM_DAYS_MAX}")


def _check_persons(persons: Any) -> None:
    if not isinstance(persons, list) or len(persons) != PERSONS:
        raise ProofError("it does not name three persons")
    for person in persons:
        if not isinstance(person, dict) or person.keys() != _PERSON_MEMBERS or not _is(person["name"], _NAME):
            raise ProofError("a person is not well formed; names are persons/<small letters, digits, ->")
        display, roles = person["display_name"], person["roles"]
        if not isinstance(display, str) or not 0 < len(display) <= 100:
            raise ProofError(f"the display_name of {person['name']} is empty or too long")
        if (
            not isinstance(roles, list)
            or not roles
            or len(set(map(str, roles))) != len(roles)
            or set(roles) - set(ROLES)
        ):
            raise ProofError(f"the roles of {person['name']} are not among {', '.join(ROLES)}, each once")
        if not _is(person["public_key"], _KEY):
            raise ProofError(f"the public_key of {person['name']} is not 64 hex digits")
    for member in ("name", "public_key"):
        if len({person[member] for person in persons}) != PERSONS:
            raise ProofError(f"two persons have the same {member}")


def _is(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
