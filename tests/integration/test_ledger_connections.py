"""Connections have bounds, for each user."""

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from infra.ledger import users
from infra.ledger.client import LedgerUnavailableError
from tests.conftest import missing
from tests.integration.test_ledger import NOBODY, as_user, raw
from tests.ledgers import RunningLedger, ledger_settings
from tests.pipeline import until


def test_connections_have_a_bound(ledger: RunningLedger) -> None:
    from infra.ledger.door import CONNECTIONS_MAX

    held = []
    for _ in range(CONNECTIONS_MAX):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(ledger.settings.append_socket))
        held.append(connection)
    until(lambda: json.loads(raw(ledger.settings.append_socket, b"")[4:])["reason"] == "TOO_MANY_CONNECTIONS")
    with pytest.raises(LedgerUnavailableError):
        ledger.client(request_timeout_seconds=0.3).append("REFUSED", "services/query")
    for connection in held:
        connection.close()
    assert ledger.client().append("REFUSED", "services/query") == 1


@pytest.mark.parametrize("named", [False, True])
def test_nobody_takes_the_connections_of_another_user(ledger_folder: Path, named: bool) -> None:
    """Neither who has no right at all, nor a person whose program has run wild."""
    if os.geteuid() != 0:
        missing("root, to speak as another user")
    ledger = RunningLedger(ledger_folder, read_uids=[NOBODY] if named else [])
    ledger.start()
    client = ledger.client(request_timeout_seconds=2)

    def flood() -> bytes:
        held = []
        for _ in range(300):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(ledger.settings.append_socket))
            held.append(connection)
        os.write(told, b"x")
        time.sleep(0.7)  # less than a refused connection is kept
        return b"held"

    heard, told = os.pipe()
    flooding = threading.Thread(target=as_user, args=(NOBODY, flood))
    flooding.start()
    assert os.read(heard, 1) == b"x"
    started = time.monotonic()
    assert client.append("REFUSED", "services/query") == 1
    assert time.monotonic() - started < 0.5
    flooding.join()


def test_a_person_is_no_service() -> None:
    settings = ledger_settings(Path("/x"), read_uids=[7, 8], reveal_uids=[9], query_uids=[8], ops_uids=[10])
    assert users.Users(settings).people == {7, 9}
