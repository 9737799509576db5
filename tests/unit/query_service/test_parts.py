"""Small parts of the service: its certificate's files, its locks."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.platform.settings import Server
from query_service import credentials
from query_service.desk import Desk


def test_certificate_that_could_not_be_read_once_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time does not change any more once it is whole."""
    paths = [tmp_path / name for name in ("server.pem", "server.key", "ca.pem")]
    for path in paths:
        path.write_bytes(b"x")
    taken: list[Any] = []
    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", lambda _first, newer, **_: taken.append(newer))
    server = Server(certificate_file=paths[0], key_file=paths[1], client_ca_file=paths[2])
    credentials.credentials(server)
    (newer,) = taken
    assert newer() is None
    read = credentials._configuration
    time.sleep(0.02)
    paths[0].write_bytes(b"y")

    def fails(*_paths: Path) -> Any:
        raise OSError

    monkeypatch.setattr(credentials, "_configuration", fails)
    assert newer() is None
    monkeypatch.setattr(credentials, "_configuration", read)
    assert newer() is not None
    assert newer() is None


def test_an_agency_has_one_lock_whoever_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made = threading.RLock

    def slowly() -> Any:
        time.sleep(0.05)
        return made()

    monkeypatch.setattr(threading, "RLock", slowly)
    desk = Desk(*[None] * 8)  # type: ignore[arg-type]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(desk.of_agency, ["agencies/x"] * 4))
    assert len({id(one) for one in found}) == 1
