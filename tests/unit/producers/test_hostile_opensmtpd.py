"""OpenSMTPD's lines with values written to mislead, and junk: other fields stay what they are, nothing stops."""

import random
import time

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.sources import opensmtpd
from schemas import avro
from schemas.envelope import FIELDS, FLAGS
from tests.conftest import LONG
from tests.golden.opensmtpd.make_expected import HERE, TRACES
from tests.unit.producers import smtpd_lines as smtpd
from tests.unit.producers.lines import NOW, SOURCE, ip
from tests.unit.producers.smtpd_lines import CLIENT, EVPID, HOP, MSGID, SESSION, message, one
from tests.unit.producers.test_junk import mutations

LINES = 1_000_000 if LONG else 10_000
CHUNK_LINES = 100
SEED = 20261125
FALSE = '" delay=0s result="Ok" stat="250 2.0.0 Ok: queued as FFFFFF'


def failed(command: str, result: str) -> str:
    return f'{SESSION} smtp failed-command command="{command}" result="{result}"'


def test_a_reply_that_imitates_a_delivery_changes_nothing() -> None:
    record = one(
        *message("a@example.com"), smtpd.relayed("a@example.com", result="PermFail", stat=f"550 5.1.1 x{FALSE}")
    )
    assert (record["outcome"], record["smtp_code"], record["dsn"]) == ("BOUNCED", 550, "5.1.1")
    assert (record["next_queue_id"], record["flags"]) == (None, [])


def test_output_of_a_mailbox_program_that_imitates_a_reply_is_none() -> None:
    record = one(*message("a@example.org"), smtpd.stored("a@example.org", result="PermFail", stat="250 2.0.0 Ok"))
    assert (record["outcome"], record["smtp_code"], record["dsn"]) == ("BOUNCED", None, None)


def test_a_next_hops_name_with_quotes_puts_the_rest_in_doubt() -> None:
    """No resolver should hand out such a name. The mail is recorded; what became of it is flagged."""
    line = smtpd.relayed("a@example.com", relay=f"192.0.2.9 (x{FALSE} y)", result="PermFail", stat="550 no")
    record = one(*message("a@example.com"), line)
    assert (record["recipient"], record["sender"]) == ("a@example.com", "s@example.net")
    assert record["recipient_ip"] == ip("192.0.2.9")
    assert "AMBIGUOUS_PARSE" in record["flags"]


def test_a_clients_name_that_imitates_fields_is_only_a_name() -> None:
    lines = message("a@example.com")
    lines[0] = f"{SESSION} smtp connected address=192.0.2.1 host=x address=6.6.6.6 host=y"
    record = one(*lines, smtpd.relayed("a@example.com"))
    assert (record["sender_ip"], record["sender_host"]) == (ip("192.0.2.1"), "x address=6.6.6.6 host=y")


def test_a_name_in_the_lines_of_6_3_that_imitates_a_message() -> None:
    """There the client's name stands before the message's fields; no blank is in those."""
    host = "x msgid=00000000 from=<f@f> to=<f@f> size=1 ndest=1 proto=SMTP"
    lines = [
        f"{SESSION} smtp event=connected address=192.0.2.1 host={host}",
        f"{SESSION} smtp event=message address=192.0.2.1 host={host} msgid={MSGID} from=<s@example.net> "
        "to=<msgid=11111111@example.com> size=9 ndest=1 proto=ESMTP",
        smtpd.relayed("msgid=11111111@example.com"),
    ]
    record = one(*lines)
    assert (record["queue_id"], record["sender"], record["size_bytes"]) == (MSGID, "s@example.net", 9)
    assert record["recipient"] == "msgid=11111111@example.com"


@pytest.mark.parametrize(
    ("command", "sender", "recipient"),
    [
        ('RCPT TO:<a@example.org> " result="250 ok', None, "a@example.org"),
        (r"rcpt to: <a@example.org> X=\M-C\M-)", None, "a@example.org"),
        (r'RCPT TO:<"a\\"> to=<b"@example.org>', None, r'"a\"> to=<b"@example.org'),
        ("RCPT TO:<a@example.org", None, None),
        ("RCPT TO:a@example.org b@example.org", None, "a@example.org"),
        ("RCPT TO:", None, None),
        ("MAIL FROM:<> SIZE=1", "", None),
        ("MAIL FROM:<s@example.net> RCPT TO:<b@example.org>", "s@example.net", None),
    ],
)
def test_a_command_gives_the_address_of_its_path_only(command: str, sender: str | None, recipient: str | None) -> None:
    record = one(CLIENT, failed(command, "550 5.7.1 No RCPT TO:<c@example.org>"))
    assert (record["sender"], record["recipient"]) == (sender, recipient)
    assert (record["smtp_code"], record["dsn"], record["sender_ip"]) == (550, "5.7.1", ip("192.0.2.1"))
    assert ("AMBIGUOUS_PARSE" in record["flags"]) == (" result=" in command)


@pytest.mark.parametrize(
    ("command", "result", "flags"),
    [
        ("", "550 no rDNS", []),
        ("EHLO x", "451 4.7.1 Later", ["TEMPORARY"]),
        ("DATA", "451 Try again later", ["TEMPORARY", "RECIPIENTS_INCOMPLETE"]),
        ("DATA", "500 5.4.6 Routing loop detected: Loop detected", ["RECIPIENTS_INCOMPLETE"]),
        ("RCPT TO:<a@example.org>", "503 Unsupported option x", []),
    ],
)
def test_refusals(command: str, result: str, flags: list[str]) -> None:
    record = one(CLIENT, failed(command, result))
    assert (record["event"], record["outcome"], record["flags"]) == ("REFUSAL", "REFUSED", flags)


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("EHLO", "501 5.5.4 Invalid command arguments: Invalid domain name"),
        ("AUTH PLAIN (...)", "535 Authentication failed"),
        ("RCPT TO:<a@example.org>", "503 5.5.1 Invalid command: Command not allowed at this point."),
        ("DATA", "503 5.5.1 Invalid command: Command not allowed at this point."),
        ("HELP me", "500 5.5.4 Invalid command arguments: command does not accept arguments."),
    ],
)
def test_what_a_client_got_wrong_is_no_refusal(command: str, result: str) -> None:
    records, tally = smtpd.read(smtpd.smtpd(CLIENT, failed(command, result)))
    assert (records, tally.lines_ignored) == ([], {"opensmtpd-client-fault": 1})


def test_bytes_that_are_no_text_are_kept_and_flagged() -> None:
    data = smtpd.smtpd(*message("NAME@example.com"), smtpd.relayed("NAME@example.com")).replace(b"NAME", b"\xffa")
    (record,), tally = smtpd.read(data)
    assert (record["recipient"], record["flags"]) == ("\\xffa@example.com", ["INVALID_BYTES"])
    assert tally.lines_not_understood == {}


def test_an_address_with_quotes_is_cut_where_it_ends() -> None:
    """None is taken from a client; an alias file may hold one."""
    line = smtpd.relayed('"x> rcpt=<y z"@example.com', rcpt="list@example.org")
    record = one(*message("list@example.org"), line)
    assert record["recipient"] == '"x> rcpt=<y z"@example.com'
    assert record["original_recipient"] == "list@example.org"


@pytest.mark.parametrize(
    "text",
    [
        f"{HOP} mta delivery evpid={EVPID} from=<" + "> to=<" * 10_000,
        f'{HOP} mta delivery evpid={EVPID} from=<a> to=<b> rcpt=<-> source="" relay="'
        + '" delay=1s result="Ok" ' * 2_000,
        f"{SESSION} smtp event=message msgid={MSGID} from=<" + "> to=<" * 10_000,
        f"smtp-in: Accepted message {MSGID} on session {SESSION}: from=<" + ">, to=<" * 8_000,
        f"smtp-in: New session {SESSION} from host " + " [" * 30_000,
        f'{SESSION} smtp failed-command command="RCPT TO:<' + '" result="' * 6_000,
        f"relay: Ok for {EVPID}: from=<" + ">, to=<" * 8_000,
        f"{SESSION} smtp authentication user=" + "\\M-" * 15_000 + " result=ok",
    ],
)
def test_long_lines_cost_little(text: str) -> None:
    begun = time.process_time()
    opensmtpd.parse(b"smtpd", b"7", text.encode())
    assert time.process_time() - begun < 1


def old_lines() -> list[bytes]:
    """Lines of other versions, which no trace holds."""
    lines = [
        f"smtp-in: New session {SESSION} from host c.example.net [192.0.2.1]",
        f"smtp-in: Accepted message {MSGID} on session {SESSION}: from=<s@a.b>, to=<b@a.b>, size=1746, ndest=1, proto=ESMTP",
        f'smtp-in: Failed command on session {SESSION}: "RCPT TO:<x@example.org>" => 550 5.1.1: Invalid recipient',
        f"relay: Ok for {EVPID}: session={HOP}, from=<s@a.b>, to=<b@a.b>, rcpt=<->, source=192.0.2.2, "
        "relay=192.0.2.9 (mx), delay=9s, stat=250 2.0.0: f6e94209 Message accepted for delivery",
        f"{SESSION} smtp event=message msgid={MSGID} from=<s@a.b> to=<b@a.b> size=9 ndest=1 proto=ESMTP",
    ]
    return smtpd.smtpd(*lines).splitlines()


@pytest.mark.timeout(3600 if LONG else 120)
def test_mutated_lines_never_raise_and_counts_add_up() -> None:
    source = random.Random(SEED)
    traces = [line for name in TRACES for line in (HERE / f"{name}.log").read_bytes().splitlines()]
    lines = mutations(source, traces + old_lines() * 10)
    assembler = Assembler(Site(own_domains=["example.org"], own_networks=["192.0.2.0/24"]), [SOURCE])
    read = understood = records = given = 0
    for number in range(LINES // CHUNK_LINES):
        mutated = [next(lines) for _ in range(CHUNK_LINES)]
        given += sum(bool(line) for line in mutated)
        for record in assembler.read("mail", b"\n".join(mutated) + b"\n", number * 10**6, NOW, NOW):
            assert tuple(record) == FIELDS
            assert set(record["flags"]) <= set(FLAGS)
            avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})
            records += 1
        counts = assembler.take_tallies()["mail"]
        known = counts.lines_understood + sum(counts.lines_ignored.values())
        assert counts.lines_read == known + sum(counts.lines_not_understood.values())
        assert "fault" not in counts.lines_not_understood
        read += counts.lines_read
        understood += counts.lines_understood
    records += len(assembler.finish())
    assert read == given
    assert understood > LINES // 10
    assert records > LINES // 100
