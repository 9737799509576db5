"""Which kind of caller may make which call at all, before anything of the request is looked at.

Whether this caller may have this very thing is decided where the thing is known (policy.py), still before validation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from query_service.errors import DeskError
from query_service.interceptors._wrap import Call

OFFICER: Final = "OFFICER"
_SIGNERS: Final = frozenset({"PREPARER", "REVIEWER", "LEGAL"})
_STAFF: Final = _SIGNERS | {"OPERATOR", "AUDITOR"}
_ASKERS: Final = frozenset({OFFICER, "OPERATOR"})
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "CreateAuthorization": frozenset({OFFICER, "PREPARER"}),
    "GetAuthorization": _STAFF | {OFFICER},
    "GetDocument": _SIGNERS | {OFFICER, "AUDITOR"},
    "ListAuthorizations": _STAFF | {OFFICER},
    "ApproveAuthorization": _SIGNERS,
    "RejectAuthorization": _SIGNERS,
    "RevokeAuthorization": _SIGNERS | {OFFICER},
    "CreateLookup": _ASKERS,
    "GetLookup": _ASKERS | {"AUDITOR"},
    "ListLookups": _ASKERS | {"AUDITOR"},
    "CancelLookup": _ASKERS | _SIGNERS,
    "ListRecords": _ASKERS,
    "StreamRecords": _ASKERS,
    "CreateAgency": frozenset({"PREPARER"}),
    "ApproveAgency": frozenset({"REVIEWER", "LEGAL"}),
    "RevokeAgency": _SIGNERS,
    "ListAgencies": _STAFF,
    "CreatePerson": frozenset({"PREPARER"}),
    "ApprovePerson": frozenset({"REVIEWER", "LEGAL"}),
    "RevokePerson": _SIGNERS,
    "ListPersons": _STAFF,
    "GetAuditEntry": frozenset({"AUDITOR"}),
    "ListAuditEntries": frozenset({"AUDITOR"}),
    "GetCheckpoint": frozenset({"AUDITOR"}),
    "ServerReflectionInfo": frozenset({"OPERATOR"}),
}


class Authorise:
    """PERMISSION_MISSING, also for a method that nobody has thought of."""

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """A closed table; a test compares it with the services."""
        caller = call.caller
        has = caller.roles if caller.agency is None else {OFFICER}
        if not ALLOWED.get(call.method, frozenset()) & has:
            raise DeskError("PERMISSION_MISSING")
        yield
