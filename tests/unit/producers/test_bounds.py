"""What strangers and odd logs may make grow has a bound: sessions, caches, names, texts."""

import re
from pathlib import Path

import pytest

from infra.platform.settings import Site
from producers import filtered, instances, joining, text
from producers.assemble import Assembler
from producers.limits import BYTES_MAX
from schemas import avro
from schemas.envelope import Envelope
from tests.unit.producers.lines import NOW, SOURCE, log, message, one, read, sent

RECORD_BYTES_MAX = 64 * 1024
FORMAT = Path(__file__).resolve().parents[3] / "docs" / "spec" / "record-format.md"


def test_sessions_without_ends_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log from which someone filtered `disconnect from`: one process serves many clients, many processes some."""
    monkeypatch.setattr(joining, "SESSIONS_MAX", 5)
    assembler = Assembler(Site(), [SOURCE])
    name = "3F2A1C{:04X}".format
    for number in range(1000):
        assembler.read("mail", log(*message(sent("a@example.com"), queue_id=name(number))), 0, NOW, NOW)
    assert max(map(len, assembler._joining._sessions.values())) <= joining.SESSION_MESSAGES_MAX
    for pid in range(20):
        line = log(f"smtpd: {name(pid)}: client=c[192.0.2.1]").replace(b"[100]", b"[%d]" % (500 + pid))
        assembler.read("mail", line, 0, NOW, NOW)
    assert len(assembler._joining._sessions) <= 5


def test_notes_of_sessions_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "SESSIONS_MAX", 5)
    assembler = Assembler(Site(), [SOURCE])
    tail = "; from=<s@example.net> to=<a@example.com> proto=ESMTP helo=<h>"
    for number in range(200):
        line = f"smtpd: NOQUEUE: hold: RCPT from c[192.0.2.1]: <a@example.com>: triggers HOLD action{tail}"
        assembler.read("mail", log(line).replace(b"[100]", b"[%d]" % (number % 20)), 0, NOW, NOW)
    assert len(assembler._joining._noted) <= 5
    assert max(map(len, assembler._joining._noted.values())) <= joining.NOTES_MAX


def test_names_of_instances_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "NAMES_MAX", 4)
    assembler = Assembler(Site(), [SOURCE])
    for number in range(50):
        assembler.read("mail", log(f"postfix{number}/smtpd: 3F2A1C0D4E: client=c[192.0.2.1]"), 0, NOW, NOW)
        assembler.read("mail", log(*message(sent("a@example.com")), host=f"mx{number}"), 0, NOW, NOW)
    names = assembler._messages.instances
    assert len(names._owners) <= 4
    assert all(len(services) <= instances.SERVICES_MAX for services in names._services.values())


def test_what_is_inside_filters_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered, "EXPECTED_MAX", 10)
    assembler = Assembler(Site(filters=["127.0.0.1"]), [SOURCE])
    for number in range(100):
        line = sent(f"r{number}@example.com", "127.0.0.1[127.0.0.1]:10024", "250 OK (F1)")
        assembler.read("mail", log(*message(line)), 0, NOW, NOW)
    assert len(assembler._messages._filtered._inside) <= 10


def test_long_values_are_not_cached() -> None:
    text._address.cache_clear()
    text._ip_address.cache_clear()
    for length in (10, 320, 321, 60_000):
        assert text.address(b"a" * length + b"@x").text == "a" * length + "@x"
        assert text.ip_address(b"1" * length) is None
    assert text._address.cache_info().currsize == 1
    assert text._ip_address.cache_info().currsize == 1


def longest(size: int) -> list[Envelope]:
    """Records of lines whose texts are as long as a line may be, of bytes that are no UTF-8."""
    junk = "\udcff" * size
    lines = [
        f"smtpd: 4jYKJ82btYzLhNx: client={junk}[192.0.2.1], sasl_method=PLAIN, sasl_username={junk}",
        f"cleanup: 4jYKJ82btYzLhNx: message-id=<{junk}>",
        f"qmgr: 4jYKJ82btYzLhNx: from=<{junk}@example.net>, size=1, nrcpt=1 (queue active)",
        f"smtp: 4jYKJ82btYzLhNx: to=<{junk[: size // 4]}@x>, orig_to=<{junk[: size // 4]}@y>, relay={junk[: size // 4]}[192.0.2.9]:25, "
        f"delay=1, delays=1/1/1/1, tls={junk[: size // 8]}, dsn={junk[: size // 8]}, status=sent (250 Ok)",
        f"smtpd: NOQUEUE: reject: RCPT from {junk[: size // 8]}[192.0.2.1]: 550 5.1.1 No; from=<{junk[: size // 4]}> to=<{junk[: size // 4]}> proto=ESMTP helo=<{junk[: size // 4]}>",
    ]
    host = "h" * 300
    data = b"".join(
        f"2026-11-24T09:00:0{number}.000000Z {host} postfix/{line.replace(': ', '[1]: ', 1)}\n".encode(
            "utf-8", "surrogateescape"
        )
        for number, line in enumerate(lines)
    )
    return read(data)


def test_no_record_is_longer_than_its_texts_may_be() -> None:
    records = longest(60_000)
    assert len(records) == 2
    for record in records:
        for name, most in BYTES_MAX.items():
            value = record[name]  # type: ignore[literal-required]
            assert value is None or len(value.encode()) <= most, name
        assert "TRUNCATED" in record["flags"]
        encoded = avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})
        assert len(encoded) < RECORD_BYTES_MAX


def test_ids_are_made_of_the_whole_text() -> None:
    """Two recipients that differ behind the bound stay two."""
    long = "r" * 3000
    records = read(log(*message(sent(f"{long}1@example.com"), sent(f"{long}2@example.com"))))
    assert records[0]["recipient"] == records[1]["recipient"] == "r" * 2048
    assert records[0]["record_id"] != records[1]["record_id"]


def test_a_text_is_cut_between_characters() -> None:
    record = one(log(*message(sent("почта" * 500 + "@example.com"))))
    assert (record["recipient"] or "").encode() == ("почта" * 500).encode()[:2048]
    assert record["flags"] == ["TRUNCATED"]


def test_the_lengths_are_written_down() -> None:
    table = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+) \|$", FORMAT.read_text(encoding="utf-8"), re.MULTILINE))
    assert {name: int(most) for name, most in table.items()} == BYTES_MAX
