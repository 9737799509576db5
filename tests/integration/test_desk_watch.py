"""What happens beside the calls goes on whatever else stands still."""

import socket
import threading
import time
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from liucun.authorization.v1 import authorization_pb2

from infra.ledger.client import LedgerClient
from infra.platform.clock import SystemClock
from infra.platform.settings import ClickHouse, Ledger, Settings
from query_service.audit import Audit
from query_service.client import Client
from query_service.errors import AuditUnavailableError
from query_service.interceptors import refusals
from query_service.state import State
from query_service.store import Store
from tests.desk import OFFICER, RunningDesk
from tests.integration.test_desk_answers import a_long_answer
from tests.integration.test_desk_open_calls import channel, checked
from tests.ledgers import short_folder
from tests.pipeline import until
from tests.places import Place, reason


def test_store_that_stalls_holds_up_no_revocation(place: Place, desk: RunningDesk, officer: Client) -> None:
    """Whoever asks the store whether it is there waits for it, and nobody else."""
    one, lookup = a_long_answer(place, desk, officer)
    asked, on = threading.Event(), threading.Event()

    def stalls() -> bool:
        asked.set()
        return on.wait(60)

    place.store.answers = stalls  # type: ignore[method-assign]
    try:
        assert asked.wait(10)
        with desk.client(OFFICER, slow_reader=True) as reader:
            messages = reader.stream(lookup.name)
            next(messages)
            request = authorization_pb2.RevokeAuthorizationRequest(name=one.name, reason="withdrawn")
            officer.call(officer.authorizations.RevokeAuthorization, request)
            time.sleep(1.2)
            assert reason(lambda: list(messages)) in ("AUTHORIZATION_REVOKED", "CANCELLED")
        with channel(desk) as opened:
            until(lambda: checked(opened) == health_pb2.HealthCheckResponse.NOT_SERVING, 15)
            on.set()
            until(lambda: checked(opened) == health_pb2.HealthCheckResponse.SERVING, 10)
    finally:
        on.set()


def test_ledger_that_is_away_ends_streams(place: Place, desk: RunningDesk, officer: Client) -> None:
    """Nobody could learn of a revocation meanwhile."""
    _, lookup = a_long_answer(place, desk, officer)
    with desk.client(OFFICER, slow_reader=True) as reader:
        messages = reader.stream(lookup.name)
        next(messages)
        place.ledger.broken = True
        time.sleep(1.2)
        assert reason(lambda: list(messages)) in ("AUDIT_UNAVAILABLE", "CANCELLED")
        place.ledger.broken = False


def test_an_append_that_hangs_holds_up_no_revocation(
    place: Place, desk: RunningDesk, officer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, lookup = a_long_answer(place, desk, officer)
    append, asked, on = place.ledger.append, threading.Event(), threading.Event()

    def hangs(kind: str, actor: str, **members: Any) -> int:
        if kind == "REFUSALS_SUMMARY":
            asked.set()
            on.wait(60)
        return append(kind, actor, **members)

    place.ledger.append = hangs  # type: ignore[method-assign]
    monkeypatch.setattr(refusals, "SUMMARY_SECONDS", 0.0)
    try:
        with channel(desk) as opened, pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            opened.unary_unary("/x/y")(b"", timeout=5)
        assert asked.wait(10)
        with desk.client(OFFICER, slow_reader=True) as reader:
            messages = reader.stream(lookup.name)
            next(messages)
            request = authorization_pb2.RevokeAuthorizationRequest(name=one.name, reason="withdrawn")
            officer.call(officer.authorizations.RevokeAuthorization, request)
            time.sleep(1.2)
            assert reason(lambda: list(messages)) in ("AUTHORIZATION_REVOKED", "CANCELLED")
    finally:
        on.set()


def test_ledger_that_hangs_is_found_out_soon() -> None:
    """It takes the connection and never answers; and somebody else already waits for it, with more patience."""
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "read.sock"))
        silent.listen()
        settings = Ledger(read_socket=folder / "read.sock", append_socket=folder / "append.sock")
        client, state = LedgerClient(settings), State()
        audit = Audit(client, state)
        begun = time.monotonic()
        with pytest.raises(AuditUnavailableError):
            audit.learn_soon()

        def waits() -> None:
            with pytest.raises(AuditUnavailableError):
                audit.learn()

        patient = threading.Thread(target=waits)
        patient.start()
        time.sleep(0.1)
        with pytest.raises(AuditUnavailableError):
            audit.learn_soon()
        assert time.monotonic() - begun < 3
        patient.join(30)
        client.close()


def test_store_that_takes_the_connection_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(Settings(clickhouse=ClickHouse(port=silent.getsockname()[1])), SystemClock())
        begun = time.monotonic()
        assert not store.answers()
        assert time.monotonic() - begun < 15
        store.close()
