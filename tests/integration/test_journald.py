"""A real systemd-journald in a mount namespace of its own, and its real journalctl: followed live, and as files.

Needs root; writes nothing outside the test's folder.
"""

import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from producers.follow import Chunk, Lost
from producers.journal import Journal
from schemas.envelope import Envelope
from tests.conftest import missing
from tests.ledgers import short_folder
from tests.pipeline import until

DAEMON = Path("/lib/systemd/systemd-journald")
MACHINE = Path("/etc/machine-id")
TEXT = (
    "NOQUEUE: reject: RCPT from unknown[192.0.2.82]: 554 5.7.1 <x%d@example.org>: Relay access denied; "
    "from=<s@example.com> to=<x%d@example.org> proto=ESMTP helo=<%s>"
)
CONFIGURATION = "[Journal]\nStorage=volatile\nAudit=\nReadKMsg=no\nRateLimitIntervalSec=0\nForwardToWall=no\n"
NAMESPACE = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
mount --bind {folder}/sockets /run/systemd/journal
mount --bind {folder}/journal /run/log/journal
mount --bind {folder}/journald.conf /etc/systemd/journald.conf
[ ! -d /etc/systemd/journald.conf.d ] || mount -t tmpfs tmpfs /etc/systemd/journald.conf.d
[ ! -d /var/log/journal ] || mount -t tmpfs tmpfs /var/log/journal
exec {daemon}
"""


class RealJournal:
    """The daemon, its socket, and a `journalctl` on PATH that reads its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sockets", "bin"):
            (folder / name).mkdir()
        (folder / "journal" / MACHINE.read_text().strip()).mkdir(parents=True)
        (folder / "journald.conf").write_text(CONFIGURATION)
        program = folder / "bin" / "journalctl"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("journalctl")} -D {folder}/journal "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        script = NAMESPACE.format(folder=folder, daemon=DAEMON)
        self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stderr=subprocess.PIPE)

    def send(self, number: int, helo: bytes = b"h.example.com") -> None:
        """What syslog(3) of a mail server sends: local time, no host."""
        stamp = time.strftime("%b %e %H:%M:%S").encode()
        text = (TEXT % (number, number, "%s")).encode() % helo
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(self.folder / "sockets" / "dev-log"))
            sender.send(b"<22>" + stamp + b" postfix/smtpd[314894]: " + text)

    def output(self, form: str) -> bytes:
        """All entries of the mail facility."""
        command = [str(self.folder / "bin" / "journalctl"), "-o", form, "--no-pager", "-q", "SYSLOG_FACILITY=2"]
        return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture
def journald(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealJournal]:
    """A running one."""
    if os.geteuid() != 0 or not DAEMON.exists() or not MACHINE.exists() or shutil.which("journalctl") is None:
        missing("systemd-journald as root")
    with short_folder() as folder:
        journal = RealJournal(folder)
        try:
            for _ in range(100):
                if (folder / "sockets" / "dev-log").exists() or journal.process.poll() is not None:
                    break
                time.sleep(0.05)
            if journal.process.poll() is not None:
                missing(f"a mount namespace with a systemd-journald ({journal.process.communicate()[1]!r})")
            monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
            yield journal
        finally:
            journal.process.terminate()
            journal.process.communicate()


def test_a_real_journal_is_followed_and_resumed(journald: RealJournal) -> None:
    clock = SystemClock()
    source = Source(name="mail", journal=["SYSLOG_FACILITY=2"])
    assembler = Assembler(Site(), [source])
    records: list[Envelope] = []
    chunks: list[Chunk] = []

    def read(stream: Journal, want: int) -> None:
        def come() -> bool:
            event = stream.poll(clock.now())
            assert not isinstance(event, Lost)
            if isinstance(event, Chunk):
                chunks.append(event)
                records.extend(assembler.read("mail", event.data, event.from_offset, clock.now(), event.reference_time))
            return len(records) >= want

        until(come, 20)
        stream.close()

    for number in range(3):
        journald.send(number)
    read(Journal("mail", source.journal or (), None, 0), 3)
    journald.send(3, b"h\xff\x01\nNov 25 16:20:00 mx1 postfix/smtpd[1]: x")
    journald.send(4)
    read(Journal("mail", source.journal or (), chunks[-1].file, chunks[-1].to_offset), 5)
    assert [record["recipient"] for record in records] == [f"x{number}@example.org" for number in range(5)]
    assert {record["time_quality"] for record in records} == {"EXACT"}
    assert all(abs(record["event_time"] - clock.now()) < 60_000_000 for record in records)
    assert assembler.take_tallies()["mail"].lines_not_understood == {}
    for form in ("json", "export"):
        other = Assembler(Site(), [source]).read("mail", journald.output(form), 0, clock.now(), clock.now())
        assert [record["record_id"] for record in other] == [record["record_id"] for record in records]
