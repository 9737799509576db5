"""OpenSMTPD's lines of versions that no golden trace holds: 5.0 to 5.9, 6.0 to 6.3.

Debian's 6.8 cannot write them. They are built from the format strings of their source (smtp_session.c, mta.c, mda.c of
those years) and from logs in public issues and repositories.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from tests.golden.opensmtpd import make_expected as golden
from tests.unit.producers import smtpd_lines as smtpd
from tests.unit.producers.lines import NOW, ip
from tests.unit.producers.smtpd_lines import EVPID, HOP, MSGID, SESSION, message, one, records_of


def test_lines_of_6_0_and_6_3() -> None:
    """One line a recipient, no envelope ids at arrival; from 6.1 with the client in every line."""
    where = "address=192.0.2.1 host=c.example.net"
    lines = [
        f"{SESSION} smtp event=connected {where}",
        f'{SESSION} smtp event=starttls ciphers="version=TLSv1.2, cipher=X, bits=256"',
        f"{SESSION} smtp event=authentication user=bob {where} result=ok",
        f"{SESSION} smtp event=message {where} msgid={MSGID} from=<s@example.net> to=<a@example.org> size=9 ndest=1 proto=ESMTP",
        f"{SESSION} smtp event=message msgid={MSGID} from=<s@example.net> to=<b@example.com> size=9 ndest=1 proto=ESMTP",
        f'{SESSION} smtp event=failed-command {where} command="RCPT TO:<x@example.org>" result="550 Invalid recipient"',
        f"{SESSION} smtp event=closed {where} reason=quit",
        f"{HOP} mta event=connecting address=smtp+tls://192.0.2.9:25 host=mx.example.com",
        f"{HOP} mta event=connected",
        f'{HOP} mta event=starttls ciphers="version=TLSv1.2, cipher=Y, bits=256"',
        smtpd.relayed("b@example.com", 1).replace("mta ", "mta event="),
        smtpd.stored("a@example.org").replace("mda ", "mda event=").replace("delay=", "method=maildir delay="),
    ]
    refused, sent, delivered = records_of(*lines)
    assert (refused["recipient"], refused["smtp_code"], refused["sender_ip"]) == ("x@example.org", 550, ip("192.0.2.1"))
    assert (sent["recipient"], sent["outcome"], sent["recipient_port"]) == ("b@example.com", "SENT", 25)
    assert sent["tls"] == "version=TLSv1.2, cipher=Y, bits=256"
    assert (delivered["recipient"], delivered["outcome"]) == ("a@example.org", "DELIVERED")
    for record in (sent, delivered):
        assert (record["authenticated_user"], record["size_bytes"], record["recipient_count"]) == ("bob", 9, 2)
        assert record["flags"] == []


def test_lines_of_5_4() -> None:
    accepted = f"smtp-in: Accepted message {MSGID} on session {SESSION}: from=<s@example.net>, "
    lines = [
        f"smtp-in: New session {SESSION} from host c.example.net [192.0.2.1]",
        f"smtp-in: Accepted authentication for user bob on session {SESSION}",
        f"{accepted}to=<list@example.org>, size=1746, ndest=2, proto=ESMTP",
        f"{accepted}to=<b@example.com>, size=1746, ndest=1, proto=ESMTP",
        f'smtp-in: Failed command on session {SESSION}: "RCPT TO:<x@example.org>" => 550 5.1.1: Invalid recipient',
        f"smtp-in: Closing session {SESSION}",
        f"smtp-out: Connecting to tls://192.0.2.9:587 (mx.example.com) on session {HOP}...",
        f"smtp-out: Connected on session {HOP}",
        f"relay: TempFail for {EVPID}: session={HOP}, from=<s@example.net>, to=<b@example.com>, rcpt=<->, "
        "source=192.0.2.2, relay=192.0.2.9 (mx.example.com), delay=1s, stat=450 4.2.0 Later, delay=1s, stat=250",
        f"relay: Ok for {EVPID}: session={HOP}, from=<s@example.net>, to=<b@example.com>, rcpt=<->, "
        "source=192.0.2.2, relay=192.0.2.9 (mx.example.com), delay=9s, stat=250 2.0.0: f6e94209 Message accepted for delivery",
        f"smtp-out: Closing session {HOP}: 1 message sent.",
        f"delivery: Ok for {smtpd.evpid(1)}: from=<s@example.net>, to=<list@example.org>, user=u, method=mbox, "
        "delay=0s, stat=Delivered",
        f"delivery: PermFail for {smtpd.evpid(2)}: from=<s@example.net>, to=<u@example.org>, rcpt=<list@example.org>, "
        "user=u, method=mda, delay=0s, stat=Error (no)",
    ]
    refused, sent, delivered, bounced = records_of(*lines)
    assert (refused["recipient"], refused["dsn"], refused["smtp_code"]) == ("x@example.org", "5.1.1", 550)
    assert (sent["attempts"], sent["next_queue_id"], sent["recipient_port"]) == (2, "f6e94209", 587)
    assert (delivered["recipient"], bounced["original_recipient"]) == ("list@example.org", "list@example.org")
    assert (bounced["recipient"], bounced["outcome"]) == ("u@example.org", "BOUNCED")
    for record in (sent, delivered, bounced):
        assert (record["sender_ip"], record["authenticated_user"]) == (ip("192.0.2.1"), "bob")
        assert (record["size_bytes"], record["recipient_count"], record["flags"]) == (1746, 2, [])


def test_lines_of_5_7_to_5_9() -> None:
    """As logs in public issues and repositories have them; the mailbox's line by the same pattern."""
    told = "from=<s@example.net>, to=<{}>, rcpt=<{}>, "
    lines = [
        f"smtp-in: session {SESSION}: connection from host c.example.net [192.0.2.1] established",
        f"smtp-in: session {SESSION}: TLS started version=TLSv1/SSLv3 (TLSv1.2), cipher=X, bits=256",
        f"smtp-in: session {SESSION}: authentication successful for user bob ",
        f"smtp-in: session {SESSION}: msgid={MSGID}, status=Ok, from=<s@example.net>, to=<b@example.com>, "
        "size=341, ndest=1, proto=ESMTP",
        f"smtp-in: session {SESSION}: msgid={MSGID}, status=Ok, from=<s@example.net>, to=<a@example.org>, "
        "size=341, ndest=1, proto=ESMTP",
        f'smtp-in: session {SESSION}: received invalid command: "RCPT TO:<x@example.org> ORCPT=x@example.org"',
        f"smtp-in: session {SESSION}: connection from host c.example.net [192.0.2.1] closed (client sent QUIT)",
        f"smtp-out: session {HOP}: connecting to lmtp://192.0.2.9:24 (mx.example.com)",
        f"smtp-out: session {HOP}: evpid={EVPID}, status=PermFail, {told.format('b@example.com', '-')}"
        "source=192.0.2.2, relay=192.0.2.9 (mx.example.com), delay=0s, stat=550 5.1.1 no",
        f"mda: session {HOP}: evpid={smtpd.evpid(1)}, status=Ok, {told.format('a@example.org', 'a@example.org')}"
        "user=a, method=maildir, delay=0s, stat=Delivered",
        "smtp-out: routing: Failed to resolve MX for [blah]: Invalid domain name",
    ]
    refused, bounced, delivered = records_of(*lines)
    assert (refused["recipient"], refused["smtp_code"], refused["outcome"]) == ("x@example.org", None, "REFUSED")
    assert (bounced["recipient"], bounced["outcome"], bounced["recipient_port"]) == ("b@example.com", "BOUNCED", 24)
    assert (delivered["recipient"], delivered["outcome"]) == ("a@example.org", "DELIVERED")
    for record in (bounced, delivered):
        assert (record["sender_ip"], record["authenticated_user"]) == (ip("192.0.2.1"), "bob")
        assert (record["size_bytes"], record["recipient_count"], record["flags"]) == (341, 2, [])


def test_lines_of_5_0_to_5_3_name_no_recipient_at_arrival() -> None:
    lines = [
        f"smtp-in: New session {SESSION} from host localhost [IPv6:::1]",
        f"smtp-in: Accepted message {MSGID} on session {SESSION}: from=<>, size=9, nrcpts=2, proto=SMTP",
        f"relay: Ok for {EVPID}: from=<>, to=<b@example.com>, relay=192.0.2.9 (mx.example.com) delay=1s, stat=250 ok",
    ]
    sent, unknown = records_of(*lines)
    assert (sent["sender"], sent["recipient_ip"], sent["smtp_code"]) == ("", ip("192.0.2.9"), 250)
    assert sent["sender_ip"] == bytes(15) + b"\x01"
    assert (unknown["recipient"], unknown["outcome"], unknown["is_final"]) == (None, "UNKNOWN", False)


def test_parts_that_come_in_another_order() -> None:
    """To 5.9 several processes write: a delivery may stand before its message's line."""
    lines = message("a@example.com")
    record = one(lines[0], smtpd.relayed("a@example.com"), *lines[1:])
    assert (record["sender_ip"], record["flags"]) == (ip("192.0.2.1"), [])


@pytest.mark.parametrize("name", golden.TRACES)
def test_lines_of_a_console(name: str) -> None:
    """`smtpd -d` writes the same without time, host and tag; a container runtime puts a time in front.

    Only a filter's own words cannot be told from another program's then.
    """

    def facts(log: bytes) -> list[dict[str, Any]]:
        source = Source(name="console", path=Path("x"), mta="opensmtpd")
        assembler = Assembler(Site(host="mx2"), [source])
        records = assembler.read("console", log, 0, NOW, NOW) + assembler.finish()
        assert set(assembler.take_tallies()["console"].lines_not_understood) <= {"no-tag"}
        left_out = ("record_id", "message_key", "source_offset")  # made from the bytes of lines
        return [{name: value for name, value in record.items() if name not in left_out} for record in records]

    syslog = re.sub(
        rb"(?m)^(Nov) (\d\d) (\S+) ", rb"2026-11-\2T\3.000000123Z ", (golden.HERE / f"{name}.log").read_bytes()
    )
    assert facts(re.sub(rb"(?m)^(\S+) mx2 smtpd\[\d+\]: ", rb"\1 ", syslog)) == facts(syslog)
