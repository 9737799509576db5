"""What entries look like, so that one of a wrong shape changes nothing. Pure, and total: `fits` never raises.

Only what the projection and its readers take out of an entry is asked for. Entries that end something (a revocation, a
cancellation) need nothing but the name of what they end: asking for more could lose one.
"""

import re
from typing import Any, Final

from liucun.authorization.v1 import authorization_pb2, scope_pb2
from liucun.lookup.v1 import lookup_pb2
from liucun.registry.v1 import registry_pb2

from infra.platform.times import microseconds_of
from query_service import selectors
from query_service.errors import DeskError
from query_service.names import FORMS

# {name: shape} is an object with exactly these members, with `...` at least these. [shape] is a list of such, (a, b)
# one of the two, a frozenset one of its texts, a pattern a text of that form, a type a value of it, a function asks.
Shape = Any
NUMBER_MAX: Final = 2**31 - 1  # record_count of a segment is an int32


def fits(shape: Shape, value: Any) -> bool:
    """Whether a value has this shape."""
    match shape:
        case dict():
            return isinstance(value, dict) and (... in shape or value.keys() == shape.keys()) and all(
                name is ... or (name in value and fits(inner, value[name])) for name, inner in shape.items()
            )  # fmt: skip
        case [inner]:
            return isinstance(value, list) and all(fits(inner, one) for one in value)
        case tuple():
            return any(fits(one, value) for one in shape)
        case frozenset():
            return isinstance(value, str) and value in shape
        case re.Pattern():
            return isinstance(value, str) and shape.fullmatch(value) is not None
        case type():
            return type(value) is shape  # a bool is no number
        case None:
            return value is None
    return bool(shape(value))


def is_time(value: Any) -> bool:
    """The one form that times have, and one that can be computed with."""
    try:
        return isinstance(value, str) and microseconds_of(value) > 0
    except ValueError:
        return False


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= NUMBER_MAX


def _selector(value: Any) -> bool:
    """Canonical, so that whoever compares it never finds that it is none."""
    if not fits({"kind": str, "value": str, "host": str}, value):
        return False
    try:
        return bool(selectors.parse(**value).document() == value)
    except DeskError:
        return False


def _enum(enum: Any, prefix: str) -> frozenset[str]:
    return frozenset(name.removeprefix(prefix) for name, number in enum.items() if number)


_SHA256: Final = re.compile(r"[0-9a-f]{64}")
SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")
_ROLES: Final = frozenset(role.lower() for role in _enum(registry_pb2.Role, "ROLE_"))
_GROUPS: Final = [_enum(scope_pb2.FieldGroup, "FIELD_GROUP_")]
_WINDOW: Final = {"start_time": is_time, "end_time": is_time}
_NAMED: Final = {"display_name": str, "role": str, "identity": str}
_SIGNED: Final[dict[Any, Shape]] = {"statement": dict, "signature": SIGNATURE}
_AGENCY: Final = {
    "name": FORMS["agency"],
    "display_name": str,
    "agency_class": _enum(registry_pb2.AgencyClass, "AGENCY_CLASS_"),
    "officers": [{"name": FORMS["officer"], "display_name": str, "public_key": _SHA256}],
}
_PERSON: Final[dict[Any, Shape]] = {
    "name": FORMS["person"],
    "display_name": str,
    "roles": [_ROLES],
    "public_key": _SHA256,
}
_AUTHORIZATION: Final = {
    "name": FORMS["authorization"],
    "agency": FORMS["agency"],
    "authorization_reference": str,
    "legal_type": _enum(authorization_pb2.LegalType, "LEGAL_TYPE_"),
    "priority": _enum(authorization_pb2.Priority, "PRIORITY_"),
    "timespan": _WINDOW,
    "served_time": (is_time, None),
    "instrument": {
        "document_number": str,
        "case_name": str,
        "case_number": str,
        "unit": str,
        "approver": _NAMED,
        "handlers": [_NAMED],
        "issuer": _NAMED,
        "issue_time": is_time,
        "due_time": (is_time, None),
        "evidence_sought": str,
    },
    "document": {"sha256": _SHA256, "media_type": str},
    "scope": {"selectors": [_selector], "window": _WINDOW, "field_groups": _GROUPS, "max_hits": _number},
    "received_by": _enum(authorization_pb2.ReceivedBy, "RECEIVED_BY_"),
    "requester": str,
    "policy_version": str,
}
_LOOKUP: Final = {
    "name": FORMS["lookup"],
    "agency": FORMS["agency"],
    "authorization": FORMS["authorization"],
    "selector": _selector,
    "window": _WINDOW,
    "answered_window": _WINDOW,
    "max_records": _number,
    "disclosure": _enum(lookup_pb2.Disclosure, "DISCLOSURE_"),
    "include_non_final": bool,
    "field_groups": _GROUPS,
    ...: ...,
}
_ENDED: Final = {"authorization": str, ...: ...}
_ENTERED_MEMBER: Final[dict[Any, Shape]] = {**_SIGNED, ...: ...}
_SUBJECT: Final[dict[Any, Shape]] = {"subject": str, **_SIGNED, ...: ...}
# Of the kinds that the projection knows, all of them; the ledger itself sees to kind, time and actor.
SHAPES: Final[dict[str, Shape]] = {
    "GENESIS": {"statement": {"persons": [_PERSON | {"name": str}], ...: ...}, "signatures": dict, ...: ...},
    "AGENCY_ENTERED": {"document": _AGENCY, **_ENTERED_MEMBER},
    "PERSON_ENTERED": {"document": _PERSON, **_ENTERED_MEMBER},
    "AGENCY_APPROVED": _SUBJECT,
    "PERSON_APPROVED": _SUBJECT,
    "AGENCY_REVOKED": _SUBJECT,
    "PERSON_REVOKED": _SUBJECT,
    "AUTHORIZATION_ENTERED": {
        "document": _AUTHORIZATION, "request_hash": _SHA256, "request_id": str, "fingerprint": str, ...: ...,
    },
    "AUTHORIZATION_APPROVED": {"authorization": str, "enough": bool, **_SIGNED, ...: ...},
    "AUTHORIZATION_REJECTED": _ENDED,
    "AUTHORIZATION_REVOKED": _ENDED,
    "LOOKUP_INTENT": {"lookup": _LOOKUP, "request_id": str, "fingerprint": str, "validate_only": bool, ...: ...},
    "LOOKUP_SEGMENT": {
        "lookup": str, "segment_number": _number, "first_record_number": _number, "record_count": _number,
        "root": _SHA256, ...: ...,
    },
    "LOOKUP_OUTCOME": {
        "lookup": str, "outcome": str, "status_reason": str, "record_count": _number, "hits": _number,
        "truncated": bool, ...: ...,
    },
    "LOOKUP_CANCELLED": {"lookup": str, ...: ...},
    "SERVICE_STARTED": {"service": str, ...: ...},
}  # fmt: skip
