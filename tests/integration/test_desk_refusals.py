"""Every malformed or forbidden question, each with its reason, over real TLS; nothing leaks."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from liucun.authorization.v1 import authorization_pb2, scope_pb2
from liucun.lookup.v1 import lookup_pb2

from query_service.client import Client, RefusedError
from tests import desk as kit
from tests.desk import AGENCY, RunningDesk
from tests.places import ALICE, ask, reason

BAD_QUESTIONS = [
    (kit.selector("SENDER", "no address"), "selector"),
    (kit.selector("SENDER", "@example.org"), "selector"),
    (kit.selector("SENDER", "*@example.org"), "selector"),
    (kit.selector("SENDER", "a@b@c"), "selector"),
    (kit.selector("SENDER", "a@b\x00"), "selector"),
    (kit.selector("DOMAIN", "exa mple.org"), "selector"),
    (kit.selector("DOMAIN", "*.org"), "selector"),
    (kit.selector("IP", "300.1.1.1"), "selector"),
    (kit.selector("IP", "192.0.2.1/24"), "selector"),
    (kit.selector("IP", "10.0.0.0/8"), "selector"),
    (kit.selector("IP", "2001::/16"), "selector"),
    (kit.selector("IP", "192.0.2.0/99"), "selector"),
    (kit.selector("MESSAGE_ID", "<a b@c>"), "selector"),
    (kit.selector("MESSAGE_ID", "<a@c"), "selector"),
    (kit.selector("QUEUE_ID", "'; DROP TABLE envelope"), "selector"),
    (kit.selector("QUEUE_ID", "ABCDEF", host="a b"), "selector.host"),
    (kit.selector("SENDER", "a@example.org", host="mx1"), "selector.host"),
    (kit.selector("USER", "a b"), "selector"),
    (kit.selector("SENDER", "x" * 2000 + "@example.org"), "selector"),
    (scope_pb2.Selector(value="a@example.org"), "selector.kind"),
    (scope_pb2.Selector(kind=99, value="a@example.org"), "selector.kind"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("selector", "field"), BAD_QUESTIONS, ids=lambda value: repr(value)[:40])
def test_malformed_selector(
    clerk: Client, paper: authorization_pb2.Authorization, selector: scope_pb2.Selector, field: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        ask(clerk, paper, selector=selector)
    assert caught.value.reason == "REQUEST_INVALID"
    assert caught.value.details["field"] == f"lookup.{field}"
    assert selector.value not in str(caught.value), "what was asked for is not repeated"


def test_malformed_rest(clerk: Client, paper: authorization_pb2.Authorization) -> None:
    window = paper.scope.window
    backwards = scope_pb2.TimeWindow(start_time=window.end_time, end_time=window.start_time)
    for changes in ({"window": scope_pb2.TimeWindow()}, {"window": backwards}, {"max_records": -1}, {"disclosure": 77}):
        assert reason(lambda changes=changes: ask(clerk, paper, **changes)) == "REQUEST_INVALID"
    question = kit.question(paper, ALICE)
    assert reason(lambda: clerk.create_lookup(question, request_id="not a uuid")) == "REQUEST_INVALID"


def test_window_past_the_authorization(clerk: Client, paper: authorization_pb2.Authorization) -> None:
    begin = paper.scope.window.start_time.ToDatetime()
    end = paper.scope.window.end_time.ToDatetime()
    for window in (
        kit.window(begin - timedelta(microseconds=1), end),
        kit.window(begin, end + timedelta(microseconds=1)),
    ):
        with pytest.raises(RefusedError) as caught:
            ask(clerk, paper, window=window)
        assert (caught.value.reason, caught.value.details) == ("OUT_OF_SCOPE", {"part": "window"})


def test_instrument_whose_window_ends_after_its_issue(shared: RunningDesk, clerk: Client) -> None:
    """This system answers about the past."""
    one = kit.instrument()
    one.scope.window.end_time.FromDatetime(one.instrument.issue_time.ToDatetime() + timedelta(seconds=1))
    with pytest.raises(RefusedError) as caught:
        kit.enter(clerk, one)
    assert caught.value.reason == "POLICY_FORBIDS"
    assert "after the instrument's issue" in caught.value.details["rule"]


def test_instruments_that_the_policy_forbids(shared: RunningDesk, clerk: Client) -> None:
    long_scope = kit.instrument().scope
    long_scope.window.start_time.FromDatetime(kit.now() - timedelta(days=70))
    one_handler = kit.instrument()
    del one_handler.instrument.handlers[1:]
    future = kit.instrument()
    future.instrument.issue_time.FromDatetime(kit.now() + timedelta(hours=1))
    many = kit.instrument()
    many.scope.max_hits = 1_000_000
    cases = [
        (kit.instrument(legal_type="LEGAL_TYPE_FOREIGN_REQUEST"), "Data Security Law Art. 36"),
        (kit.instrument(legal_type="LEGAL_TYPE_COURT_ORDER"), ""),
        (kit.instrument(scope=long_scope), "Criminal Procedure Law"),
        (kit.instrument(timespan=kit.window(kit.now(), kit.now() + timedelta(days=31))), "Criminal Procedure Law"),
        (one_handler, "Criminal Procedure Law"),
        (future, "Criminal Procedure Law"),
        (many, "Criminal Procedure Law"),
    ]
    for one, basis in cases:
        with pytest.raises(RefusedError) as caught:
            kit.enter(clerk, one)
        assert caught.value.reason == "POLICY_FORBIDS"
        assert basis in caught.value.details.get("basis", "")


def test_malformed_instruments(clerk: Client) -> None:
    cases: list[tuple[str, Any]] = [
        ("document.sha256", {"document": authorization_pb2.Document(sha256="x")}),
        ("authorization.document.sha256", {"document": authorization_pb2.Document(sha256="a" * 64, body=b"else")}),
        ("scope.selectors", {"scope": scope_pb2.Scope(max_hits=1)}),
        ("legal_type", {"legal_type": 0}),
        ("instrument.handlers", {"instrument": authorization_pb2.Instrument()}),
        ("timespan.start_time", {"timespan": scope_pb2.TimeWindow()}),
    ]
    for field, changes in cases:
        with pytest.raises(RefusedError) as caught:
            kit.enter(clerk, kit.instrument(**changes))
        assert (caught.value.reason, caught.value.details["field"]) == ("REQUEST_INVALID", field)


def test_page_tokens_and_cursors(clerk: Client, paper: authorization_pb2.Authorization) -> None:
    one, another = ask(clerk, paper), ask(clerk, paper)

    def page(parent: str, size: int, token: str) -> lookup_pb2.ListRecordsResponse:
        request = lookup_pb2.ListRecordsRequest(parent=parent, page_size=size, page_token=token)
        answer: lookup_pb2.ListRecordsResponse = clerk.call(clerk.lookups.ListRecords, request)
        return answer

    token = page(one.name, 10, "").next_page_token
    assert page(one.name, 10, token).records[0].record_number == 11
    cursor = next(iter(clerk.stream(one.name))).records.cursor
    for parent, size, wrong in (
        (another.name, 10, token),
        (one.name, 11, token),
        (one.name, 10, cursor),
        (one.name, 10, token[:-2] + "AA"),
        (one.name, 10, "not a token"),
        (one.name, 10, "é"),
    ):
        assert reason(lambda: page(parent, size, wrong)) == "PAGE_TOKEN_INVALID"  # noqa: B023
    assert reason(lambda: list(clerk.stream(one.name, cursor=token))) == "PAGE_TOKEN_INVALID"
    assert reason(lambda: list(clerk.stream(another.name, cursor=cursor))) == "PAGE_TOKEN_INVALID"
    assert reason(lambda: page(one.name, -1, "")) == "REQUEST_INVALID"


def test_roles(shared: RunningDesk, paper: authorization_pb2.Authorization, clerk: Client) -> None:
    """An electronic instrument is the agency's own to ask under; nobody of the provider looks."""
    with shared.client("persons/li") as operator, shared.client("persons/wang") as reviewer:
        assert reason(lambda: ask(operator, paper)) == "PERMISSION_MISSING"
        assert reason(lambda: ask(reviewer, paper)) == "PERMISSION_MISSING"
        assert reason(lambda: kit.enter(operator, kit.instrument())) == "PERMISSION_MISSING"
    assert reason(lambda: clerk.approve(paper)) == "PERMISSION_MISSING"


def test_names_that_are_none(clerk: Client) -> None:
    for name in ("", "../x", f"{AGENCY}/lookups/../../x", f"{AGENCY}/lookups/A", f"{AGENCY}/lookups/" + "a" * 100, "%"):
        request = lookup_pb2.GetLookupRequest(name=name)
        assert reason(lambda request=request: clerk.call(clerk.lookups.GetLookup, request)) == "NOT_FOUND"


def test_too_large_and_unknown(clerk: Client, shared: RunningDesk) -> None:
    """What the library refuses by itself: it never reaches a handler."""
    huge = kit.instrument()
    huge.document.body = b"x" * (shared.settings.server.message_bytes_max + 1)
    assert reason(lambda: kit.enter(clerk, huge)) == "RESOURCE_EXHAUSTED"
    unknown = clerk._channel.unary_unary("/liucun.lookup.v1.LookupService/DropTable")
    assert reason(lambda: clerk.call(unknown, b"")) == "UNIMPLEMENTED"


def test_hits_are_used_up(shared: RunningDesk, clerk: Client) -> None:
    scope = kit.instrument().scope
    scope.max_hits = 30
    one = kit.approved(shared, scope=scope)
    assert ask(clerk, one).record_count == 25
    last_five = ask(clerk, one)
    assert (last_five.record_count, last_five.truncated) == (5, True)
    for disclosure in ("RECORDS", "COUNT", "EXISTENCE"):
        assert reason(lambda: ask(clerk, one, disclosure=f"DISCLOSURE_{disclosure}")) == "HITS_EXHAUSTED"  # noqa: B023
    assert kit.fetched(clerk, one.name).hits_used == 30


def test_the_same_request_id(clerk: Client, paper: authorization_pb2.Authorization, memory: kit.MemoryLedger) -> None:
    identifier = str(uuid.uuid4())
    first = clerk.create_lookup(kit.question(paper, ALICE), request_id=identifier)
    size = len(memory.entries)
    assert clerk.create_lookup(kit.question(paper, ALICE), request_id=identifier.upper()).name == first.name
    assert len(memory.entries) == size, "nothing is run twice"
    other = kit.question(paper, kit.selector("RECIPIENT", "alice@example.org"))
    assert reason(lambda: clerk.create_lookup(other, request_id=identifier)) == "REQUEST_ID_REUSED"


def test_before_and_after_the_time_of_an_instrument(shared: RunningDesk, clerk: Client) -> None:
    soon = kit.window(kit.now() + timedelta(hours=1), kit.now() + timedelta(hours=2))
    assert reason(lambda: ask(clerk, kit.approved(shared, timespan=soon))) == "AUTHORIZATION_EXPIRED"


def test_window_of_which_nothing_is_kept(shared: RunningDesk, clerk: Client) -> None:
    scope = kit.instrument().scope
    scope.window.CopyFrom(kit.window(kit.now() - timedelta(days=100), kit.now() - timedelta(days=61)))
    one = kit.approved(shared, scope=scope)
    assert reason(lambda: ask(clerk, one)) == "OUTSIDE_RETENTION"
    scope.window.CopyFrom(kit.window(kit.now() - timedelta(days=80), kit.now() - timedelta(days=50)))
    partly = ask(clerk, kit.approved(shared, scope=scope))
    assert partly.answered_window.start_time.ToDatetime() > partly.window.start_time.ToDatetime()
    assert partly.answered_window.end_time == partly.window.end_time
