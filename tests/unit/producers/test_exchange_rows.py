"""Rows that were written to mislead, mutated files, and bounds: nothing stops, every line is counted, no row is made up.

The files are built here (`exchange_files`); Exchange does not run where these tests do.
"""

import random
import time

import pytest

from infra.platform.settings import Site
from producers import rows as reading
from producers import tracking
from producers.assemble import Assembler
from producers.lines import Tally
from producers.sources import exchange_rows
from schemas import avro
from schemas.envelope import FIELDS, FLAGS, Envelope
from tests.conftest import LONG
from tests.unit.producers.exchange_files import (
    ALICE,
    BOB,
    SITE,
    TRACKING,
    delivered,
    header,
    passed,
    received,
    row,
    sent,
)
from tests.unit.producers.lines import NOW
from tests.unit.producers.test_junk import mutations

LINES = 300_000 if LONG else 6_000
CHUNK_LINES = 60
SEED = 79
OUT = "x@example.com"


def take(data: bytes) -> tuple[list[Envelope], Tally]:
    assembler = Assembler(SITE, [TRACKING])
    records = assembler.read("mail", data, 0, NOW, NOW) + assembler.finish()
    return records, assembler.take_tallies()["mail"]


@pytest.mark.parametrize(
    ("hurt", "reason"),
    [
        ("a,b,c\r\n", "exchange-columns"),
        (row("DELIVER", "STOREDRIVER", ALICE, date_time="yesterday").decode(), "no-header"),
        (row("DELIVER", "STOREDRIVER", ALICE, date_time="9999-12-31T23:59:59.999Z").decode(), "no-header"),
        (row("TELEPORT", "SMTP", ALICE).decode(), "exchange-event"),
        (delivered(ALICE, network_message_id="x", internal_message_id="y").decode(), "exchange-message-id"),
        ("x" * 70_000 + "\r\n", "line-too-long"),
    ],
)
def test_what_is_no_row_is_counted_with_a_reason(hurt: str, reason: str) -> None:
    records, tally = take(header() + hurt.encode() + received(BOB) + delivered(BOB))
    assert tally.lines_not_understood == {reason: 1}
    assert [record["recipient"] for record in records] == [BOB]


def test_a_quote_that_never_closes_swallows_its_file_and_no_more() -> None:
    """Of what it swallows nothing is read: it may be a stranger's."""
    swallowed = delivered(ALICE) * 300
    assembler = Assembler(SITE, [TRACKING])
    records = assembler.read("mail", header() + b'2026-11-24T09:00:00.000Z,"' + swallowed, 0, NOW, NOW)
    assert records == []
    counts = assembler.take_tallies()["mail"]
    assert counts.lines_read == 305
    assert sum(counts.lines_not_understood.values()) == 300
    records = assembler.read("mail", received(BOB) + delivered(BOB), 0, NOW, NOW)
    assert [record["recipient"] for record in records] == [BOB]


def test_a_subject_of_many_lines_costs_its_row_only() -> None:
    """Beyond the bound of a row its lines are skipped until the quote closes, never read as rows."""
    subject = "\r\n".join(delivered(ALICE).decode().replace('"', "") for _ in range(400))
    data = header() + received(BOB) + row("AGENTINFO", "AGENT", BOB, 1, message_subject=subject) + delivered(BOB)
    records, tally = take(data)
    assert [record["recipient"] for record in records] == [BOB]
    assert set(tally.lines_not_understood) == {"exchange-row-too-long"}
    assert tally.lines_read == data.count(b"\n")


def test_files_of_other_logs_are_not_read_as_tracking() -> None:
    other = b"#Software: Microsoft Exchange Server\r\n#Log-type: SMTP Receive Protocol Log\r\n"
    other += b"#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context\r\n"
    other += b"2026-11-24T09:00:00.000Z,X\\Y,08DE,1,192.0.2.1:25,192.0.2.2:1000,<,EHLO [192.0.2.2],\r\n"
    records, tally = take(other)
    assert (records, tally.lines_not_understood) == ([], {"exchange-columns": 1})


def test_too_many_recipients_are_not_understood() -> None:
    value = b";".join([b"a@b"] * 10_001)
    assert len(exchange_rows.addresses(value)) == 10_001
    data = header() + delivered(value.decode())
    assert take(data)[1].lines_not_understood == {"exchange-recipients": 1}


def test_statuses_that_cannot_be_told_apart_belong_to_nobody() -> None:
    status = "550 5.1.1 RESOLVER.ADR.NotFound;text;550 5.2.2 MapiException;text"
    records, _ = take(
        header() + received(f"{ALICE};{BOB}") + row("FAIL", "ROUTING", f"{ALICE};{BOB}", recipient_status=status)
    )
    assert {(record["outcome"], record["dsn"], record["smtp_code"]) for record in records} == {("BOUNCED", None, None)}


def test_bytes_that_are_no_text_are_kept() -> None:
    data = received(ALICE, return_path="b\udcffd@example.net") + delivered(ALICE)
    (record,) = take(header() + data)[0]
    assert record["sender"] == "b\\xffd@example.net"
    assert "INVALID_BYTES" in record["flags"]


def test_a_message_beyond_the_bound_comes_out_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "MESSAGES_MAX", 3)
    data = b"".join(
        received(ALICE, number, network_message_id=f"2fd37dca-1234-5bfb-175d-{number:012d}") for number in range(5)
    )
    records, tally = take(header() + data)
    assert len(records) == 5
    assert tally.loss_markers == {"messages-beyond-bound": 2}


def test_what_is_decided_is_forgotten_in_time() -> None:
    """Nothing is made twice while it is remembered, and nothing is remembered for ever."""
    assembler = Assembler(SITE, [TRACKING])
    records = assembler.read("mail", header() + received(ALICE) + delivered(ALICE), 0, NOW, NOW)
    assert len(records) == 1
    assert assembler.tick(NOW) == []
    assert assembler._joining._tracking.state()["messages"] == []


def test_a_message_without_an_end_comes_out_after_a_week() -> None:
    assembler = Assembler(SITE, [TRACKING])
    assembler.read("mail", header() + received(ALICE), 0, NOW, NOW)
    assert assembler.tick(NOW) == []
    (record,) = assembler.tick(NOW + tracking.QUEUED_MAX)
    assert (record["outcome"], record["is_final"], record["flags"]) == ("UNKNOWN", False, ["PARTIAL_END"])
    assert assembler._joining._tracking.state()["messages"] == []


def test_many_quotes_and_lines_cost_little() -> None:
    begun = time.process_time()
    for data in (b'"\n' * 60_000, b'a,"\n' + b"\n" * 60_000, b'"' * 60_000, b"," * 60_000, b'";' * 30_000):
        take(header() + data)
        exchange_rows.addresses(data)
    assert time.process_time() - begun < 5


def trace() -> list[bytes]:
    """Lines of a file with rows of all kinds, one of them of several lines."""
    data = header() + received(f"{ALICE};{BOB};{OUT}", message_subject='a\r\nb "c", d') + row("DEFER", "SMTP", OUT, 1)
    data += delivered(ALICE) + passed(BOB) + delivered(BOB, 3) + sent(OUT, 4) + row("AGENTINFO", "AGENT", OUT, 5)
    data += row("EXPAND", "ROUTING", BOB, 1, related_recipient_address="all@example.org")
    data += row("FAIL", "SMTP", OUT, 5, recipient_status="550 5.1.1 no") + row("DSN", "DSN", ALICE, 6, return_path="<>")
    data += row("TRANSFER", "ROUTING", BOB, 7, reference="1") + row("POISONMESSAGE", "POISONMESSAGE", BOB, 8)
    return data.splitlines()


def check(record: Envelope) -> None:
    assert tuple(record) == FIELDS
    assert set(record["flags"]) <= set(FLAGS)
    avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})


@pytest.mark.timeout(3600 if LONG else 120)
def test_mutated_rows_never_raise_and_counts_add_up() -> None:
    lines = mutations(random.Random(SEED), trace())
    assembler = Assembler(Site(), [TRACKING])
    records = understood = given = read = 0
    for number in range(LINES // CHUNK_LINES):
        # A new file now and then: an odd quote ends with it.
        mutated = [next(lines) for _ in range(CHUNK_LINES)]
        given += CHUNK_LINES
        offset = 0 if number % 2 == 0 else 10**6
        for record in assembler.read("mail", b"\n".join(mutated) + b"\n", offset, NOW, NOW):
            check(record)
            records += 1
        counts = assembler.take_tallies()["mail"]
        assert "fault" not in counts.lines_not_understood
        read += counts.lines_read
        understood += counts.lines_understood
    for record in assembler.finish():
        check(record)
        records += 1
    assert read <= given
    assert understood > LINES // 50
    assert records > 5


def test_every_line_of_mutated_files_is_counted_once() -> None:
    source = random.Random(SEED + 1)
    lines = mutations(source, trace())
    for _ in range(40):
        data = b"\n".join(line or b"x" for line in (next(lines) for _ in range(CHUNK_LINES))) + b"\n"
        _, tally = take(data)
        known = tally.lines_understood + sum(tally.lines_ignored.values())
        assert tally.lines_read == known + sum(tally.lines_not_understood.values())


def test_mutated_files_give_the_same_records_after_a_restart() -> None:
    lines = mutations(random.Random(SEED + 2), trace())
    chunks = [b"\n".join(next(lines) for _ in range(CHUNK_LINES)) + b"\n" for _ in range(20)]
    results = []
    for restart in (False, True):
        assembler, got = Assembler(Site(), [TRACKING]), []
        for number, chunk in enumerate(chunks):
            got += assembler.read("mail", chunk, (number % 3) * 10**6, NOW, NOW)
            assembler.take_tallies()
            if restart:
                assembler = Assembler.restore(assembler.snapshot(), Site(), [TRACKING])
        results.append(got + assembler.finish())
    assert results[0] == results[1]
    assert results[0]


def test_the_reader_s_bound_is_that_of_lines() -> None:
    assert reading.ROW_BYTES_MAX == 64 * 1024
