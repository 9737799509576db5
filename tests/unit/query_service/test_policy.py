"""The pure decision: who may ask what, under which paper, with whose signatures."""

from typing import Any

import pytest

from infra.platform.clock import DAY, HOUR
from infra.platform.times import text_of
from query_service import policy
from query_service.errors import DeskError
from query_service.identity import Caller, Peer
from query_service.policy import Row
from query_service.selectors import Selector

NOW = 1_800_000_000_000_000
AGENCY = "agencies/a"
PEER = Peer("x", "agency", AGENCY, 0, 2**60, "t")


def caller(*roles: str, agency: str | None = None, actor: str = "persons/p") -> Caller:
    return Caller(actor, agency, frozenset(roles), "token", 0, PEER)


OFFICER = caller(agency=AGENCY, actor=f"{AGENCY}/officers/o")


def window(begin: int, end: int) -> dict[str, str]:
    return {"start_time": text_of(begin), "end_time": text_of(end)}


def document(**changes: Any) -> dict[str, Any]:
    handlers = [{"display_name": "1", "identity": ""}, {"display_name": "2", "identity": ""}]
    return {
        "agency": AGENCY,
        "legal_type": "EVIDENCE_RETRIEVAL_NOTICE",
        "received_by": "ELECTRONIC",
        "timespan": window(NOW - DAY, NOW + DAY),
        "instrument": {"issue_time": text_of(NOW - HOUR), "handlers": handlers},
        "scope": {
            "selectors": [{"kind": "SENDER", "value": "a@x.org", "host": ""}],
            "window": window(NOW - 10 * DAY, NOW - HOUR),
            "field_groups": ["CORE"],
            "max_hits": 10,
        },
    } | changes


def refusal(work: Any) -> str:
    with pytest.raises(DeskError) as caught:
        work()
    return caught.value.reason


def test_every_class_has_its_default_of_the_law() -> None:
    decisions = {(row.agency_class, row.legal_type): row.decision for row in policy.matrix().rows}
    assert decisions["PUBLIC_SECURITY", "EVIDENCE_RETRIEVAL_NOTICE"] == "allow"
    assert decisions["SUPERVISION", "SUPERVISION_NOTICE"] == "legal_review"
    assert decisions["COURT", "COURT_ORDER"] == "legal_review"
    assert decisions["*", "FOREIGN_REQUEST"] == "block"
    assert all(row.basis for row in policy.matrix().rows)


def test_a_good_paper_and_its_row() -> None:
    assert policy.judge_authorization(document(), "PUBLIC_SECURITY", NOW).decision == "allow"
    for agency_class in ("COURT", "REGULATOR", "NOBODY"):
        assert refusal(lambda c=agency_class: policy.judge_authorization(document(), c, NOW)) == "POLICY_FORBIDS"


def test_the_scope_is_exhaustive() -> None:
    one = document()
    inside = (NOW - 9 * DAY, NOW - DAY)
    policy.in_scope(one, Selector("SENDER", "a@x.org"), inside)
    policy.in_scope(one, Selector("SENDER", "a@x.org"), (NOW - 10 * DAY, NOW - HOUR))
    assert refusal(lambda: policy.in_scope(one, Selector("SENDER", "b@x.org"), inside)) == "OUT_OF_SCOPE"
    for outside in ((NOW - 10 * DAY - 1, NOW - DAY), (NOW - 9 * DAY, NOW - HOUR + 1), (NOW - DAY, NOW - DAY)):
        assert refusal(lambda w=outside: policy.in_scope(one, Selector("SENDER", "a@x.org"), w)) == "OUT_OF_SCOPE"


def test_timespan_has_an_end() -> None:
    policy.in_force(document(), NOW)
    for moment in (NOW - DAY - 1, NOW + DAY):
        assert refusal(lambda m=moment: policy.in_force(document(), m)) == "AUTHORIZATION_EXPIRED"


def test_who_enters_sees_signs_and_asks() -> None:
    policy.may_enter(OFFICER, AGENCY, "ELECTRONIC")
    policy.may_enter(caller("PREPARER"), AGENCY, "FAX")
    for who, how in ((OFFICER, "FAX"), (caller("PREPARER"), "ELECTRONIC"), (caller("REVIEWER"), "FAX")):
        assert refusal(lambda w=who, h=how: policy.may_enter(w, AGENCY, h)) == "PERMISSION_MISSING"
    policy.may_see(OFFICER, AGENCY)
    policy.may_see(caller("REVIEWER"), "agencies/b")
    assert refusal(lambda: policy.may_see(OFFICER, "agencies/b")) == "NOT_FOUND"
    policy.may_ask(OFFICER, document())
    policy.may_ask(caller("OPERATOR"), document(received_by="FAX"))
    for who, paper in ((caller("OPERATOR"), document()), (caller("LEGAL"), document(received_by="FAX"))):
        assert refusal(lambda w=who, d=paper: policy.may_ask(w, d)) == "PERMISSION_MISSING"
    policy.may_sign(caller("REVIEWER"), "persons/q", ["persons/r"])
    for requester, signers in (("persons/p", []), ("persons/q", ["persons/p"])):
        assert refusal(lambda r=requester, s=signers: policy.may_sign(caller("REVIEWER"), r, s)) == (
            "APPROVER_NOT_INDEPENDENT"
        )
    assert refusal(lambda: policy.may_sign(caller("OPERATOR"), "persons/q", [])) == "PERMISSION_MISSING"
    assert refusal(lambda: policy.may_sign(OFFICER, "persons/q", [])) == "PERMISSION_MISSING"


@pytest.mark.parametrize(
    ("decision", "signers", "enough"),
    [
        ("allow", {"p": ["PREPARER"], "q": ["REVIEWER"]}, True),
        ("allow", {"p": ["PREPARER"], "q": ["PREPARER"]}, False),
        ("allow", {"q": ["REVIEWER"]}, False),
        ("allow", {"q": ["REVIEWER"], "o": ["AUDITOR"]}, False),
        ("allow", {"q": ["REVIEWER"], "r": ["REVIEWER"]}, True),
        ("allow", {"requester": ["REVIEWER"], "r": ["REVIEWER"]}, False),
        ("legal_review", {"q": ["REVIEWER"], "r": ["REVIEWER"]}, False),
        ("legal_review", {"q": ["REVIEWER"], "r": ["LEGAL"]}, True),
    ],
)
def test_two_people_and_the_right_ones(decision: Any, signers: dict[str, list[str]], enough: bool) -> None:
    row = Row("c", "t", decision, frozenset(), frozenset(), 1, 1, 1, "")
    roles = {name: frozenset(words) for name, words in signers.items()}
    assert policy.signed_enough(row, "requester", roles) == enough
