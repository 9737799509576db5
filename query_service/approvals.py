"""Do the signatures hold? Asked when one is given, by the executor before every single read, before every page, and
every second of a stream.

A signature counts when, now,
1. its signer is enrolled, with the key that verifies it, and has a signing role;
2. the statement is over this very document: its hash is computed anew from what will be executed;
3. it names the instrument's hash, the policy version of the document, and the decision APPROVE;
4. the signer is not who entered the document, and has signed once.
"""

from typing import Any

from infra.proof import statements
from query_service import policy
from query_service.errors import DeskError
from query_service.projection import expected_approval
from query_service.state import Authorization, State


def holds(state: State, one: Authorization, approver: str, statement: dict[str, Any], signature: bytes) -> bool:
    """1 to 3 for one signature."""
    signer = state.enrolled(approver)
    return (
        signer is not None
        and bool(signer.roles & policy.SIGNING_ROLES)
        and statement == expected_approval(one.document, approver, str(statement.get("time", "")))
        and statements.verify(signer.public_key, statement, signature)
    )


def standing(state: State, one: Authorization) -> dict[str, frozenset[str]]:
    """Who stands behind it now, with their roles."""
    found = {}
    for approval in one.approvals:
        signer = state.enrolled(approval.approver)
        if signer is not None and holds(state, one, approval.approver, approval.statement, approval.signature):
            found[approval.approver] = signer.roles
    return found


def status_of(state: State, one: Authorization, now: int) -> str:
    """Where an authorization stands at this moment, in TS 103 120's words."""
    if one.status != "APPROVED":
        return one.status
    try:
        policy.in_force(one.document, now)
    except DeskError:
        return "EXPIRED"
    try:
        verify(state, one, now)
    except DeskError:
        return "INVALID"
    return "APPROVED"


def verify(state: State, one: Authorization, now: int) -> None:
    """The executor's check: it stands, and now lies in its timespan. AUTHORIZATION_*, APPROVAL_INVALID, POLICY_FORBIDS.

    What was found in that time can be read as long as it stands, until its segments expire.
    """
    stands(state, one, now)
    policy.in_force(one.document, now)


def stands(state: State, one: Authorization, now: int) -> None:
    """All but the timespan."""
    if one.status == "CANCELLED":
        raise DeskError("AUTHORIZATION_REVOKED")
    if one.status != "APPROVED":
        raise DeskError("AUTHORIZATION_NOT_APPROVED")
    agency = state.member(one.agency)
    if agency is None or agency.state != "ACTIVE" or agency.document is None:
        raise DeskError("AUTHORIZATION_REVOKED")
    row = policy.judge_authorization(one.document, agency.document["agency_class"], now)
    if not policy.signed_enough(row, one.requester, standing(state, one)):
        raise DeskError("APPROVAL_INVALID")
