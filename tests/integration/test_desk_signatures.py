"""Who may sign, and when a signature counts: enrolment by two, approvals over the very document, revocation."""

import pytest
from liucun.authorization.v1 import authorization_pb2
from liucun.registry.v1 import registry_pb2, statement_pb2

from infra.platform.clock import DAY
from infra.platform.times import text_of
from infra.proof import canonical, requests, statements
from query_service.client import Client, RefusedError
from query_service.members import agency_document, person_document
from query_service.state import Authorization, State
from tests import desk as kit
from tests.desk import OFFICER, RunningDesk
from tests.places import Place, approve, ask, last, reason, revoke_person


def test_one_person_twice_and_the_requester(desk: RunningDesk, officer: Client) -> None:
    on_paper = kit.instrument(received_by="RECEIVED_BY_COUNTER")
    with desk.client("persons/li") as li, desk.client("persons/wang") as wang:
        one = kit.enter(li, on_paper)
        assert reason(lambda: li.approve(one)) == "APPROVER_NOT_INDEPENDENT"
        assert wang.approve(one).status == authorization_pb2.AUTHORIZATION_STATUS_AWAITING_APPROVAL
        assert reason(lambda: wang.approve(one)) == "APPROVER_NOT_INDEPENDENT"
        assert reason(lambda: ask(li, one)) == "AUTHORIZATION_NOT_APPROVED"
    with desk.client("persons/zhao") as zhao:
        assert zhao.approve(one).status == authorization_pb2.AUTHORIZATION_STATUS_APPROVED
    with desk.client("persons/li") as li:
        assert ask(li, one).record_count == 25, "an operator asks for paper"


def test_signatures_that_do_not_hold(place: Place, desk: RunningDesk, officer: Client) -> None:
    one = kit.enter(officer, kit.instrument())
    with desk.client("persons/wang") as wang:
        wider = authorization_pb2.Authorization.FromString(one.SerializeToString())
        wider.scope.max_hits += 1
        assert reason(lambda: wang.approve(wider)) == "APPROVAL_INVALID"
        good = requests.approval_statement(
            authorization=one.name,
            request_hash=one.request_hash,
            instrument_sha256=one.document.sha256,
            policy_version=one.policy_version,
            approver="persons/wang",
            time=text_of(place.clock.now()),
        )
        old = text_of(place.clock.now() - 2 * DAY)
        for statement in (
            good | {"approver": "persons/zhao"},
            good | {"instrument_sha256": "0" * 64},
            good | {"policy_version": "older"},
            good | {"time": old},
            good | {"decision": "REJECT"},
            good | {"type": "liucun-registry-v1"},
            good | {"more": "x"},
        ):
            assert reason(lambda statement=statement: approve(wang, one.name, wang.signed(statement))) == (
                "APPROVAL_INVALID"
            )
        other_key = statements.sign(place.world.key("persons/zhao"), good)
        forged = statement_pb2.SignedStatement(statement=canonical.encode(good), signature=other_key)
        assert reason(lambda: approve(wang, one.name, forged)) == "APPROVAL_INVALID"
        spaced = statement_pb2.SignedStatement(
            statement=canonical.encode(good) + b" ", signature=statements.sign(place.world.key("persons/wang"), good)
        )
        assert reason(lambda: approve(wang, one.name, spaced)) == "APPROVAL_INVALID"
        approve(wang, one.name, wang.signed(good))


def test_document_altered_behind_its_approval(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the service believes of a document, it cannot widen what was signed: the executor hashes what it runs."""
    real = State.authorization

    def altered(state: State, name: str) -> Authorization | None:
        found = real(state, name)
        if found is not None:
            found.document["scope"]["selectors"][0]["value"] = "eve@example.org"
        return found

    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        monkeypatch.setattr(State, "authorization", altered)
        with desk.client(OFFICER) as officer:
            assert reason(lambda: ask(officer, one, selector=kit.selector("SENDER", "eve@example.org"))) == (
                "APPROVAL_INVALID"
            )
            assert kit.fetched(officer, one.name).status == authorization_pb2.AUTHORIZATION_STATUS_INVALID


def test_signer_who_was_revoked_counts_no_more(desk: RunningDesk, officer: Client) -> None:
    one = kit.approved(desk)
    assert ask(officer, one).record_count == 25
    revoke_person(desk, "persons/wang")
    assert reason(lambda: ask(officer, one)) == "APPROVAL_INVALID"
    with desk.client("persons/wang") as wang:
        assert reason(lambda: kit.fetched(wang, one.name)) == "NOT_ENROLLED"


def test_enrolment_takes_two_and_one_key_is_one_person(place: Place, desk: RunningDesk) -> None:
    from infra.platform import tls

    sun = registry_pb2.Person(
        name="persons/sun", display_name="孙", roles=["ROLE_AUDITOR"],
        public_key=tls.public_key_hex(place.world.key("persons/sun")),
    )  # fmt: skip
    document_hash = requests.registry_hash(person_document(sun))
    with desk.client("persons/li") as li, desk.client("persons/wang") as wang, desk.client("persons/sun") as himself:
        entered = registry_pb2.CreatePersonRequest(
            person=sun, signed_statement=li.registration("ENTER", sun.name, document_hash)
        )
        li.call(li.registry.CreatePerson, entered)
        assert reason(lambda: himself.call(himself.registry.ListPersons, registry_pb2.ListPersonsRequest())) == (
            "NOT_ENROLLED"
        )
        for signer, expected in ((li, "PERMISSION_MISSING"), (wang, "")):
            request = registry_pb2.ApprovePersonRequest(
                name=sun.name, signed_statement=signer.registration("APPROVE", sun.name, document_hash)
            )
            if expected:
                assert reason(lambda s=signer, r=request: s.call(s.registry.ApprovePerson, r)) == expected
            else:
                signer.call(signer.registry.ApprovePerson, request)
        himself.call(himself.registry.ListPersons, registry_pb2.ListPersonsRequest())
        sun.name = "persons/sun-again"
        again = registry_pb2.CreatePersonRequest(
            person=sun,
            signed_statement=li.registration("ENTER", sun.name, requests.registry_hash(person_document(sun))),
        )
        assert reason(lambda: li.call(li.registry.CreatePerson, again)) == "REQUEST_INVALID"


def test_who_approves_signs_after_who_entered(place: Place, desk: RunningDesk) -> None:
    """Else an old approval could be handed in again; the refusal says after which moment."""
    agency = place.world.agency("agencies/second")
    document_hash = requests.registry_hash(agency_document(agency))
    with desk.client("persons/li") as li, desk.client("persons/wang") as wang:
        early = wang.registration("APPROVE", agency.name, document_hash)
        signed = li.registration("ENTER", agency.name, document_hash)
        li.call(li.registry.CreateAgency, registry_pb2.CreateAgencyRequest(agency=agency, signed_statement=signed))
        request = registry_pb2.ApproveAgencyRequest(name=agency.name, signed_statement=early)
        with pytest.raises(RefusedError) as caught:
            wang.call(wang.registry.ApproveAgency, request)
        assert caught.value.reason == "APPROVAL_INVALID"
        assert caught.value.details["later_than"] == canonical.decode(signed.statement)["time"]
        late = wang.registration("APPROVE", agency.name, document_hash)
        request = registry_pb2.ApproveAgencyRequest(name=agency.name, signed_statement=late)
        wang.call(wang.registry.ApproveAgency, request)


def test_document_is_read_by_those_who_sign_and_that_is_logged(place: Place, desk: RunningDesk) -> None:
    with desk.client(OFFICER) as officer:
        one = kit.enter(officer, kit.instrument())
    with desk.client("persons/wang") as wang:
        request = authorization_pb2.GetDocumentRequest(name=one.name)
        answer = wang.call(wang.authorizations.GetDocument, request)
    assert answer.document.body == kit.DOCUMENT
    assert (place.kinds()[-1], last(place.ledger)["how"]) == ("RECORDS_READ", "DOCUMENT")
    stored = [path.read_bytes() for path in place.folder.rglob("document")]
    assert stored
    assert not any(kit.DOCUMENT in data for data in stored), "kept encrypted"
