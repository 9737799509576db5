"""What an entry of the ledger can be: a closed table. The kind is secret, in the payload; its coarse type is public.

An auditor without any key can count by coarse type; nobody outside can tell an approval from a revocation.
"""

from typing import Final

TYPES: Final[dict[str, int]] = {
    "ADMIN": 1,
    "AUTHORIZATION": 2,
    "INTENT": 3,
    "SEGMENT": 4,
    "OUTCOME": 5,
    "REFUSAL": 6,
    "RETENTION": 7,
    "READ": 8,
    "ERASED": 9,
}
_BY_TYPE: Final[dict[str, tuple[str, ...]]] = {
    "ADMIN": (
        "GENESIS",
        "AGENCY_ENTERED",
        "AGENCY_APPROVED",
        "AGENCY_REVOKED",
        "PERSON_ENTERED",
        "PERSON_APPROVED",
        "PERSON_REVOKED",
        "SERVICE_STARTED",
    ),
    "AUTHORIZATION": (
        "AUTHORIZATION_ENTERED",
        "AUTHORIZATION_APPROVED",
        "AUTHORIZATION_REJECTED",
        "AUTHORIZATION_REVOKED",
    ),
    "INTENT": ("LOOKUP_INTENT",),
    "SEGMENT": ("LOOKUP_SEGMENT",),
    "OUTCOME": ("LOOKUP_OUTCOME", "LOOKUP_CANCELLED"),
    "REFUSAL": ("REFUSED", "REFUSALS_SUMMARY"),
    "RETENTION": ("DROP_INTENT", "DROP_DONE", "DROP_FAILED"),
    "READ": ("LEDGER_READ", "LEDGER_EXPORTED", "DEAD_LETTER_REVEALED", "RECORDS_READ"),
    "ERASED": ("ERASED",),
}
# kind -> coarse type byte
KINDS: Final[dict[str, int]] = {kind: TYPES[name] for name, kinds in _BY_TYPE.items() for kind in kinds}
TYPE_NAMES: Final[dict[int, str]] = {number: name for name, number in TYPES.items()}
# Only the ledger itself writes these, and they are never erased: without them nothing else can be understood.
OWN_KINDS: Final = frozenset({"GENESIS", "ERASED"})
# Nor are these erased: who is in force follows from all of them, and a revocation that is gone would be undone.
REGISTRY_KINDS: Final = frozenset(kind for kind in KINDS if kind.startswith(("AGENCY_", "PERSON_")))
