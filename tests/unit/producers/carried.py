"""What tests of carried lines share: a reader that counts, and lines as docker and the journal write them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from infra.platform.clock import from_datetime
from infra.platform.settings import Site, Source
from producers.assemble import Assembler, Tally
from schemas.envelope import Envelope
from tests.unit.producers.lines import NOW, SOURCE

TEXT = (
    "NOQUEUE: reject: RCPT from unknown[192.0.2.82]: 554 5.7.1 <x@example.org>: Relay access denied; "
    "from=<s@example.com> to=<x@example.org> proto=ESMTP helo=<h.example.com>"
)
AT = from_datetime(datetime(2026, 9, 12, 16, 49, 12, 650_416, tzinfo=UTC))
STAMP = "2026-09-12T16:49:12.650416789Z"


def read(
    *chunks: bytes, site: Site | None = None, zone: str = "UTC", restart: bool = False, now: int = NOW
) -> tuple[list[Envelope], Tally]:
    """Records and counts; `restart`: through a snapshot between every two chunks."""
    source = Source(name="mail", path=SOURCE.path, time_zone=zone)
    assembler = Assembler(site or Site(), [source])
    records: list[Envelope] = []
    total = Tally()
    offset = 0
    for chunk in chunks:
        records += assembler.read("mail", chunk, offset, now, now)
        offset += len(chunk)
        tally = assembler.take_tallies()["mail"]
        for name in ("lines_read", "lines_understood"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        for name in ("lines_ignored", "lines_not_understood", "loss_markers"):
            for key, count in getattr(tally, name).items():
                counts = getattr(total, name)
                counts[key] = counts.get(key, 0) + count
        if restart:
            assembler = Assembler.restore(assembler.snapshot(), site or Site(), [source])
    known = total.lines_understood + sum(total.lines_ignored.values()) + sum(total.lines_not_understood.values())
    assert total.lines_read == known
    return records + assembler.finish(), total


def one(data: str | bytes, **more: Any) -> Envelope:
    """The only record."""
    records, tally = read(data.encode() if isinstance(data, str) else data, **more)
    assert tally.lines_not_understood == {}
    (record,) = records
    return record


def docker(log: str, time: str = STAMP, stream: str = "stdout") -> bytes:
    """A line of docker's json-file."""
    return json.dumps({"log": log, "stream": stream, "time": time}, separators=(",", ":")).encode() + b"\n"


def journal(**fields: Any) -> dict[str, Any]:
    """An entry as `journalctl -o json` has it; a field that is None is taken out."""
    entry = {
        "__CURSOR": "s=e78b838844e74ae493345c409fcf1038;i=120a6a;b=008efef50f404b3fabc40080aa3eb46e;m=6c571b897;t=65b4b2475fac6;x=f3e4b22e42be6a22",
        "__REALTIME_TIMESTAMP": str(AT + 22),
        "__MONOTONIC_TIMESTAMP": "29082368151",
        "_BOOT_ID": "008efef50f404b3fabc40080aa3eb46e",
        "_SOURCE_REALTIME_TIMESTAMP": str(AT),
        "_TRANSPORT": "syslog",
        "PRIORITY": "6",
        "SYSLOG_FACILITY": "2",
        "SYSLOG_IDENTIFIER": "postfix/smtpd",
        "SYSLOG_PID": "314894",
        "SYSLOG_TIMESTAMP": "Sep 12 16:49:12 ",
        "_PID": "314894",
        "_COMM": "smtpd",
        "_HOSTNAME": "mx1",
        "_SYSTEMD_UNIT": "postfix.service",
        "MESSAGE": TEXT,
    } | {name.replace("U_", "__", 1) if name.startswith("U_") else name: value for name, value in fields.items()}
    return {name: value for name, value in entry.items() if value is not None}


def export(entry: dict[str, Any], binary: Iterable[str] = ()) -> bytes:
    """An entry in export format; fields named in `binary`, and values with line ends, in its binary form."""
    out = b""
    for name, value in entry.items():
        raw = value if isinstance(value, bytes) else str(value).encode()
        if name in binary or b"\n" in raw:
            out += name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
        else:
            out += name.encode() + b"=" + raw + b"\n"
    return out + b"\n"


def as_json(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"
