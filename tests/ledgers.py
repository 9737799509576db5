"""A real ledger for tests: three persons, a genesis that they signed, `liucun ledger run` as a process, and its client."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.ledger import init
from infra.ledger.client import LedgerClient, LedgerUnavailableError
from infra.ledger.init import Person
from infra.platform.clock import SystemClock
from infra.platform.settings import Ledger
from tests.pipeline import LIUCUN, Program, ledger_section

PERSONS = {"li": ("preparer", "operator"), "wang": ("reviewer",), "zhao": ("legal", "auditor")}
# Fixed seeds: the same three persons in every test.
KEYS = {name: Ed25519PrivateKey.from_private_bytes(bytes([at]) * 32) for at, name in enumerate(PERSONS, 1)}


def ledger_settings(home: Path, **changes: Any) -> Ledger:
    """Settings of a ledger below `home`, whose path must be short: sockets lie there."""
    given: dict[str, Any] = {
        "folder": home / "ledger",
        "keys_dir": home / "keys",
        "append_socket": home / "a.sock",
        "read_socket": home / "r.sock",
        "request_timeout_seconds": 10,
    }
    return Ledger(**(given | changes))


def make_ledger(settings: Ledger, term_days: int = 1096) -> None:
    """Genesis, three signatures, init."""
    people = [Person(f"persons/{n}", n, r, KEYS[n].public_key().public_bytes_raw()) for n, r in PERSONS.items()]
    found = init.new(settings, SystemClock(), "cn-1", term_days, people)
    for name, key in KEYS.items():
        found = init.sign(found, f"persons/{name}", key)
    init.init(settings, SystemClock(), found)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for sockets (107 bytes), and that other users may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="liucun-", dir=os.environ.get("LIUCUN_SHORT_TMP", "/tmp")))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class RunningLedger:
    """`liucun ledger run` on a ledger of its own. What a test leaves running is ended behind it (conftest)."""

    made: ClassVar[list["RunningLedger"]] = []

    def __init__(self, home: Path, **changes: Any) -> None:
        """Make the ledger below `home`, where the settings file is written too; nothing runs yet."""
        self.settings = ledger_settings(home, **changes)
        make_ledger(self.settings)
        self.file = home / "ledger.toml"
        self.file.write_text(ledger_section(self.settings))
        self.program: Program | None = None
        self._clients: list[LedgerClient] = []
        self.made.append(self)

    def start(self, kill_at: str = "", command: tuple[str, ...] = (LIUCUN,), **environment: str) -> Program:
        """Start the writer and wait until it answers, or has ended."""
        self.program = Program(self.file, "ledger", "run", kill_at=kill_at, command=command, **environment)
        client = self.client(request_timeout_seconds=0.2)
        deadline = time.monotonic() + 30
        while self.program.process.poll() is None:
            assert time.monotonic() < deadline, self.program.said()
            try:
                client.size()
                break
            except LedgerUnavailableError:
                time.sleep(0.02)
        client.close()
        return self.program

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.program is not None
        return self.program.stop()

    def end(self) -> None:
        """SIGKILL, if it still runs, before its folder is taken away; its clients are closed."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self.program is not None and self.program.process.poll() is None:
            self.program.kill()

    def client(self, **changes: Any) -> LedgerClient:
        """A client of it, closed by `end`."""
        client = LedgerClient(self.settings.model_copy(update=changes))
        self._clients.append(client)
        return client
