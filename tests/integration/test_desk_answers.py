"""What a desk answers and when: the order of entries, pages and streams, restarts, limits, health.

The ledger is in memory and the store is made up here; test_desk.py has the real ones.
"""

import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2

from infra.platform.clock import DAY
from infra.proof import requests
from query_service.client import Client
from query_service.hops import Hop
from query_service.records import document_of
from query_service.state import State
from query_service.wire import field_groups
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.pipeline import until
from tests.places import ALICE, Place, ask, cancel, create, entry_of, last, reason, revoke_agency, revoke_person


def test_order_of_entries_and_reads(place: Place, desk: RunningDesk, officer: Client) -> None:
    """Intent before the first row; segment and outcome before the answer; reading before the records."""
    one = kit.approved(desk)
    lookup = ask(officer, one)
    assert place.store.before_first_row[-1] == "LOOKUP_INTENT"
    assert place.kinds()[-3:] == ["LOOKUP_INTENT", "LOOKUP_SEGMENT", "LOOKUP_OUTCOME"]
    intent = place.ledger.entries[lookup.intent_ledger_index].payload
    assert intent is not None
    assert intent["query_id"] == f"liucun-{lookup.name.rpartition('/')[2]}"
    assert intent["approvals"] == [one.approval_details[0].ledger_index, one.approval_details[1].ledger_index]
    assert next(officer.records(lookup.name)).record_number == 1
    assert place.kinds()[-1] == "RECORDS_READ"


def test_pages_and_streams_are_the_same_bytes_and_lead_to_the_root(desk: RunningDesk, officer: Client) -> None:
    lookup = ask(officer, kit.approved(desk))
    first = [record.SerializeToString() for record in officer.records(lookup.name, page_size=7)]
    again = [record.SerializeToString() for record in officer.records(lookup.name, page_size=25)]
    messages = list(officer.stream(lookup.name))
    streamed = [record for message in messages for record in message.records.records]
    assert first == again == [record.SerializeToString() for record in streamed]
    assert [message.WhichOneof("item") for message in messages][-1] == "done"
    groups = field_groups(lookup.field_groups, "field_groups")
    hashes = [requests.record_hash(document_of(record, groups)) for record in streamed]
    assert requests.segment_root(hashes) == lookup.segments[0].root
    outcome = entry_of(desk, lookup.outcome_ledger_index)
    assert outcome["root"] == requests.outcome_root([lookup.segments[0].root])


def test_stream_goes_on_from_a_cursor(desk: RunningDesk, officer: Client) -> None:
    lookup = ask(officer, kit.approved(desk))
    with desk.client(OFFICER) as other:
        everything = [r for m in other.stream(lookup.name) for r in m.records.records]
    cursor = next(iter(officer.stream(lookup.name))).records.cursor
    rest = list(officer.stream(lookup.name, cursor=cursor))
    assert [message.WhichOneof("item") for message in rest] == ["done"]
    assert len(everything) == rest[0].done.record_count == 25


def test_only_granted_fields_leave_and_are_read(place: Place, desk: RunningDesk, officer: Client) -> None:
    scope = kit.instrument().scope
    del scope.field_groups[:]
    lookup = ask(officer, kit.approved(desk, scope=scope))
    record = next(officer.records(lookup.name))
    assert record.envelope.sender == "s@example.net"
    assert not record.envelope.HasField("sender_ip")
    assert not record.envelope.HasField("agent_id")
    assert "sender_ip" not in place.store.questions[-1].fields


def test_counts_and_existence(place: Place, desk: RunningDesk, officer: Client) -> None:
    one = kit.approved(desk)
    counted = ask(officer, one, disclosure="DISCLOSURE_COUNT")
    assert (counted.record_count, len(counted.segments)) == (25, 0)
    assert set(place.store.questions[-1].fields) == set(Hop._fields), "ids, and what joins hops"
    exists = ask(officer, one, disclosure="DISCLOSURE_EXISTENCE")
    assert (exists.record_count, exists.truncated) == (1, False)
    assert kit.fetched(officer, one.name).hits_used == 26, "counts draw on the same budget"
    assert list(officer.records(counted.name)) == []


def test_validation_is_logged_and_reads_nothing(place: Place, desk: RunningDesk, officer: Client) -> None:
    one = kit.approved(desk)
    allowed = officer.create_lookup(kit.question(one, ALICE), validate_only=True)
    assert (allowed.name, place.store.questions) == ("", [])
    assert place.kinds()[-2:] == ["LOOKUP_INTENT", "LOOKUP_OUTCOME"]
    assert officer.call(officer.lookups.ListLookups, lookup_pb2.ListLookupsRequest(parent=AGENCY)).lookups == []


# Streams.


@pytest.mark.parametrize("what", ["authorization", "agency", "cancel", "clock"])
def test_stream_ends_within_a_second_or_two(place: Place, desk: RunningDesk, officer: Client, what: str) -> None:
    """Revoked, cancelled or expired while a slow reader reads: it gets the reason, and no `done`."""
    one, lookup = a_long_answer(place, desk, officer)
    with desk.client(OFFICER, slow_reader=True) as reader:
        messages = reader.stream(lookup.name)
        next(messages)
        if what == "authorization":
            request = authorization_pb2.RevokeAuthorizationRequest(name=one.name, reason="withdrawn")
            officer.call(officer.authorizations.RevokeAuthorization, request)
        elif what == "agency":
            revoke_agency(desk)
        elif what == "cancel":
            cancel(officer, lookup.name)
        else:
            place.clock.by = 100 * DAY
        time.sleep(1.2)
        expected = {
            "authorization": "AUTHORIZATION_REVOKED", "agency": "NOT_ENROLLED", "cancel": "LOOKUP_CANCELLED",
            "clock": "CERTIFICATE_INVALID",
        }  # fmt: skip
        assert reason(lambda: list(messages)) in (expected[what], "CANCELLED")


def a_long_answer(
    place: Place, desk: RunningDesk, officer: Client
) -> tuple[authorization_pb2.Authorization, lookup_pb2.Lookup]:
    """Some megabytes of records."""
    place.store.count = 10_000
    scope = kit.instrument().scope
    scope.max_hits = 50_000
    one = kit.approved(desk, scope=scope)
    return one, ask(officer, one)


def test_stream_that_nobody_reads_is_ended(place: Place, desk: RunningDesk, officer: Client) -> None:
    _, lookup = a_long_answer(place, desk, officer)
    with desk.client(OFFICER, slow_reader=True) as reader:
        messages = reader.stream(lookup.name)
        next(messages)
        time.sleep(desk.settings.server.stream_idle_seconds_max + 3)
        assert reason(lambda: list(messages)) in ("STREAM_IDLE", "CANCELLED")


# Ends, limits, health, restart.


def test_records_end_with_their_days(place: Place, desk: RunningDesk, officer: Client) -> None:
    lookup = ask(officer, kit.approved(desk))
    place.clock.by = 31 * DAY
    assert reason(lambda: list(officer.records(lookup.name))) == "LOOKUP_EXPIRED"
    found = officer.call(officer.lookups.GetLookup, lookup_pb2.GetLookupRequest(name=lookup.name)).lookup
    assert found.state == lookup_pb2.Lookup.STATE_EXPIRED


def test_rate_limit_and_its_advice(place: Place, tmp_path: Path) -> None:
    with place.running(calls_per_second_max=1, calls_burst_max=8) as desk:
        place.world.enrol(desk, place.world.agency())
        with desk.client(OFFICER) as officer:
            reasons = [reason(lambda: kit.fetched(officer, f"{AGENCY}/authorizations/x")) for _ in range(12)]
    assert reasons[0] == "NOT_FOUND"
    assert reasons[-1] == "RATE_LIMITED"
    assert last(place.ledger)["reason"] == "RATE_LIMITED"


def test_refusals_beyond_the_limit_are_counted(place: Place) -> None:
    with place.running(refusals_per_minute_max=5) as desk:
        place.world.enrol(desk, place.world.agency())
        with desk.client(OFFICER) as officer:
            for _ in range(9):
                assert reason(lambda: kit.fetched(officer, f"{AGENCY}/authorizations/x")) == "NOT_FOUND"
    summary = last(place.ledger)
    assert summary["kind"] == "REFUSALS_SUMMARY", "told at the latest when the service stops"
    told = sum(one["count"] for one in summary["counts"])
    assert place.kinds().count("REFUSED") + told == 9
    assert summary["counts"][0]["caller"] == OFFICER


def test_health_follows_ledger_and_store(place: Place, desk: RunningDesk) -> None:
    credentials = grpc.ssl_channel_credentials(
        place.world.authority.certificate_pem,
        place.world.identity(OFFICER).key_pem,
        place.world.identity(OFFICER).certificate_pem,
    )
    with grpc.secure_channel(f"127.0.0.1:{desk.settings.server.port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        def serving() -> bool:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        until(serving, 10)
        place.ledger.broken = True
        until(lambda: not serving(), 10)
        place.ledger.broken = False
        until(serving, 10)
        place.store.answers = lambda: False  # type: ignore[method-assign]
        until(lambda: not serving(), 10)
        reflection = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            next(reflection(iter([b""]), timeout=5))


def test_a_rebuilt_projection_is_the_same(place: Place) -> None:
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        with desk.client(OFFICER) as officer:
            lookup = ask(officer, one)
            cancel(officer, ask(officer, one).name)
            reason(lambda: ask(officer, one, selector=kit.selector("SENDER", "eve@example.org")))
            kit.enter(officer, kit.instrument())
        revoke_person(desk, "persons/li")
    whole, by_one = State(), State()
    whole.catch_up(place.ledger)
    entries = list(place.ledger.entries)
    for size in range(1, len(entries) + 1):
        place.ledger.entries = entries[:size]
        by_one.catch_up(place.ledger)
    assert by_one.dump() == whole.dump()
    assert whole.applied_index == place.ledger.size()
    whole.close()
    by_one.close()
    with place.running() as desk, desk.client(OFFICER) as officer:
        assert len(list(officer.records(lookup.name))) == 25, "segments and keys are no part of it"


def test_token_used_before_a_restart(place: Place) -> None:
    """The ledger's entries remember it."""
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        with desk.client(OFFICER) as officer:
            token = officer.token()
            create(officer, one, token)
    with place.running() as desk, desk.client(OFFICER) as officer:
        assert reason(lambda: create(officer, one, token)) == "TOKEN_REPLAYED"


def test_intent_without_an_outcome_is_closed_at_the_next_start(place: Place) -> None:
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        with desk.client(OFFICER) as officer:
            lookup = ask(officer, one)
    for index in (lookup.outcome_ledger_index, lookup.segments[0].ledger_index):  # as if killed behind the intent
        del place.ledger.entries[index]
    place.ledger.entries[lookup.intent_ledger_index + 1 :] = []
    with place.running() as desk, desk.client(OFFICER) as officer:
        until(lambda: place.kinds()[-2:] == ["SERVICE_STARTED", "LOOKUP_OUTCOME"], 10)
        found = officer.call(officer.lookups.GetLookup, lookup_pb2.GetLookupRequest(name=lookup.name)).lookup
        assert (found.state, found.status_reason) == (lookup_pb2.Lookup.STATE_ERROR, "ABORTED")
        assert kit.fetched(officer, one.name).hits_used == 0
    assert place.kinds().count("LOOKUP_OUTCOME") == 1
