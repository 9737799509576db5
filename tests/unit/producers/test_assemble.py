"""The assembler as a whole: chunk sizes, snapshots, bounds, hostile input."""

import os
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.platform.settings import Site
from producers import messages
from producers.assemble import Assembler
from schemas import avro
from schemas.envelope import FIELDS, FLAGS, Envelope
from tests.unit.producers.lines import NOW, SOURCE, deferred, log, message, read, sent

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "postfix" / "demo.log"
MUTATIONS = 1_000_000 if os.environ.get("LIUCUN_LONG") == "1" else 10_000


def _ids(records: list[Envelope]) -> list[bytes]:
    return [record["record_id"] for record in records]


def _all(data: bytes) -> list[Envelope]:
    assembler = Assembler(Site(), [SOURCE])
    return assembler.read("mail", data, 0, NOW, NOW) + assembler.finish()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 221), max_size=12), st.lists(st.booleans(), min_size=13, max_size=13))
def test_chunks_and_restarts_change_nothing(cuts: list[int], restarts: list[bool]) -> None:
    """Any division into chunks, with or without a snapshot and restore between them, gives the same records."""
    data = GOLDEN.read_bytes()
    lines = data.splitlines(keepends=True)
    bounds = sorted({0, *(min(cut, len(lines)) for cut in cuts), len(lines)})
    assembler = Assembler(Site(), [SOURCE])
    got: list[Envelope] = []
    offset = 0
    for number, (start, end) in enumerate(pairwise(bounds)):
        chunk = b"".join(lines[start:end])
        got += assembler.read("mail", chunk, offset, NOW, NOW)
        offset += len(chunk)
        if restarts[number % len(restarts)]:
            assembler.take_tallies()
            assembler = Assembler.restore(assembler.snapshot(), Site(), [SOURCE])
    got += assembler.finish()
    assert got == _all(data)


def test_records_have_every_field_and_encode() -> None:
    for record in _all(GOLDEN.read_bytes()):
        assert tuple(record) == FIELDS
        assert set(record["flags"]) <= set(FLAGS)
        avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})


def test_records_do_not_depend_on_file_or_year() -> None:
    """The same lines read elsewhere, later, as another stream, have the same ids."""
    data = GOLDEN.read_bytes()
    source = SOURCE.model_copy(update={"name": "other"})
    other = Assembler(Site(), [source], year=2020)
    again = other.read("other", data, 999, NOW + 10**12, NOW) + other.finish()
    assert _ids(again) == _ids(_all(data))


def test_at_the_bound_the_oldest_comes_out_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "TRANSACTIONS_MAX", 3)
    data = log(*(line for n in range(5) for line in message(queue_id=f"3F2A1C0D4{n}", removed=False)))
    assembler = Assembler(Site(), [SOURCE])
    records = assembler.read("mail", data, 0, NOW, NOW)
    assert [record["queue_id"] for record in records] == ["3F2A1C0D40", "3F2A1C0D41"]
    assert all(record["outcome"] == "UNKNOWN" and not record["is_final"] for record in records)
    assert assembler.take_tallies()["mail"].loss_markers == {"transactions-beyond-bound": 2}
    assert assembler.open_transactions == 3


def test_open_messages_come_out_at_the_end() -> None:
    records = read(log(*message(deferred("a@example.com"), removed=False)))
    assert [(record["outcome"], record["is_final"], record["flags"]) for record in records] == [
        ("DEFERRED", False, ["PARTIAL_END"])
    ]


def test_captured_through_waits_for_what_waits() -> None:
    """A record that is not made yet holds the claim back."""
    assembler = Assembler(Site(), [SOURCE])
    lines = message(sent("a@example.com"), removed=False)
    assembler.read("mail", log(*lines), 0, NOW, NOW)
    whole = assembler.take_tallies()["mail"].captured_through
    partial = Assembler(Site(), [SOURCE])
    partial.read("mail", log(lines[3], *["smtpd: connect from x[192.0.2.1]"] * 5), 0, NOW, NOW)
    held = partial.take_tallies()["mail"].captured_through
    assert whole is not None
    assert held is not None
    assert held < whole


def test_mutated_lines_never_raise_and_never_leak() -> None:
    """Bytes are changed, cut, doubled and moved at random (seeded); no content of the log reaches a record."""
    random_source = random.Random(20261124)
    secret = b"TheSubjectAndBodyOfAMail"
    lines = GOLDEN.read_bytes().splitlines()
    lines += [
        b"Nov 24 10:00:00 mx1 postfix/cleanup[1]: 4jYKJ82btYzLhNx: warning: header Subject: "
        + secret
        + b" from h[192.0.2.1]; "
        b"from=<a@example.com> to=<b@example.com> proto=ESMTP helo=<h>",
        b"Nov 24 10:00:00 mx1 postfix/pipe[1]: 4jYKJ82btYzLhNx: to=<a@example.com>, relay=x, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        b"status=sent (delivered via x service (" + secret + b"))",
        b"Nov 24 10:00:00 mx1 postfix/smtp[1]: 4jYKJ82btYzLhNx: to=<a@example.com>, relay=m[192.0.2.9]:25, delay=1, "
        b"delays=0/0/0/1, dsn=5.0.0, status=bounced (host m[192.0.2.9] said: 550 "
        + secret
        + b" (in reply to end of DATA))",
    ]
    assembler = Assembler(Site(), [SOURCE])
    for _ in range(MUTATIONS // 100):
        chunk = b"\n".join(_mutated(random_source, random_source.choice(lines)) for _ in range(100)) + b"\n"
        for record in assembler.read("mail", chunk, 0, NOW, NOW):
            assert secret.decode() not in repr(record)
            avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})
        counts = assembler.take_tallies()["mail"]
        seen = counts.lines_understood + sum(counts.lines_ignored.values()) + sum(counts.lines_not_understood.values())
        assert counts.lines_read == seen
    assembler.finish()


def _mutated(random_source: random.Random, line: bytes) -> bytes:
    """A line with up to three changes outside its free text (a change inside it may move text, not facts)."""
    data = bytearray(line)
    end = len(data) if b"TheSubject" not in line else 45
    for _ in range(random_source.randint(0, 3)):
        at = random_source.randrange(20, max(21, end))
        change = random_source.randrange(4)
        if change == 0:
            data[at : at + 1] = bytes([random_source.randrange(256)])
        elif change == 1:
            del data[at : at + random_source.randint(1, 5)]
        elif change == 2:
            data[at:at] = data[20 : 20 + random_source.randint(1, 9)]
        else:
            data[at:at] = bytes([random_source.choice(b'<>"\\[](),;:= \x00\xff')])
    return bytes(data).replace(b"\n", b" ")


@pytest.mark.parametrize(
    "junk", [b"\x00" * 1000 + b"\n", b"\xff\xfe\n" * 50, b"a" * (1 << 20) + b"\n", b"\r\n\r\n", b"no end"]
)
def test_junk_is_counted(junk: bytes) -> None:
    assembler = Assembler(Site(), [SOURCE])
    assert assembler.read("mail", junk, 0, NOW, NOW) == []
    counts = assembler.take_tallies()["mail"]
    assert counts.lines_read == sum(counts.lines_not_understood.values())
