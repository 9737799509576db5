"""The hard cases of Postfix's log on the way of mail through filters, maps and queues, by the numbers of the project's list."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.platform.clock import from_datetime
from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from schemas.envelope import Envelope, time_text
from tests.golden.postfix import worlds
from tests.unit.producers.lines import NOW, deferred, ip, log, message, one, outcomes, read, sent

FILTER = Site(filters=["127.0.0.1:10024"])
Q1, Q2 = "4jYKJ82btYzLhNx", "4jYKJ82btYzLhNy"


def went_in(
    queue_id: str, recipient: str, client: str, number: int = 1, message_id: str = "<m@example.net>"
) -> list[str]:
    """A message that a filter took under an id of its own."""
    line = sent(recipient, "127.0.0.1[127.0.0.1]:10024", f"250 2.5.0 OK (F{number})")
    return message(line, queue_id=queue_id, client=client, message_id=message_id)


def came_out(queue_id: str, recipient: str, message_id: str = "<m@example.net>") -> list[str]:
    """What the filter handed back."""
    return message(sent(recipient), queue_id=queue_id, client="localhost[127.0.0.1]:5000", message_id=message_id)


@pytest.mark.parametrize("out_first", [False, True])
def test_case_20_filter_with_an_id_of_its_own(out_first: bool) -> None:
    inside, outside = went_in(Q1, "a@example.com", "c[192.0.2.1]"), came_out(Q2, "a@example.com")
    lines = [*inside[:3], *outside, *inside[3:]] if out_first else [*inside, *outside]
    record = one(log(*lines), FILTER)
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("192.0.2.1"), "PARENT")
    assert (record["parent_queue_id"], record["queue_id"], record["flags"]) == (Q1, Q2, [])


def test_case_20_nothing_fits() -> None:
    """Another recipient, another Message-ID, or much later: the peer that handed it over is all there is."""
    inside = went_in(Q1, "a@example.com", "c[192.0.2.1]")
    for outside in (came_out(Q2, "b@example.com"), came_out(Q2, "a@example.com", "<other@example.net>")):
        assert one(log(*inside, *outside), FILTER)["parent_queue_id"] is None
    late = log(*inside) + log(*came_out(Q2, "a@example.com")).replace(b"T09:00", b"T09:30")
    assert one(late, FILTER)["parent_queue_id"] is None


def test_case_20_two_messages_fit() -> None:
    lines = [*went_in(Q1, "a@example.com", "c[192.0.2.1]"), *went_in("3F2A1C0D4E", "a@example.com", "d[192.0.2.2]", 2)]
    first, second = read(log(*lines, *came_out(Q2, "a@example.com"), *came_out("3F2A1C0D4F", "a@example.com")), FILTER)
    assert (first["sender_ip"], first["flags"]) == (ip("192.0.2.1"), ["AMBIGUOUS_PARSE"])
    assert (second["sender_ip"], second["flags"]) == (ip("192.0.2.2"), [])


def test_case_22_proxy_refuses() -> None:
    record = one(
        log(
            "smtpd: NOQUEUE: client=h.example.net[203.0.113.7]:4000",
            "anvil: statistics: max",
            "smtpd: x",
            "smtpd: proxy-reject: END-OF-MESSAGE: 550 5.7.1 Blocked; from=<s@example.net> to=<a@example.com> proto=ESMTP helo=<h>",
        )
    )
    assert (record["event"], record["outcome"], record["smtp_code"]) == ("REFUSAL", "REFUSED", 550)
    assert (record["sender_ip"], record["sender_port"], record["helo"]) == (ip("203.0.113.7"), 4000, "h")
    assert record["flags"] == ["RECIPIENTS_INCOMPLETE"]


def test_case_22_filter_refuses_what_was_taken() -> None:
    line = sent("a@example.com", "127.0.0.1[127.0.0.1]:10024").partition(", dsn=")[0]
    line += ", dsn=5.7.1, status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.7.1 Blocked (in reply to end of DATA command))"
    record = one(log(*message(line)), FILTER)
    assert (record["outcome"], record["sender_ip"], record["smtp_code"]) == ("BOUNCED", ip("192.0.2.1"), 550)


def test_case_23_one_message_id_in_many_messages() -> None:
    """A list's copies go into the filter from two servers and come out in another order; each keeps its client."""
    count = 2000
    name = "3F2A1C{:04X}".format
    inside = [
        line
        for number in range(count)
        for line in went_in(name(number), f"r{number}@example.com", f"c[192.0.2.{1 + number % 2}]", number)
    ]
    outside = [
        line for number in reversed(range(count)) for line in came_out(name(4096 + number), f"r{number}@example.com")
    ]
    data = re.sub(rb"T09:\d+:\d\d", b"T09:00:00", log(*inside, *outside))
    records = read(data, FILTER)
    assert len(records) == count
    for record in records:
        number = int((record["recipient"] or "")[1:].partition("@")[0])
        assert (record["parent_queue_id"], record["sender_ip"]) == (name(number), ip(f"192.0.2.{1 + number % 2}"))
        assert record["flags"] == []


def test_case_23_without_a_filter_nothing_is_joined() -> None:
    records = read(log(*message(sent("a@example.com")), *message(sent("a@example.com"), queue_id=Q2)))
    assert [record["parent_queue_id"] for record in records] == [None, None]


def bsd(stamp: str, *lines: str) -> bytes:
    """Lines with a stamp that has neither year nor zone."""
    return "".join(f"{stamp} mx1 postfix/{line.replace(': ', '[7]: ', 1)}\n" for line in lines).encode()


def in_zone(data: bytes, zone: str, now: int = NOW) -> list[Envelope]:
    """Records of a log whose stamps are in a zone."""
    assembler = Assembler(Site(), [Source(name="mail", path=Path("mail.log"), time_zone=zone)])
    return assembler.read("mail", data, 0, now, now) + assembler.finish()


ARRIVAL = "2026-11-23T21:46:00"  # what Q1 tells


def test_case_26_year_is_settled() -> None:
    for year, quality in ((2026, "EXACT"), (2030, "EXACT")):
        now = from_datetime(datetime(year, 12, 24, tzinfo=UTC))
        (record,) = in_zone(bsd("Nov 23 21:46:00", *message(sent("a@example.com"))), "UTC", now)
        assert (time_text(record["event_time"])[:19], record["time_quality"]) == (ARRIVAL, quality)
        assert time_text(record["accept_time"] or 0)[:19] == ARRIVAL
    (record,) = in_zone(bsd("Nov 23 21:46:00", *message(sent("a@example.com"), queue_id="3F2A1C0D4E")), "UTC")
    assert record["time_quality"] == "YEAR_INFERRED"


def test_case_26_repeated_hour_is_settled() -> None:
    """Budapest, 2026-10-25: 02:30 comes twice. The id says 01:30:00Z, which is the second one."""
    queue_id = "4jBzhS0000zLhNx"
    data = bsd("Oct 25 02:30:00", *message(sent("a@example.com"), queue_id=queue_id))
    (record,) = in_zone(data, "Europe/Budapest")
    assert (time_text(record["event_time"])[:19], record["time_quality"]) == ("2026-10-25T01:30:00", "EXACT")
    assert record["alternative_event_time"] is None
    (record,) = in_zone(data.replace(queue_id.encode(), b"3F2A1C0D4E"), "Europe/Budapest")
    assert (record["time_quality"], time_text(record["alternative_event_time"] or 0)[:19]) == (
        "AMBIGUOUS_HOUR",
        "2026-10-25T01:30:00",
    )


def test_case_26_zone_is_settled() -> None:
    """The settings say UTC, the server wrote its local time."""
    (record,) = in_zone(bsd("Nov 24 05:46:00", *message(sent("a@example.com"))), "UTC")
    assert (time_text(record["event_time"])[:19], record["time_quality"]) == (ARRIVAL, "EXACT")


def test_case_26_delay_counts() -> None:
    line = sent("a@example.com").replace("delay=0.1", "delay=90000")
    lines = message(line)
    data = bsd("Nov 23 21:46:00", *lines[:3]) + bsd("Nov 24 22:46:00", *lines[3:])
    (record,) = in_zone(data, "UTC", from_datetime(datetime(2029, 1, 1, tzinfo=UTC)))
    assert (time_text(record["event_time"])[:19], record["time_quality"]) == ("2026-11-24T22:46:00", "EXACT")


def test_case_26_what_does_not_agree_is_left_alone() -> None:
    (record,) = in_zone(bsd("Nov 23 20:39:17", *message(sent("a@example.com"))), "UTC")
    assert (time_text(record["event_time"])[:19], record["time_quality"]) == ("2026-11-23T20:39:17", "YEAR_INFERRED")


def test_case_29_redirect() -> None:
    """The action's line has no field of its own: who was written to is in original_recipient, as logged."""
    lines = message(sent("bob@example.com").replace(", relay", ", orig_to=<alice@example.com>, relay"))
    lines.insert(
        2,
        f"cleanup: {Q1}: redirect: header X: y from c[192.0.2.1]; from=<s@example.net> to=<alice@example.com> proto=ESMTP helo=<h>: bob@example.com",
    )
    record = one(log(*lines))
    assert (record["recipient"], record["original_recipient"]) == ("bob@example.com", "alice@example.com")
    assert record["flags"] == []


def test_case_30_copies_by_action() -> None:
    note = "bcc: RCPT from c[192.0.2.1]: <b@example.com>: Recipient address triggers BCC archive@example.com; from=<s@example.net> to=<b@example.com> proto=ESMTP helo=<h>"
    lines = message(sent("b@example.com"), sent("archive@example.com"))
    first, second = f"smtpd: {Q1}: {note}", f"smtpd: NOQUEUE: {note}"
    for data in (log(lines[0], first, *lines[1:]), log(second, *lines[1:2], "smtpd: x", lines[0], *lines[2:])):
        flags = {record["recipient"]: record["flags"] for record in read(data)}
        assert flags == {"b@example.com": [], "archive@example.com": ["ADDED_BY_SERVER"]}


def test_case_30_copies_by_map_need_the_setting() -> None:
    """always_bcc and the bcc maps are not logged: the record cannot tell a copy, unless the operator names the address."""
    data = log(*message(sent("b@example.com"), sent("archive@example.com")))
    assert [record["flags"] for record in read(data)] == [[], []]
    site = Site(added_recipients=["Archive@example.com"])
    assert [record["flags"] for record in read(data, site)] == [[], ["ADDED_BY_SERVER"]]


def test_case_31_repeated_rcpt() -> None:
    record = one(log(*message(sent("alice@example.com"))))
    assert record["recipient_count"] == 1
    told = [told for told in worlds.truth_of("clients") if told.scenario == "repeated RCPT"]
    got = [record for record in worlds.envelopes_of("clients") if record["sender"] == "twice@example.net"]
    assert len(told) == len(got) == 1


def test_case_38_sendmail_bv_is_no_mail() -> None:
    """Its report is a message of the server's own, and recorded."""
    lines = [
        f"pickup: {Q1}: uid=1000 from=<s@example.net>",
        f"cleanup: {Q1}: message-id=<m@example.net>",
        f"qmgr: {Q1}: from=<s@example.net>, size=370, nrcpt=1 (queue active)",
        f"smtp: {Q1}: {sent('a@example.com').replace('status=sent', 'status=deliverable')}",
        f"cleanup: {Q2}: message-id=<r@example.com>",
        f"bounce: {Q1}: sender delivery status notification: {Q2}",
        f"qmgr: {Q2}: from=<>, size=2000, nrcpt=1 (queue active)",
        f"qmgr: {Q1}: removed",
        f"virtual: {Q2}: to=<s@example.net>, relay=virtual, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (delivered to maildir)",
        f"qmgr: {Q2}: removed",
    ]
    record = one(log(*lines))
    assert (record["kind"], record["recipient"], record["sender"]) == ("DELIVERY_NOTICE", "s@example.net", "")


def test_case_38_a_probe_that_is_open_at_the_end_is_no_mail() -> None:
    lines = message(sent("a@example.com").replace("status=sent", "status=deliverable"), removed=False)
    assert read(log(*lines)) == []


def test_case_53_queue_file_size_limit() -> None:
    """The client was refused; the log names neither the reply nor an address, so the record has a client and no more."""
    lines = message(removed=False)[:2]
    warning = f"warning: {Q1}: queue file size limit exceeded"
    record = one(log(*lines, f"smtpd: {warning}", f"cleanup: {warning}"))
    assert (record["event"], record["outcome"], record["sender_ip"]) == ("REFUSAL", "REFUSED", ip("192.0.2.1"))
    assert (record["sender"], record["recipient"], record["smtp_code"]) == (None, None, None)
    assert record["flags"] == ["RECIPIENTS_INCOMPLETE"]
    assert read(log(f"cleanup: {warning}")) == []


def test_case_55_rewritten_sender() -> None:
    """The refusal shows what the client said, the delivery what the queue says; there, the other one is kept beside it."""
    lines = message(sent("a@example.com"), sender="Public@example.com")
    lines.insert(
        1,
        f"smtpd: {Q1}: reject: RCPT from c[192.0.2.1]: 550 5.1.1 <no@example.com>: unknown; from=<internal@example.com> to=<no@example.com> proto=ESMTP helo=<h>",
    )
    refused, delivered = read(log(*lines))
    assert (refused["sender"], refused["sender_logged"]) == ("internal@example.com", None)
    assert (delivered["sender"], delivered["sender_logged"]) == ("Public@example.com", "internal@example.com")
    assert outcomes([refused, delivered]) == {("no@example.com", "REFUSED"): 1, ("a@example.com", "SENT"): 1}


def test_case_62_two_clocks() -> None:
    """event_time is the mail server's, whatever its offset or its error; when it was read stands beside it."""
    lines = log(*message(sent("a@example.com"))).splitlines()
    winter = b"\n".join(lines[:3]).replace(b"000000Z", b"000000+00:00") + b"\n"
    summer = b"\n".join(lines[3:]).replace(b"T09:00", b"T11:00").replace(b"000000Z", b"000000+02:00") + b"\n"
    record = one(winter + summer)
    assert time_text(record["event_time"]) == "2026-11-24T09:00:03.000000Z"
    assert (record["time_quality"], record["observed_time"]) == ("EXACT", NOW)
    skewed = log(*message(sent("a@example.com"))).replace(b"2026-11-24", b"2026-11-20")
    record = one(skewed)
    assert (time_text(record["event_time"])[:10], record["observed_time"]) == ("2026-11-20", NOW)
    assert one(log(*message(deferred("a@example.com"), removed=False)))["observed_time"] == NOW
