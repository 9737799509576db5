"""Kill -9 of the ledger between every two steps, full disks, failed syncs: no answered entry is lost, no head forked."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.ledger import examine
from infra.ledger.client import LedgerClient, LedgerUnavailableError
from infra.ledger.errors import GenesisRefusedError
from infra.platform.clock import DAY, SECOND
from infra.proof import checkpoint, merkle
from infra.proof.checkpoint import Checkpoint
from infra.proof.notes import Verifier
from tests.conftest import missing
from tests.ledgers import RunningLedger, ledger_settings, make_ledger, short_folder
from tests.pipeline import Program

COMMIT_STEPS = ("payload_written", "payload_synced", "leaf_written", "leaf_synced", "signed")
PUBLISH_STEPS = ("tiles_written", "published")
INIT_STEPS = ("keys_made", "init_payloads", "init_leaves", "tiles_written", "published")
ERASE_STEPS = ("payload_written", "leaf_synced", "erased_leaf", "erased_payload")
CLIENTS = 4


class Witness:
    """Appends from several threads, and remembers every answer: numbers with their indexes, and signed heads."""

    def __init__(self, ledger: RunningLedger) -> None:
        self.ledger = ledger
        self.answered: dict[int, int] = {}
        self.heads: list[Checkpoint] = []
        self._numbers = iter(range(1_000_000))
        text = (ledger.settings.folder / "log.vkey").read_text().strip()
        self.keys = [Verifier.parse(text)]

    def append_until_it_ends(self, seconds: float = 20) -> None:
        """Until the writer is gone."""
        client = self.ledger.client(request_timeout_seconds=0.3)
        deadline = time.monotonic() + seconds

        def append() -> None:
            while time.monotonic() < deadline:
                number = next(self._numbers)
                try:
                    self.answered[number] = client.append("LOOKUP_INTENT", "services/query", number=number)
                    self.heads.append(self.head(client.checkpoint()))
                except LedgerUnavailableError:
                    return

        threads = [threading.Thread(target=append) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def head(self, note: str) -> Checkpoint:
        """A note, verified."""
        return checkpoint.verify(note.encode(), self.ledger.settings.origin, self.keys)

    def check(self) -> None:
        """Every answered entry stands where it was said, and every signed head is a beginning of the tree."""
        client = self.ledger.client()
        entries = client.read(0, client.size())
        for number, index in self.answered.items():
            payload = entries[index].payload
            assert payload is not None
            assert payload["number"] == number
        numbers = [entry.payload["number"] for entry in entries if entry.payload and entry.kind == "LOOKUP_INTENT"]
        assert len(numbers) == len(set(numbers)), "an entry is there twice"
        hashes = [merkle.leaf_hash(entry.leaf) for entry in client.open(0, len(entries))]
        for head in self.heads:
            assert merkle.root(hashes[: head.size]) == head.root
        client.close()


def until_refused(client: LedgerClient, count: int, text: str = "") -> tuple[list[int], LedgerUnavailableError]:
    """Append until the ledger does not answer; the indexes that it gave, and what it said at last."""
    answered: list[int] = []
    for number in range(count):
        try:
            answered.append(client.append("REFUSED", "services/query", number=number, text=text))
        except LedgerUnavailableError as error:
            return answered, error
    raise AssertionError(f"{count} entries, and all were committed")


def at_rest(ledger: RunningLedger) -> dict[str, Any]:
    """Stop it, and compute everything anew."""
    assert ledger.stop() == 0, ledger.program and ledger.program.said()
    report = examine.fsck(ledger.settings)
    assert report["ok"], report
    assert report["notes"] == []
    assert report["published"] == report["entries"]
    return report


@pytest.mark.parametrize("step", [*COMMIT_STEPS, *PUBLISH_STEPS])
def test_killed_at_each_step_twice(ledger_folder: Path, step: str) -> None:
    """In an early group and in a later one; then the writer goes on."""
    ledger = RunningLedger(ledger_folder)
    witness = Witness(ledger)
    for count in (2, 5) if step in COMMIT_STEPS else (2, 3):
        program = ledger.start(kill_at=f"ledger.{step}:{count}")
        witness.append_until_it_ends()
        assert program.wait() == -9, program.said()
        assert examine.fsck(ledger.settings)["findings"] == []
        ledger.start()
        witness.check()
        at_rest(ledger)
    assert witness.answered


@pytest.mark.parametrize("step", PUBLISH_STEPS)
def test_killed_in_the_publication_of_its_start(ledger_folder: Path, step: str) -> None:
    ledger = RunningLedger(ledger_folder)
    for _ in range(2):
        assert ledger.start(kill_at=f"ledger.{step}").wait() == -9
    ledger.start()
    assert ledger.client().append("REFUSED", "services/query") == 1
    at_rest(ledger)


@pytest.mark.parametrize("step", INIT_STEPS)
def test_init_killed_at_each_step_twice(ledger_folder: Path, step: str) -> None:
    """It may be run again until there is a checkpoint, and not once more."""
    settings = ledger_settings(ledger_folder)
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.ledgers import ledger_settings, make_ledger\n"
        "make_ledger(ledger_settings(Path(sys.argv[1])))\n"
    )
    for _ in range(2):
        environment = os.environ | {"LIUCUN_KILL_AT": f"ledger.{step}"}
        command = [sys.executable, "-c", code, str(ledger_folder)]
        done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, check=False)
        if step == "published" and (settings.folder / "checkpoint").exists():
            break
        assert done.returncode == -9, done.stderr
    else:
        make_ledger(settings)
    assert examine.fsck(settings)["entries"] == 1
    with pytest.raises(GenesisRefusedError, match="There is a ledger"):
        make_ledger(settings)


@pytest.mark.parametrize("step", ERASE_STEPS)
def test_killed_in_an_erasure(ledger_folder: Path, step: str) -> None:
    """Ordered and not done: the next start does it. Not ordered: nothing is gone."""
    ledger = RunningLedger(ledger_folder)
    ledger.start()
    ledger.client().append("REFUSED", "services/query", number=1)
    assert ledger.stop() == 0
    later = {"LIUCUN_CLOCK_OFFSET_SECONDS": str(1097 * DAY // SECOND)}
    program = ledger.start(kill_at=f"ledger.{step}", **later)
    with pytest.raises(LedgerUnavailableError):
        ledger.client(request_timeout_seconds=2).erase(1, "persons/li", "past its term")
    assert program.wait() == -9
    assert examine.fsck(ledger.settings)["findings"] == []
    ledger.start(**later)
    erased = ledger.client().read(1, 1)[0].payload is None
    assert erased == (step != "payload_written")
    assert ledger.client().size() == (3 if erased else 2)
    assert at_rest(ledger)["erased"] == erased


@pytest.mark.long
def test_twenty_kills_at_random_moments(ledger_folder: Path) -> None:
    ledger = RunningLedger(ledger_folder)
    witness = Witness(ledger)
    moments = random.Random(20261124)
    for _ in range(20):
        program = ledger.start()
        killer = threading.Timer(moments.uniform(0.02, 2.5), program.process.kill)
        killer.start()
        witness.append_until_it_ends()
        killer.join()
        assert program.wait() == -9
    ledger.start()
    witness.check()
    at_rest(ledger)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system that is soon full (needs root)."""
    with short_folder() as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            missing("root and tmpfs, for a small disk")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(ledger_folder: Path) -> None:
    """Told so at once; nothing half-written stays; with room again the same writer goes on."""
    with small_disk(2) as disk:
        ledger = RunningLedger(ledger_folder, folder=disk / "ledger")
        program = ledger.start()
        client = ledger.client()
        stuffing = disk / "stuffing"
        with stuffing.open("wb") as file, pytest.raises(OSError, match="No space"):
            file.write(bytes(4 * 1024 * 1024))
        answered, error = until_refused(client, 1000, "x" * 3000)
        assert error.reason == "AUDIT_UNAVAILABLE"
        assert "took nothing" in str(error)
        with pytest.raises(LedgerUnavailableError):
            client.append("REFUSED", "services/query", text="x" * 5000)
        assert client.size() == len(answered) + 1, "reading goes on"
        stuffing.unlink()
        assert client.append("REFUSED", "services/query", number=-1) == len(answered) + 1
        assert program.process.poll() is None
        assert at_rest(ledger)["entries"] == len(answered) + 2
        ledger.end()


def test_a_file_that_may_not_grow(ledger_folder: Path) -> None:
    """The same by RLIMIT_FSIZE, which needs no root: EFBIG instead of ENOSPC, in the middle of a record."""
    ledger = RunningLedger(ledger_folder)
    program = _patched(
        ledger, "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))"
    )
    client = ledger.client()
    answered, _ = until_refused(client, 100, "x" * 1000)
    assert 2 < len(answered) < 10
    assert client.append("REFUSED", "services/query", number=100) == len(answered) + 1, "a smaller one still fits"
    assert program.stop() == 0, program.said()
    ledger.start()
    assert at_rest(ledger)["entries"] == len(answered) + 2


def _patched(ledger: RunningLedger, patch: str) -> Program:
    """The writer in a process in which something was changed before it started."""
    code = f"{patch}\nfrom infra.cli import main\nmain()\n"
    file = ledger.file.with_name("patched.py")
    file.write_text(code)
    return ledger.start(command=(sys.executable, str(file)))


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_sync_that_fails_ends_the_writer(ledger_folder: Path, nth: int) -> None:
    """EIO of payloads' or leaves' fdatasync: what is on disk is not known, so only a new start may go on."""
    ledger = RunningLedger(ledger_folder)
    patch = (
        "import errno, os\n"
        "real, calls = os.fdatasync, [0]\n"
        "def fdatasync(descriptor):\n"
        "    calls[0] += 1\n"
        f"    if calls[0] == {nth}: raise OSError(errno.EIO, 'Input/output error')\n"
        "    real(descriptor)\n"
        "os.fdatasync = fdatasync"
    )
    program = _patched(ledger, patch)
    answered, error = until_refused(ledger.client(), 5)
    assert "is not known" in str(error)
    assert "may be there or not" in str(error)
    assert program.wait() == 1
    assert len(answered) == (nth - 1) // 2
    ledger.start()
    assert ledger.client().size() >= len(answered) + 1
    assert [ledger.client().read(index, 1)[0].index for index in answered] == answered
    at_rest(ledger)


def test_writes_that_fail_leave_nothing(ledger_folder: Path) -> None:
    """EIO in the second write of each group (the leaves'): the payloads are taken back, the writer goes on."""
    ledger = RunningLedger(ledger_folder)
    patch = (
        "import errno, os\n"
        "real, calls = os.write, [0]\n"
        "def write(descriptor, data):\n"
        "    if '/leaves/' in os.readlink(f'/proc/self/fd/{descriptor}'):\n"
        "        calls[0] += 1\n"
        "        if calls[0] == 2: raise OSError(errno.EIO, 'Input/output error')\n"
        "    return real(descriptor, data)\n"
        "os.write = write"
    )
    program = _patched(ledger, patch)
    client = ledger.client()
    assert client.append("REFUSED", "services/query", number=1) == 1
    with pytest.raises(LedgerUnavailableError, match="took nothing"):
        client.append("REFUSED", "services/query", number=2)
    assert client.append("REFUSED", "services/query", number=3) == 2
    assert program.process.poll() is None
    assert at_rest(ledger)["entries"] == 3


def test_tiles_that_cannot_be_written_stop_nothing_at_first(ledger_folder: Path) -> None:
    """Publication is tried again; what is COMMITTED is answered meanwhile, and published later."""
    ledger = RunningLedger(ledger_folder)
    ledger.start()
    client = ledger.client()
    blocked = ledger.settings.folder / "tile" / "entries"
    blocked.rename(blocked.with_name("aside"))
    blocked.write_bytes(b"")
    assert client.append("REFUSED", "services/query") == 1
    time.sleep(1.5)
    assert client.append("REFUSED", "services/query") == 2
    assert ledger.program is not None
    assert "tiles cannot be written" in ledger.program.said()
    blocked.unlink()
    blocked.with_name("aside").rename(blocked)
    client.inclusion(2)
    at_rest(ledger)
