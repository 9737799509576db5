"""Short words for log lines in tests: invented addresses, one host, one second a line unless said otherwise."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from infra.platform.clock import from_datetime
from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from schemas.envelope import Envelope

NOW = from_datetime(datetime(2026, 11, 24, 12, tzinfo=UTC))
SOURCE = Source(name="mail", path=Path("mail.log"))


def log(*lines: str, host: str = "mx1") -> bytes:
    """Lines `daemon: text` (or `tag|text`) as a log; every one a second after the one before."""
    out = []
    for number, line in enumerate(lines):
        daemon, _, text = line.partition(": ")
        tag = daemon if "/" in daemon else f"postfix/{daemon}"
        out.append(
            f"2026-11-24T09:{number // 60:02d}:{number % 60:02d}.000000Z {host} {tag}[{100 + number % 3}]: {text}\n"
        )
    return "".join(out).encode()


def read(data: bytes, site: Site | None = None, *, finish: bool = True) -> list[Envelope]:
    """All records of a log."""
    assembler = Assembler(site or Site(), [SOURCE])
    records = assembler.read("mail", data, 0, NOW, NOW)
    if finish:
        records += assembler.finish()
    return records


def one(data: bytes, site: Site | None = None) -> Envelope:
    """The only record of a log."""
    (record,) = read(data, site)
    return record


def outcomes(records: list[Envelope]) -> Counter[tuple[str | None, str]]:
    """(recipient, outcome) of final records."""
    return Counter((record["recipient"], record["outcome"]) for record in records if record["is_final"])


def message(
    *deliveries: str,
    queue_id: str = "4jYKJ82btYzLhNx",
    sender: str = "s@example.net",
    client: str = "c.example.net[192.0.2.1]:40022",
    message_id: str = "<m@example.net>",
    removed: bool = True,
) -> list[str]:
    """The lines of one ordinary message with these delivery lines (text behind the queue id)."""
    lines = [
        f"smtpd: {queue_id}: client={client}",
        f"cleanup: {queue_id}: message-id={message_id}",
        f"qmgr: {queue_id}: from=<{sender}>, size=370, nrcpt={max(1, len(deliveries))} (queue active)",
        *(f"smtp: {queue_id}: {delivery}" for delivery in deliveries),
    ]
    return [*lines, f"qmgr: {queue_id}: removed"] if removed else lines


def sent(
    recipient: str, relay: str = "mx.example.com[192.0.2.9]:25", text: str = "250 2.0.0 Ok: queued as 3F2A1C0D4E"
) -> str:
    """A delivery that succeeded."""
    return f"to=<{recipient}>, relay={relay}, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent ({text})"


def deferred(recipient: str) -> str:
    """A delivery that did not succeed yet."""
    return (
        f"to=<{recipient}>, relay=mx.example.com[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=4.2.0, "
        "status=deferred (host mx.example.com[192.0.2.9] said: 450 4.2.0 Later (in reply to RCPT TO command))"
    )


def ip(text: str) -> bytes:
    """16 bytes of an IPv4 address."""
    return b"\x00" * 10 + b"\xff\xff" + bytes(map(int, text.split(".")))
