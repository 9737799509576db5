"""Calls that are held open, and bytes that are no request: they stop nobody, and leave their entry or are counted."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from liucun.lookup.v1 import lookup_pb2

from query_service.client import Client, refused
from query_service.interceptors import receive, refusals
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.pipeline import until
from tests.places import Place, last, reason

GET = "/liucun.lookup.v1.LookupService/GetLookup"
STREAM = "/liucun.lookup.v1.LookupService/StreamRecords"
CHECK = "/grpc.health.v1.Health/Check"


@contextmanager
def channel(desk: RunningDesk, name: str = OFFICER, **options: int) -> Iterator[grpc.Channel]:
    """A connection with somebody's certificate, and nothing else of theirs."""
    who = desk.world.identity(name)
    credentials = grpc.ssl_channel_credentials(desk.world.authority.certificate_pem, who.key_pem, who.certificate_pem)
    given = [(f"grpc.{option}", value) for option, value in options.items()]
    with grpc.secure_channel(f"127.0.0.1:{desk.settings.server.port}", credentials, given) as opened:
        yield opened


@contextmanager
def half_open(opened: grpc.Channel, *methods: str, token: str = "") -> Iterator[list[Any]]:
    """Calls of which only the headers are sent."""
    stop = threading.Event()

    def nothing() -> Iterator[bytes]:
        stop.wait(60)
        yield from ()

    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    calls = [opened.stream_stream(method)(nothing(), metadata=metadata, timeout=60) for method in methods]
    time.sleep(0.5)
    try:
        yield calls
    finally:
        stop.set()
        for call in calls:
            call.cancel()


def listed(client: Client) -> None:
    client.call(client.lookups.ListLookups, lookup_pb2.ListLookupsRequest(parent=AGENCY))


def checked(opened: grpc.Channel) -> int:
    status: int = health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=5).status
    return status


def test_watchers_that_do_not_read_stop_nothing(place: Place, desk: RunningDesk, officer: Client) -> None:
    """Health is asked for, not watched: whoever has a certificate could hold up the thread that ends streams."""
    with channel(desk, **{"http2.bdp_probe": 0, "http2.lookahead_bytes": 5}) as opened:
        watchers = [health_pb2_grpc.HealthStub(opened).Watch(health_pb2.HealthCheckRequest()) for _ in range(40)]
        time.sleep(3)
        for watcher in watchers[1:]:
            watcher.cancel()
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            next(watchers[0])
    listed(officer)
    with channel(desk, use_local_subchannel_pool=1) as opened:
        until(lambda: checked(opened) == health_pb2.HealthCheckResponse.SERVING, 5)
        place.ledger.broken = True
        until(lambda: checked(opened) == health_pb2.HealthCheckResponse.NOT_SERVING, 5)
        place.ledger.broken = False


def test_headers_without_a_request_and_token_hold_no_worker(desk: RunningDesk, officer: Client) -> None:
    """More of them than there are workers, and than calls at once."""
    methods = [GET, STREAM, CHECK] * 30
    with channel(desk) as opened, half_open(opened, *methods) as calls:
        begun = time.monotonic()
        for _ in range(5):
            listed(officer)
        assert time.monotonic() - begun < 3
        for method, call in zip(methods, calls, strict=True):
            if method == CHECK:
                assert next(call) is not None
            else:
                with pytest.raises(grpc.RpcError) as caught:
                    next(call)
                assert refused(caught.value).reason == "TOKEN_MISSING"


def test_headers_without_a_request_of_a_known_caller(
    place: Place, desk: RunningDesk, officer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of them wait, for a time; others of the same caller are refused; nobody else notices."""
    monkeypatch.setattr(receive, "REQUEST_SECONDS_MAX", 2.0)
    most = desk.settings.server.calls_running_max
    with (
        channel(desk) as opened,
        half_open(opened, *[GET] * (most + 30), token=officer.token()) as calls,
        desk.client("persons/li") as other,
    ):
        begun = time.monotonic()
        listed(other)
        assert time.monotonic() - begun < 2
        reasons = []
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
            reasons.append(refused(caught.value).reason)
        assert time.monotonic() - begun < 8
    assert sorted(reasons) == sorted(["RATE_LIMITED"] * 30 + ["CANCELLED"] * most)
    until(lambda: told(place.ledger) == {"RATE_LIMITED": 30, "DEADLINE_EXCEEDED": most}, 5)
    listed(officer)


def told(ledger: kit.MemoryLedger) -> Counter[str]:
    """The refusals in the ledger, by reason."""
    return Counter(entry.payload["reason"] for entry in ledger.entries if entry.payload and entry.kind == "REFUSED")


def test_bytes_that_are_no_request_leave_an_entry(place: Place, desk: RunningDesk, officer: Client) -> None:
    calls = (
        (GET, b"\xff\xff\xff", "REQUEST_INVALID"),
        (STREAM, b"\xff\xff\xff", "REQUEST_INVALID"),
        (GET, b"x" * (desk.settings.server.message_bytes_max + 1), "RESOURCE_EXHAUSTED"),
    )
    with channel(desk) as opened:
        for method, data, expected in calls:
            size = len(place.ledger.entries)
            metadata = (("authorization", f"Bearer {officer.token()}"),)
            with pytest.raises(grpc.RpcError) as caught:
                next(opened.unary_stream(method)(data, metadata=metadata, timeout=5))
            assert refused(caught.value).reason == expected
            until(lambda size=size: len(place.ledger.entries) == size + 1, 5)
            entry = last(place.ledger)
            assert (entry["kind"], entry["actor"], entry["method"]) == ("REFUSED", OFFICER, method.rpartition("/")[2])


def test_no_request_at_all(desk: RunningDesk, officer: Client) -> None:
    with channel(desk) as opened:
        metadata = (("authorization", f"Bearer {officer.token()}"),)
        with pytest.raises(grpc.RpcError) as caught:
            next(opened.stream_stream(GET)(iter([]), metadata=metadata, timeout=5))
    assert refused(caught.value).reason == "REQUEST_INVALID"


def test_methods_that_there_are_not_are_counted(
    place: Place, desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with channel(desk) as opened:
        for method in ("/liucun.lookup.v1.LookupService/Nope", "/x/y", "/x/y"):
            with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
                opened.unary_unary(method)(b"", timeout=5)
    monkeypatch.setattr(refusals, "SUMMARY_SECONDS", 0.0)
    until(lambda: last(place.ledger)["kind"] == "REFUSALS_SUMMARY", 10)
    assert last(place.ledger)["counts"] == [{"method": "", "reason": "METHOD_UNKNOWN", "caller": "", "count": 3}]


def test_what_a_known_caller_may_not_call_is_told_with_the_request(place: Place, desk: RunningDesk) -> None:
    """The kind of caller is judged behind the request's arrival, so that an auditor sees what was wanted."""
    with desk.client("persons/wang") as reviewer:
        request = lookup_pb2.ListRecordsRequest(parent=f"{AGENCY}/lookups/x")
        assert reason(lambda: reviewer.call(reviewer.lookups.ListRecords, request)) == "PERMISSION_MISSING"
    assert "lookups/x" in last(place.ledger)["request"]
    assert kit.AGENCY in last(place.ledger)["request"]
