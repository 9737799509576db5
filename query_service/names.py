"""Resource names: what they look like, and what they belong to. Pure; DeskError NOT_FOUND for what is no name."""

import re
from typing import Final

from query_service.errors import DeskError

_ID: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
FORMS: Final = {
    "agency": re.compile(rf"(agencies/{_ID})"),
    "officer": re.compile(rf"(agencies/{_ID})/officers/{_ID}"),
    "person": re.compile(rf"(persons/{_ID})"),
    "authorization": re.compile(rf"(agencies/{_ID})/authorizations/{_ID}"),
    "lookup": re.compile(rf"(agencies/{_ID})/lookups/{_ID}"),
}
_ENTRY: Final = re.compile(r"auditEntries/(0|[1-9]\d{0,15})")


def is_name(kind: str, name: str) -> bool:
    """Whether a text is the name of such a thing."""
    return FORMS[kind].fullmatch(name) is not None


def owner(kind: str, name: str) -> str:
    """The agency (or person) that a name belongs to; NOT_FOUND for what is no name of this kind."""
    found = FORMS[kind].fullmatch(name)
    if found is None:
        raise DeskError("NOT_FOUND")
    return found[1]


def audit_index(name: str) -> int:
    """The index in `auditEntries/{index}`."""
    found = _ENTRY.fullmatch(name)
    if found is None:
        raise DeskError("NOT_FOUND")
    return int(found[1])
