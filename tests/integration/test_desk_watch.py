"""What happens beside the calls goes on whatever else stands still."""

import socket
import threading
import time

from grpc_health.v1 import health_pb2
from liucun.authorization.v1 import authorization_pb2

from infra.platform.clock import SystemClock
from infra.platform.settings import ClickHouse, Settings
from query_service.client import Client
from query_service.store import Store
from tests.desk import OFFICER, RunningDesk
from tests.integration.test_desk_answers import a_long_answer
from tests.integration.test_desk_open_calls import channel, checked
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


def test_store_that_takes_the_connection_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(Settings(clickhouse=ClickHouse(port=silent.getsockname()[1])), SystemClock())
        begun = time.monotonic()
        assert not store.answers()
        assert time.monotonic() - begun < 15
        store.close()
