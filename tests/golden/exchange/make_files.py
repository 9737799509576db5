"""Remake the tracking files, their truth and their records. Built, not traced: Exchange does not run here.

.venv/bin/python -m tests.golden.exchange.make_files

Columns, events and sources are those of Microsoft's documentation; the order of rows is that of its example. Each
message below says what became of it; that is the truth, and the rows are written from it. Look at every line of the
difference of *.expected.jsonl before you commit it: these files are what a record is held to.
"""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import replay
from schemas.envelope import Envelope, ip_text, json_object
from tests.unit.producers import exchange_files as files

HERE: Final = Path(__file__).parent
NAMES: Final = {"exchange2010": 26, "exchange2019": 30}
SITE: Final = Site(own_domains=["example.org"])
ALICE, BOB, CAROL, DAVE = files.ALICE, files.BOB, files.CAROL, files.DAVE
OUT, GROUP = "x@example.com", "all@example.org"


class Truth(NamedTuple):
    """What must be recorded of one recipient; `client_ip` is None where no row says it."""

    outcome: str
    sender: str | None
    recipient: str
    original_recipient: str | None
    client_ip: str | None


def said(envelope: Envelope) -> Truth:
    """What a record says, in the same form."""
    ip = envelope["sender_ip"]
    return Truth(
        envelope["outcome"],
        envelope["sender"],
        envelope["recipient"] or "",
        envelope["original_recipient"],
        None if ip is None else ip_text(ip),
    )


class Book:
    """Rows and truth of one file. Every message has ids of its own and begins ten seconds after the one before."""

    def __init__(self, columns: int) -> None:
        """Empty."""
        self.rows: list[bytes] = [files.header(columns)]
        self.truth: list[Truth] = []
        self._columns = columns
        self._number = 0

    def begin(self, **values: str) -> None:
        """The rows that follow are of another message, and have these values."""
        self._number += 1
        self._values = {
            "network_message_id": f"2fd37dca-1234-5bfb-175d-{self._number:012x}",
            "internal_message_id": str(70971234566400 + self._number),
            "message_id": f"<m{self._number}@example.net>",
        } | values

    def add(self, kind: Any, second: float, to: str, *arguments: str, **values: str) -> None:
        """A row of `kind`, made by one of the builders; (event, source) for the plain one."""
        told = self._values | values
        when = 10 * self._number + second
        if kind is files.row:
            event, source = arguments
            self.rows.append(files.row(event, source, to, when, self._columns, **told))
        else:
            self.rows.append(kind(to, when, columns=self._columns, **told))

    def end(self, *truth: Truth) -> None:
        """What became of the message."""
        self.truth += truth


def write(book: Book) -> None:
    """A day at a small office: fourteen messages."""
    far = "203.0.113.7"
    ordinary(book, far)
    group(book, far)
    ends(book, far)
    book.begin(return_path="<>")
    book.add(files.row, 0, BOB, "DSN", "DSN", server_hostname="EX1", directionality="Originating")
    book.add(files.delivered, 1, BOB)
    book.end(Truth("DELIVERED", "", BOB, None, None))
    probe = "HealthMailbox" + "0123456789abcdef" * 2 + "@example.org"
    book.begin(return_path=probe, directionality="Originating")
    book.add(files.received, 0, probe)
    book.add(files.delivered, 1, probe)
    book.end()


def ordinary(book: Book, far: str) -> None:
    """In, out, and from one mailbox to another."""
    book.begin()
    book.add(files.row, 0, ALICE, "HARECEIVE", "SMTP")
    book.add(files.received, 0, f"{ALICE};{BOB}", recipient_status="To;Cc")
    book.add(files.row, 0.1, f"{ALICE};{BOB}", "AGENTINFO", "AGENT")
    book.add(files.delivered, 0.2, ALICE)
    book.add(files.delivered, 0.3, BOB)
    book.add(files.passed, 0.4, f"{ALICE};{BOB}")
    book.add(files.row, 0.5, "", "HADISCARD", "SMTP")
    book.end(*(Truth("DELIVERED", "s@example.net", to, None, far) for to in (ALICE, BOB)))
    book.begin(directionality="Originating", return_path=ALICE, message_subject='"quoted", and\r\ntwo lines')
    book.add(files.row, 0, "", "NOTIFYMAPI", "STOREDRIVER")
    book.add(files.row, 0.1, OUT, "RECEIVE", "STOREDRIVER", client_ip="192.0.2.14", original_client_ip="198.51.100.9")
    book.add(files.row, 0.2, OUT, "SUBMIT", "STOREDRIVER")
    book.add(files.received, 0.3, OUT, original_client_ip="")
    book.add(files.sent, 0.5, OUT)
    book.end(Truth("SENT", ALICE, OUT, None, "198.51.100.9"))
    book.begin(directionality="Originating", return_path=BOB)
    book.add(files.row, 0.1, CAROL, "RECEIVE", "STOREDRIVER", client_ip="192.0.2.14")
    book.add(files.received, 0.3, CAROL, original_client_ip="")
    book.add(files.delivered, 0.4, CAROL)
    book.add(files.passed, 0.5, CAROL)
    book.end(Truth("DELIVERED", BOB, CAROL, None, None))
    book.begin(return_path="<>")
    book.add(files.received, 0, DAVE)
    book.add(files.passed, 1, DAVE, server_hostname="EX2.example.org", server_ip="192.0.2.15")
    book.end(Truth("SENT", "", DAVE, None, far))


def group(book: Book, far: str) -> None:
    """Recipients that stand for others."""
    book.begin()
    book.add(files.received, 0, f"{GROUP};old@example.org;{CAROL}")
    book.add(files.row, 0.1, f"{ALICE};{BOB}", "EXPAND", "ROUTING", related_recipient_address=GROUP)
    book.add(files.row, 0.1, "new@example.org", "RESOLVE", "ROUTING", related_recipient_address="old@example.org")
    book.add(files.row, 0.1, DAVE, "REDIRECT", "ROUTING", related_recipient_address=CAROL)
    book.add(files.delivered, 0.3, f"{ALICE};{BOB};new@example.org;{DAVE}")
    book.add(files.row, 0.4, BOB, "DUPLICATEDELIVER", "STOREDRIVER")
    book.end(
        *(Truth("DELIVERED", "s@example.net", to, GROUP, far) for to in (ALICE, BOB)),
        Truth("DELIVERED", "s@example.net", "new@example.org", "old@example.org", far),
        Truth("DELIVERED", "s@example.net", DAVE, CAROL, far),
    )


def ends(book: Book, far: str) -> None:
    """Mail that did not come to where it should."""
    for event, source, status, outcome in (
        ("FAIL", "SMTP", "550 5.1.1 no such <x@y>, status=sent", "BOUNCED"),
        ("FAIL", "ROUTING", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", "BOUNCED"),
        ("FAIL", "QUEUE", "550 4.4.7 QUEUE.Expired; message expired", "EXPIRED"),
        ("FAIL", "ADMIN", "", "DELETED"),
        ("DROP", "AGENT", "", "DISCARDED"),
        ("BADMAIL", "PICKUP", "", "DISCARDED"),
    ):
        book.begin(return_path='"odd, one; two"@example.net')
        book.add(files.received, 0, OUT)
        if event == "FAIL" and source == "QUEUE":
            book.add(files.row, 1, OUT, "DEFER", "SMTP", recipient_status="451 4.7.1 Later")
        book.add(files.row, 2, OUT, event, source, recipient_status=status)
        book.end(Truth(outcome, '"odd, one; two"@example.net', OUT, None, far))
    book.begin()
    book.add(files.received, 0, OUT)
    book.add(files.row, 1, OUT, "DEFER", "SMTP", recipient_status="451 4.7.1 Later")
    book.add(files.sent, 5, OUT)
    book.end(Truth("SENT", "s@example.net", OUT, None, far))


def envelopes(name: str) -> tuple[list[Envelope], dict[str, Any]]:
    """The records of a committed file, in the order in which they become final, and the counts of its lines."""
    log = HERE / f"{name}.log"
    records = replay([log], Source(name="replay", path=log, mta="auto"), SITE, None, SystemClock())
    out = []
    while True:
        try:
            out.append(next(records))
        except StopIteration as end:
            return out, end.value


def objects(name: str) -> list[dict[str, Any]]:
    """The same in JSON's form, without observed_time, which is the time of the run."""
    rows = [json_object(envelope) for envelope in envelopes(name)[0]]
    for row in rows:
        del row["observed_time"]
    return rows


def main() -> None:
    """Write all files."""
    for name, columns in NAMES.items():
        book = Book(columns)
        write(book)
        (HERE / f"{name}.log").write_bytes(b"".join(book.rows))
        truth = json.dumps([entry._asdict() for entry in book.truth], indent=1, ensure_ascii=False)
        (HERE / f"{name}.truth.json").write_text(truth + "\n", encoding="utf-8")
        lines = [json.dumps(row, ensure_ascii=False) for row in objects(name)]
        (HERE / f"{name}.expected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
