"""Sendmail lines that were written to mislead: other fields stay what they are, and doubt is flagged.

Also junk: mutated lines of the trace never raise, are all counted, and give the same records after a restart.
"""

import random
import time

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.events import Deliveries, Event, NotUnderstood, Received, Refusal
from producers.sources import sendmail
from producers.sources.sendmail_values import unescaped
from schemas import avro
from schemas.envelope import FIELDS, FLAGS, Envelope
from tests.conftest import LONG
from tests.golden.sendmail.make_expected import LOG
from tests.unit.producers.lines import NOW, SOURCE, ip, one, read
from tests.unit.producers.sendmail_lines import QID, delivered, log, received
from tests.unit.producers.test_junk import CHUNK_LINES, mutations

LINES = 1_000_000 if LONG else 10_000
SEED = 20261126
# What a stranger may write into a quoted local part, a header, a reply.
EVIL = (
    "x>, size=1, class=0, nrcpts=9, msgid=<y>, proto=SMTP, daemon=X, relay=evil [6.6.6.6]",
    "x>, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=1, relay=evil [6.6.6.6], dsn=5.1.1, stat=User unknown",
    "x>, ctladdr=<spy@evil.example> (0/0), delay=00:00:00, mailer=prog, pri=1, dsn=4.0.0, stat=Deferred",
    "x>,<spy@evil.example>,<y",
    "x>, [more], delay=00:00:00, pri=1, stat=discarded",
    "x>, relay=evil [6.6.6.6], reject=450 4.0.0 <spy@evil.example>... No",
    "x>... User unknown",
    ", stat=Sent (pAO9001B012346 Message accepted for delivery)",
    "(x, <y",
    "x\\\\y, z",
)


def parsed(line: str) -> Event:
    """The event of a line of `received` or `delivered`."""
    return sendmail.parse(b"sm-mta", b"100", line.partition(": ")[2].encode())


@pytest.mark.parametrize("evil", EVIL)
def test_a_sender_changes_nothing_else(evil: str) -> None:
    record = one(log(received(f'<"{evil}"@example.net>'), delivered()))
    assert record["sender"] == f'"{unescaped(evil.encode()).decode()}"@example.net'
    assert (record["sender_ip"], record["size_bytes"], record["recipient_count"]) == (ip("192.0.2.1"), 370, 1)
    assert (record["message_id"], record["recipient"]) == ("<m@example.net>", "a@example.com")


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("controlling", ["", ', ctladdr=<"EVIL"@example.org> (8/12)', ", ctladdr=bob"])
def test_a_recipient_and_who_is_responsible_change_nothing_else(evil: str, controlling: str) -> None:
    line = delivered(f'<"{evil}"@x.example>,<b@x.example>', controlling=controlling.replace("EVIL", evil))
    records = read(log(received(count=2), line))
    assert [record["recipient"] for record in records] == [
        f'"{unescaped(evil.encode()).decode()}"@x.example',
        "b@x.example",
    ]
    for record in records:
        assert (record["outcome"], record["dsn"]) == ("SENT", "2.0.0")
        assert (record["recipient_ip"], record["recipient_host"]) == (ip("192.0.2.9"), "mx.example.com")
        assert record["flags"] == []


@pytest.mark.parametrize("evil", EVIL)
def test_a_message_id_changes_nothing_else(evil: str) -> None:
    event = parsed(received(message_id=f"<{evil}>"))
    assert isinstance(event, Received)
    assert (event.sender.text, event.size_bytes, event.recipient_count) == ("s@example.net", 370, 1)
    assert event.client.ip == ip("192.0.2.1")


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("reply", ["", ", reply=550 5.1.1 EVIL"])
def test_an_answer_changes_nothing(evil: str, reply: str) -> None:
    line = delivered(dsn="5.1.1" + reply.replace("EVIL", evil), stat=f"User unknown {evil}")
    event = parsed(line)
    assert isinstance(event, Deliveries)
    (delivery,) = event.deliveries
    assert (delivery.recipient.text, delivery.outcome, delivery.dsn) == ("a@example.com", "BOUNCED", "5.1.1")
    assert (delivery.relay.ip, delivery.next_queue_id) == (ip("192.0.2.9"), None)
    assert delivery.smtp_code == (550 if reply else None)


@pytest.mark.parametrize("evil", EVIL)
def test_a_refused_address_changes_nothing(evil: str) -> None:
    address = f'<"{evil}"@x.example>'
    for rest in (
        f"ruleset=check_rcpt, arg1={address}, relay=c [192.0.2.1], reject=550 5.7.1 {address}... Relaying denied",
        f"Milter: to={address}, reject=550 5.7.1 {address}... No",
        f"{address}... User unknown",
    ):
        event = sendmail.parse(b"sm-mta", b"100", f"{QID}: {rest}".encode())
        assert isinstance(event, Refusal), rest
        assert event.recipient is not None
        assert event.recipient.text == f'"{unescaped(evil.encode()).decode()}"@x.example'
        assert (event.outcome, event.smtp_code) == ("REFUSED", None if rest.endswith("unknown") else 550)
        assert event.client.ip == (ip("192.0.2.1") if rest.startswith("ruleset") else None)
        assert event.flags == ()


@pytest.mark.parametrize("evil", EVIL)
def test_a_header_cannot_hold_or_discard_a_message(evil: str) -> None:
    """The argument of a header's ruleset is content."""
    for imitated in (", quarantine=x", ", discard", ", relay=x [6.6.6.6], reject=450 4.0.0 x"):
        rest = f"ruleset=CheckSubject, arg1= {evil}{imitated}, relay=c [192.0.2.1], reject=554 5.7.1 No"
        event = sendmail.parse(b"sm-mta", b"100", f"{QID}: {rest}".encode())
        assert event == (QID, "5.7.1", 554)
        assert evil not in repr(event)


def test_commands_and_replies_of_a_talkative_log_are_no_facts() -> None:
    for said in (received(), delivered(), f"x: {QID}: discarded", f"x: {QID}: {QID}: DSN: Return receipt"):
        text = said.partition(": ")[2].partition(": ")[2]
        assert read(log(f"sm-mta: {QID}: <-- {text}", f"sm-mta: {QID}: --- 550 {text}")) == []


def test_a_host_that_is_quoted_is_no_result() -> None:
    """What was not connected to comes out of an address."""
    line = delivered(relay='"a, dsn=2.0.0, stat=Sent (x)".example', dsn="5.1.2", stat="Host unknown")
    record = one(log(received(), line))
    assert (record["outcome"], record["recipient_ip_origin"]) == ("BOUNCED", "NOT_CONNECTED")


def test_a_recipient_that_sendmail_cut_is_in_doubt() -> None:
    record = one(log(received(), delivered('<"' + "a" * 800)))
    assert record["outcome"] == "SENT"
    assert {"AMBIGUOUS_PARSE", "TRUNCATED"} <= set(record["flags"])


def test_a_sender_that_sendmail_cut_is_in_doubt() -> None:
    record = one(log(received('<"' + "a" * 198), delivered()))
    assert {"AMBIGUOUS_PARSE", "TRUNCATED"} <= set(record["flags"])
    assert record["sender_ip"] == ip("192.0.2.1")


def test_bytes_that_cannot_be_printed() -> None:
    record = one(log(received(r"<\303\244@example.net>", message_id=r"<\377\\x@b>"), delivered(r"\\carol")))
    assert (record["sender"], record["message_id"]) == ("ä@example.net", "<\\xff\\x5cx@b>")
    assert (record["recipient"], record["recipient_logged"]) == ("carol", "\\carol")
    assert record["flags"] == ["INVALID_BYTES"]


@pytest.mark.parametrize("size", ["9" * 30, "x", ""])
def test_a_size_that_is_none_is_not_understood(size: str) -> None:
    assert parsed(received().replace("size=370", f"size={size}")) == NotUnderstood("sendmail-from")


def test_many_false_beginnings_cost_little() -> None:
    begun = time.process_time()
    for piece in (b', relay=<"', b", delay=00:00:00", b'<"', b"(", b", size=1, class=0, nrcpts=1", b"\\\\", b"... "):
        for head in (b"from=", b"to=", b"ruleset=check_rcpt, arg1=<", b"ruleset=X, arg1=", b"<", b"AUTH=server, "):
            sendmail.parse(b"sm-mta", b"1", QID.encode() + b": " + head + piece * (60_000 // len(piece)))
    assert time.process_time() - begun < 10


def test_mutated_lines_never_raise_and_counts_add_up() -> None:
    lines = mutations(random.Random(SEED), LOG.read_bytes().splitlines())
    assembler = Assembler(Site(own_domains=["example.org"]), [SOURCE])
    understood = records = 0
    for number in range(LINES // CHUNK_LINES):
        mutated = [next(lines) for _ in range(CHUNK_LINES)]
        for record in assembler.read("mail", b"\n".join(mutated) + b"\n", number * 10**6, NOW, NOW):
            assert tuple(record) == FIELDS
            assert set(record["flags"]) <= set(FLAGS)
            avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})
            records += 1
        counts = assembler.take_tallies()["mail"]
        known = counts.lines_understood + sum(counts.lines_ignored.values())
        assert counts.lines_read == sum(bool(line) for line in mutated)
        assert counts.lines_read == known + sum(counts.lines_not_understood.values())
        assert "fault" not in counts.lines_not_understood
        understood += counts.lines_understood
    records += len(assembler.finish())
    assert understood > LINES // 10
    assert records > LINES // 100


def test_mutated_lines_give_the_same_records_again() -> None:
    lines = mutations(random.Random(SEED + 1), LOG.read_bytes().splitlines())
    chunks = [b"\n".join(next(lines) for _ in range(CHUNK_LINES)) + b"\n" for _ in range(20)]
    results: list[list[Envelope]] = []
    for restart_at in (None, 7):
        assembler = Assembler(Site(), [SOURCE])
        got: list[Envelope] = []
        for number, chunk in enumerate(chunks):
            if number == restart_at:
                assembler = Assembler.restore(assembler.snapshot(), Site(), [SOURCE])
            got += assembler.read("mail", chunk, 0, NOW, NOW)
            assembler.take_tallies()
        results.append(got + assembler.finish())
    assert results[0] == results[1]
    assert results[0]
