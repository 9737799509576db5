"""Ledger and store that fail at a chosen moment, callers who go away: nothing is answered that is not recorded."""

import threading
from typing import Any

import pytest
from liucun.lookup.v1 import lookup_pb2

from query_service.client import Client
from query_service.errors import DeskError
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.pipeline import until
from tests.places import Place, ask, cancel, last, reason


def test_without_the_ledger_nothing_is_answered(place: Place, desk: RunningDesk, officer: Client) -> None:
    one = kit.approved(desk)
    lookup = ask(officer, one)
    asked = len(place.store.questions)
    for broken in ("broken", "full"):
        setattr(place.ledger, broken, True)
        size = len(place.ledger.entries)
        for work in (
            lambda: ask(officer, one),
            lambda: list(officer.records(lookup.name)),
            lambda: list(officer.stream(lookup.name)),
            lambda: kit.enter(officer, kit.instrument()),
            lambda: ask(officer, one, selector=kit.selector("SENDER", "eve@example.org")),  # not even the refusal
        ):
            assert reason(work) == "AUDIT_UNAVAILABLE"
        assert len(place.ledger.entries) == size
        setattr(place.ledger, broken, False)
    assert len(place.store.questions) == asked, "the store was not even asked"
    assert ask(officer, one).record_count == 25


@pytest.mark.parametrize("kind", ["LOOKUP_SEGMENT", "LOOKUP_OUTCOME"])
def test_ledger_that_fails_in_the_middle(place: Place, desk: RunningDesk, officer: Client, kind: str) -> None:
    """Nothing is answered; when the ledger is back, the intent is closed, and what was sealed is destroyed."""
    one = kit.approved(desk)
    append = place.ledger.append

    def fails(appended: str, actor: str, **members: Any) -> int:
        if appended == kind and members.get("status_reason", "") == "":
            place.ledger.full = True
        return append(appended, actor, **members)

    place.ledger.append = fails  # type: ignore[method-assign]
    assert reason(lambda: ask(officer, one)) == "AUDIT_UNAVAILABLE"
    place.ledger.append = append  # type: ignore[method-assign]
    place.ledger.full = False
    until(lambda: place.kinds()[-1] == "LOOKUP_OUTCOME", 10)
    assert (last(place.ledger)["outcome"], last(place.ledger)["status_reason"]) == ("ABORTED", "ABORTED")
    listed = officer.call(officer.lookups.ListLookups, lookup_pb2.ListLookupsRequest(parent=AGENCY)).lookups
    assert [(found.state, found.status_reason) for found in listed] == [(lookup_pb2.Lookup.STATE_ERROR, "ABORTED")]
    assert reason(lambda: list(officer.records(listed[0].name))) == "STATE_CONFLICT"
    assert list((place.folder / "query" / "segments").glob("*")) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DeskError("STORE_UNAVAILABLE"), "STORE_UNAVAILABLE"),
        (DeskError("RESULT_TOO_LARGE"), "RESULT_TOO_LARGE"),
        (RuntimeError("secret of a driver"), "FAULT"),
    ],
)
def test_store_that_fails_in_the_middle(
    place: Place, desk: RunningDesk, officer: Client, error: Exception, expected: str
) -> None:
    one = kit.approved(desk)
    place.store.error, place.store.error_at = error, 12
    with pytest.raises(Exception, match=expected) as caught:
        ask(officer, one)
    assert "secret" not in str(caught.value)
    outcome = last(place.ledger)
    assert (outcome["kind"], outcome["outcome"], outcome["status_reason"]) == ("LOOKUP_OUTCOME", "ABORTED", expected)
    assert place.kinds().count("REFUSED") == 0, "one entry says it"
    place.store.error = None
    assert ask(officer, one).record_count == 25


def test_more_records_than_a_segment(place: Place, desk: RunningDesk, officer: Client) -> None:
    place.store.count = 20_001
    scope = kit.instrument().scope
    scope.max_hits = 50_000
    lookup = ask(officer, kit.approved(desk, scope=scope))
    assert [segment.record_count for segment in lookup.segments] == [10_000, 10_000, 1]
    messages = list(officer.stream(lookup.name))
    numbers = [record.record_number for message in messages for record in message.records.records]
    assert numbers == list(range(1, 20_002))
    assert {message.WhichOneof("item") for message in messages} == {"records", "progress", "done"}
    assert max(len(message.records.records) for message in messages) <= desk.settings.server.stream_batch_records_max


def test_caller_who_goes_away_kills_the_query(place: Place, desk: RunningDesk) -> None:
    one = kit.approved(desk)
    place.store.hold.clear()
    with desk.client(OFFICER, seconds=0.7) as impatient:
        assert reason(lambda: ask(impatient, one)) == "DEADLINE_EXCEEDED"
    until(lambda: place.kinds()[-1] == "LOOKUP_OUTCOME", 10)
    assert last(place.ledger)["status_reason"] == "LOOKUP_CANCELLED"
    (killed,) = place.store.killed
    assert killed.startswith("liucun-")


def test_cancel_while_it_runs_and_afterwards(place: Place, desk: RunningDesk, officer: Client) -> None:
    one = kit.approved(desk)
    place.store.hold.clear()
    reasons: list[str] = []
    thread = threading.Thread(target=lambda: reasons.append(reason(lambda: ask(officer, one))))
    thread.start()
    until(lambda: bool(place.store.questions), 10)
    running = officer.call(officer.lookups.ListLookups, lookup_pb2.ListLookupsRequest(parent=AGENCY)).lookups[0]
    assert running.state == lookup_pb2.Lookup.STATE_AWAITING_DISCLOSURE
    cancel(officer, running.name)
    thread.join(10)
    assert (reasons, len(place.store.killed)) == (["LOOKUP_CANCELLED"], 1)
    place.store.hold.set()
    finished = ask(officer, one)
    assert cancel(officer, finished.name).state == lookup_pb2.Lookup.STATE_CANCELLED
    assert reason(lambda: list(officer.records(finished.name))) == "LOOKUP_CANCELLED"
    assert reason(lambda: cancel(officer, finished.name)) == "STATE_CONFLICT"
