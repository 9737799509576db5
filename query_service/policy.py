"""Caller x authorization x scope -> decision. Pure: no clock, no store, no ledger; the matrix is data (schemas/policy).

What the policy does not name it does not allow. Every decision is a DeskError or silence.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from infra.platform.clock import DAY
from infra.platform.times import microseconds_of
from query_service.errors import DeskError
from query_service.identity import Caller
from query_service.selectors import Selector, covers, from_document
from schemas import files

SIGNATURES_NEEDED: Final = 2
SIGNING_ROLES: Final = frozenset({"PREPARER", "REVIEWER", "LEGAL"})
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """What one class of agency may ask under one kind of instrument."""

    agency_class: str
    legal_type: str
    decision: Literal["allow", "legal_review", "block"]
    selectors: frozenset[str]
    field_groups: frozenset[str]
    window_days_max: int
    validity_days_max: int
    hits_max: int
    basis: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The rows, and the version that approvals name: the file's own word and the start of its SHA-256."""

    version: str
    rows: tuple[Row, ...]

    def row(self, agency_class: str, legal_type: str) -> Row:
        """POLICY_FORBIDS when there is none."""
        for row in self.rows:
            if row.agency_class in (agency_class, "*") and row.legal_type == legal_type:
                return row
        raise DeskError("POLICY_FORBIDS", rule="no row for this class of agency and kind of instrument")


@cache
def matrix() -> Matrix:
    """The matrix of this version."""
    text = files.read_text("policy", "matrix.v1.toml")
    document = tomllib.loads(text)
    rows = [
        Row(
            agency_class=entry["agency_class"],
            legal_type=entry["legal_type"],
            decision=entry["decision"],
            selectors=frozenset(entry["selectors"]),
            field_groups=frozenset(entry["field_groups"]),
            window_days_max=entry["window_days_max"],
            validity_days_max=entry["validity_days_max"],
            hits_max=entry["hits_max"],
            basis=entry["basis"],
        )
        for entry in document["row"]
    ]
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Matrix(f"{document['version']}-{digest[:16]}", tuple(rows))


def judge_authorization(document: Document, agency_class: str, now: int) -> Row:
    """Whether such an instrument may be entered at all; the row that it falls under."""
    row = matrix().row(agency_class, document["legal_type"])
    if row.decision == "block":
        raise DeskError("POLICY_FORBIDS", rule="blocked", basis=row.basis)
    scope, instrument = document["scope"], document["instrument"]
    begin, end = _window(scope["window"])
    valid_from, valid_to = _window(document["timespan"])
    issued = microseconds_of(instrument["issue_time"])
    kinds = {selector["kind"] for selector in scope["selectors"]}
    handlers = [(one["display_name"], one["identity"]) for one in instrument["handlers"]]
    for holds, rule in (
        (end <= issued, "the window ends after the instrument's issue: this system answers about the past"),
        (issued <= now, "the instrument was issued in the future"),
        (end - begin <= row.window_days_max * DAY, f"the window is longer than {row.window_days_max} days"),
        (valid_to - valid_from <= row.validity_days_max * DAY, f"valid for more than {row.validity_days_max} days"),
        (kinds <= row.selectors, "a kind of selector that this class of agency may not use"),
        (set(scope["field_groups"]) <= row.field_groups, "a group of fields that this class of agency may not see"),
        (scope["max_hits"] <= row.hits_max, f"more than {row.hits_max} hits"),
        (len(set(handlers)) >= 2, "fewer than two handlers"),
    ):
        if not holds:
            raise DeskError("POLICY_FORBIDS", rule=rule, basis=row.basis)
    return row


def may_enter(caller: Caller, agency: str, received_by: str) -> None:
    """An officer for its own agency, electronically; a preparer for paper."""
    if caller.agency == agency and received_by == "ELECTRONIC":
        return
    if caller.has("PREPARER") and received_by != "ELECTRONIC":
        return
    raise DeskError("PERMISSION_MISSING")


def may_see(caller: Caller, agency: str) -> None:
    """NOT_FOUND, as for what does not exist, unless it is the caller's own agency or a provider person."""
    if caller.agency != agency and caller.agency is not None:
        raise DeskError("NOT_FOUND")


def may_sign(caller: Caller, requester: str, signers: list[str]) -> None:
    """Neither who entered it, nor who has signed already, nor somebody without a signing role."""
    if caller.agency is not None or not caller.roles & SIGNING_ROLES:
        raise DeskError("PERMISSION_MISSING")
    if caller.actor == requester or caller.actor in signers:
        raise DeskError("APPROVER_NOT_INDEPENDENT")


def signed_enough(row: Row, requester: str, signers: dict[str, frozenset[str]]) -> bool:
    """Two different people besides the requester, one of them a reviewer, or of legal where the row asks for it.

    `signers` are those whose signatures hold, with the roles that they have now.
    """
    counted = {name: roles for name, roles in signers.items() if name != requester and roles & SIGNING_ROLES}
    wanted = {"LEGAL"} if row.decision == "legal_review" else {"REVIEWER", "LEGAL"}
    return len(counted) >= SIGNATURES_NEEDED and any(roles & wanted for roles in counted.values())


def may_ask(caller: Caller, document: Document) -> None:
    """An officer of the agency; an operator of the provider where the instrument came on paper."""
    if caller.agency == document["agency"]:
        return
    if caller.has("OPERATOR") and document["received_by"] != "ELECTRONIC":
        return
    raise DeskError("PERMISSION_MISSING")


def in_force(document: Document, now: int) -> None:
    """Whether now lies in the authorization's timespan."""
    begin, end = _window(document["timespan"])
    if not begin <= now < end:
        raise DeskError("AUTHORIZATION_EXPIRED")


def in_scope(document: Document, selector: Selector, window: tuple[int, int]) -> None:
    """Whether a question lies inside the authorization's scope, all of it."""
    scope = document["scope"]
    if not any(covers(from_document(granted), selector) for granted in scope["selectors"]):
        raise DeskError("OUT_OF_SCOPE", part="selector")
    begin, end = _window(scope["window"])
    if not begin <= window[0] < window[1] <= end:
        raise DeskError("OUT_OF_SCOPE", part="window")


def _window(document: dict[str, str]) -> tuple[int, int]:
    return microseconds_of(document["start_time"]), microseconds_of(document["end_time"])
