"""Short words for lines of Exim's log in tests: invented addresses, its own file's form, one second a line."""

import re

from infra.platform.settings import Site
from producers.assemble import Assembler
from schemas.envelope import Envelope
from tests.unit.producers.lines import NOW, SOURCE

ID = "1xWFLt-0005aY-2m"
NEW_ID = "1xWFLt-00000005aYb-2mAB"
SITE = Site(host="mx1.example.org")


def log(*lines: str, queue_id: str = ID) -> bytes:
    """Lines; one that begins with a flag or a phrase of a message gets the id before it."""
    out = []
    for number, line in enumerate(lines):
        text = (
            f"{queue_id} {line}" if re.match(r"[<=>*(-]{2} |Completed|[a-z]+ (?:by|address)|recipient", line) else line
        )
        out.append(f"2026-11-24 09:{number // 60:02d}:{number % 60:02d} {text}\n")
    return "".join(out).encode()


def read(data: bytes, site: Site = SITE, *, finish: bool = True) -> list[Envelope]:
    """All records of a log."""
    assembler = Assembler(site, [SOURCE])
    records = assembler.read("mail", data, 0, NOW, NOW)
    return records + assembler.finish() if finish else records


def not_understood(data: bytes) -> dict[str, int]:
    """Reasons, with counts."""
    assembler = Assembler(SITE, [SOURCE])
    assembler.read("mail", data, 0, NOW, NOW)
    return assembler.take_tallies()["mail"].lines_not_understood


def one(data: bytes, site: Site = SITE) -> Envelope:
    """The only record of a log; all of it is understood."""
    assert not_understood(data) == {}
    (record,) = read(data, site)
    return record


def message(*deliveries: str, arrival: str = "", queue_id: str = ID) -> bytes:
    """One ordinary message with these delivery lines."""
    first = arrival or "<= s@example.net H=c.example.net (c) [192.0.2.1]:40022 P=esmtp S=370 id=m@example.net"
    return log(first, *deliveries, "Completed", queue_id=queue_id)


def sent(recipient: str, reply: str = "250 OK id=1abcde-0000aa-0B") -> str:
    """A delivery to the next hop."""
    return f'=> {recipient} R=dnslookup T=remote_smtp H=mx.example.com [192.0.2.9]:25 C="{reply}"'
