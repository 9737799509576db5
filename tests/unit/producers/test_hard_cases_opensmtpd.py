"""Hard case 76 by number, and what else OpenSMTPD's way of logging asks for.

Debian's 6.8 writes the forms of 6.4 to 7.x that the golden traces hold. Lines of other versions are built here from the
format strings of their source: 5.4 (smtp_session.c of 2014, mda.c, mta.c), 6.0 and 6.3 (`event=`), 7.x (`cert-check`).
"""

from collections import Counter

import pytest

from infra.platform.clock import DAY
from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.events import Ignored
from producers.sources.route import Program, program_of
from tests.unit.producers import smtpd_lines as smtpd
from tests.unit.producers.lines import NOW, SOURCE, ip
from tests.unit.producers.smtpd_lines import CLIENT, CLOSED, EVPID, HOP, MSGID, SESSION, message, one, records_of


def test_case_76_an_envelope_that_nobody_announced_joins_by_its_id() -> None:
    """An alias made two of one; only the last one's id was announced."""
    lines = [
        *message("list@example.org"),
        smtpd.relayed("carol@example.com", 7, rcpt="list@example.org"),
        smtpd.stored("list@example.org", 0),
    ]
    carol, stored = records_of(*lines)
    assert (carol["recipient"], carol["original_recipient"]) == ("carol@example.com", "list@example.org")
    assert (stored["recipient"], stored["original_recipient"]) == ("list@example.org", None)
    for record in (carol, stored):
        assert (record["sender"], record["sender_ip"]) == ("s@example.net", ip("192.0.2.1"))
        assert (record["queue_id"], record["size_bytes"], record["recipient_count"]) == (MSGID, 552, 1)
        assert record["message_key"] == carol["message_key"]
        assert record["flags"] == []


def test_case_76_it_joins_also_when_its_message_was_never_seen() -> None:
    record = one(smtpd.relayed("carol@example.com", rcpt="list@example.org"))
    assert (record["queue_id"], record["sender"], record["recipient"]) == (MSGID, "s@example.net", "carol@example.com")
    assert (record["sender_ip_origin"], record["flags"]) == ("NOT_LOGGED", ["PARTIAL_START"])


def test_two_envelopes_of_one_recipient_are_two() -> None:
    """The client gave the recipient twice: two copies, each with attempts of its own."""
    later = {"result": "TempFail", "stat": "Error (temporary failure: exited abnormally)"}
    lines = [
        *message("a@example.org", "a@example.org"),
        smtpd.stored("a@example.org", 0, **later),
        smtpd.stored("a@example.org", 1, **later),
        smtpd.stored("a@example.org", 1, **later),
        smtpd.stored("a@example.org", 0),
        smtpd.stored("a@example.org", 1),
    ]
    assert [(record["outcome"], record["attempts"]) for record in records_of(*lines)] == [
        ("DELIVERED", 2),
        ("DELIVERED", 3),
    ]


def test_what_is_announced_and_not_decided_comes_out_by_name() -> None:
    records = records_of(*message("a@example.org", "b@example.com"), smtpd.stored("a@example.org", 0))
    assert [(record["recipient"], record["outcome"], record["is_final"]) for record in records] == [
        ("a@example.org", "DELIVERED", True),
        ("b@example.com", "UNKNOWN", False),
    ]
    assert records[1]["flags"] == ["PARTIAL_END"]


def test_taken_in_without_any_recipient_logged() -> None:
    """The log ends behind the message's line: somebody sent something to two recipients."""
    record = one(*message("a@example.org", "b@example.org")[:2])
    assert (record["recipient"], record["outcome"], record["recipient_count"]) == (None, "UNKNOWN", 2)
    assert "RECIPIENTS_INCOMPLETE" in record["flags"]


def test_a_session_that_takes_nothing_in_makes_no_record() -> None:
    assert records_of(CLIENT, CLOSED) == []


@pytest.mark.parametrize(
    ("word", "outcome", "flags"), [("Expire", "EXPIRED", []), ("Remove", "DELETED", ["ADMINISTRATIVE"])]
)
def test_an_envelope_that_expires_or_is_removed(word: str, outcome: str, flags: list[str]) -> None:
    """The queue writes so in every version, `<@>` for the null reverse-path."""
    lines = [
        *message("a@example.com", "b@example.com", sender=""),
        smtpd.relayed("a@example.com", 0, sender="", result="TempFail", stat="450 4.2.0 Later"),
        f"relay: {word} for {EVPID}: from=<@>, to=<a@example.com>, rcpt=<->, delay=4d1s, stat=whatever",
        smtpd.relayed("b@example.com", 1, sender=""),
    ]
    first, second = records_of(*lines)
    assert (first["sender"], first["recipient"], first["outcome"]) == ("", "a@example.com", outcome)
    assert (first["attempts"], first["recipient_ip"], first["smtp_code"]) == (1, ip("192.0.2.9"), 450)
    assert first["flags"] == flags
    assert (second["outcome"], second["flags"]) == ("SENT", [])  # the other one has nothing to do with it


def test_removed_before_any_attempt() -> None:
    line = f"relay: Remove for {EVPID}: from=<s@example.net>, to=<c@example.com>, rcpt=<list@example.org>, delay=1s, stat=R"
    record = one(*message("list@example.org"), line)
    assert (record["recipient"], record["original_recipient"]) == ("c@example.com", "list@example.org")
    assert (record["outcome"], record["attempts"], record["recipient_ip_origin"]) == ("DELETED", 0, "NOT_CONNECTED")


def test_next_hop_port_and_tls_are_those_of_its_session() -> None:
    lines = [
        f"{HOP} mta connecting address=smtps://[2001:db8::9]:465 host=mx.example.com",
        f"{HOP} mta connected",
        f"{HOP} mta tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
        f'{HOP} mta cert-check result="unverified" fingerprint="SHA256:00"',
        *message("a@example.com", "b@example.com"),
        smtpd.relayed("a@example.com", 0, relay="[2001:db8::9] (mx.example.com)"),
        f"{HOP} mta disconnected reason=quit messages=1",
        smtpd.relayed("b@example.com", 1, relay="[2001:db8::9]"),
    ]
    first, second = records_of(*lines)
    assert (first["recipient_host"], first["recipient_port"]) == ("mx.example.com", 465)
    assert first["tls"] == "TLSv1.3:TLS_AES_256_GCM_SHA384:256"
    assert first["recipient_ip"] is not None
    assert first["recipient_ip"].hex() == "20010db8000000000000000000000009"
    assert (second["recipient_host"], second["recipient_port"], second["tls"]) == (None, None, None)


def test_no_next_hop_was_found() -> None:
    """The relay is the domain then, the session is 0."""
    line = smtpd.relayed("a@example.com", relay="example.com", result="PermFail", stat="No MX found for domain")
    record = one(*message("a@example.com"), line.replace(HOP, "0" * 16))
    assert (record["outcome"], record["recipient_ip_origin"], record["recipient_host"]) == (
        "BOUNCED",
        "NOT_CONNECTED",
        None,
    )
    assert (record["smtp_code"], record["dsn"]) == (None, None)


@pytest.mark.parametrize(
    ("stat", "next_queue_id"),
    [
        ("250 2.0.0: f6e94209 Message accepted for delivery", "f6e94209"),
        ("250 2.0.0 f6e94209 Message accepted for delivery", "f6e94209"),
        ("250 2.0.0 Ok: queued as 4jYfsT3b2wzmVLl", "4jYfsT3b2wzmVLl"),
        ("250 OK id=1tFmQe-0000cD-1x", "1tFmQe-0000cD-1x"),
        ("250 Ok, thanks", None),
    ],
)
def test_the_next_hops_id(stat: str, next_queue_id: str | None) -> None:
    record = one(*message("a@example.com"), smtpd.relayed("a@example.com", stat=stat))
    assert (record["next_queue_id"], record["smtp_code"]) == (next_queue_id, 250)


def test_a_user_whose_name_holds_blanks_and_other_bytes() -> None:
    """vis(3) encodes them; the name is what the client gave."""
    lines = message("a@example.com")
    lines.insert(1, rf"{SESSION} smtp authentication user=bob\040sm\M-C\M-,th\\x result=ok")
    record = one(*lines, smtpd.relayed("a@example.com"))
    assert record["authenticated_user"] == "bob smìth\\x"


def test_a_failed_login_names_nobody() -> None:
    lines = message("a@example.com")
    lines.insert(1, f"{SESSION} smtp authentication user=bob result=permfail")
    assert one(*lines, smtpd.relayed("a@example.com"))["authenticated_user"] is None


def test_a_message_id_of_smtpd_that_is_used_again() -> None:
    again = [line.replace(SESSION, "0" * 15 + "1") for line in message("a@example.com", sender="t@example.net")]
    lines = [
        *message("a@example.com"),
        smtpd.relayed("a@example.com"),
        *again,
        smtpd.relayed("a@example.com", sender="t@example.net"),
    ]
    first, second = records_of(*lines)
    assert (first["sender"], second["sender"]) == ("s@example.net", "t@example.net")
    assert first["message_key"] != second["message_key"]


def test_content_filter_is_a_hop_and_its_second_message_has_the_first_ones_client() -> None:
    """In through 192.0.2.1, to the filter at 10025, back in from 127.0.0.1 as another message, out."""
    back = [
        "1" * 16 + " smtp connected address=127.0.0.1 host=localhost",
        "1" * 16 + " smtp message msgid=beefbeef size=600 nrcpt=1 proto=ESMTP",
        "1" * 16 + " smtp envelope evpid=beefbeef00000001 from=<s@example.net> to=<a@example.com>",
    ]
    out = smtpd.relayed("a@example.com").replace(EVPID, "beefbeef00000001")
    lines = [
        f"{HOP} mta connecting address=smtp://127.0.0.1:10025 host=localhost",
        *message("a@example.com"),
        *back,
        smtpd.relayed("a@example.com", relay="127.0.0.1 (localhost)", stat="250 2.0.0 Ok: queued as beefbeef"),
        out.replace(HOP, "2" * 16),
    ]
    record = one(*lines, site=Site(filters=["localhost:10025", "127.0.0.1"]))
    assert (record["queue_id"], record["sender_ip"], record["sender_ip_origin"]) == (
        "beefbeef",
        ip("192.0.2.1"),
        "PARENT",
    )


# What is let go, and what is kept over a restart of the agent.


def test_a_message_is_let_go_an_hour_after_it_was_last_heard_of() -> None:
    assembler = Assembler(Site(), [SOURCE])
    deferred = smtpd.relayed("b@example.com", 1, result="TempFail", stat="450 Later")
    first = smtpd.smtpd(*message("a@example.org", "b@example.com"), smtpd.stored("a@example.org", 0), deferred)
    assert len(assembler.read("mail", first, 0, NOW, NOW + DAY)) == 1

    def at(hour: int, line: str) -> bytes:
        return smtpd.smtpd(line).replace(b"T09", f"T{hour:02d}".encode())

    assembler.read("mail", at(11, "info: mta paused"), 0, NOW, NOW + DAY)
    assert assembler.open_transactions == 1  # one recipient is undecided
    waiting, late = assembler.read("mail", at(13, smtpd.relayed("b@example.com", 1)), 0, NOW, NOW + DAY)
    assert (waiting["outcome"], waiting["is_final"]) == ("DEFERRED", False)
    assert (late["sender_ip"], late["attempts"], late["is_final"]) == (ip("192.0.2.1"), 2, True)
    assembler.read("mail", at(16, CLIENT), 0, NOW, NOW + DAY)
    assert assembler.open_transactions == 0


def test_a_message_whose_lines_are_lost_is_given_up_after_days() -> None:
    assembler = Assembler(Site(), [SOURCE])
    assembler.read("mail", smtpd.smtpd(*message("a@example.org")), 0, NOW, NOW)
    assert assembler.tick(NOW + 5 * DAY) == []
    (record,) = assembler.tick(NOW + 7 * DAY)
    assert (record["recipient"], record["outcome"], record["flags"]) == ("a@example.org", "UNKNOWN", ["PARTIAL_END"])
    assert assembler.open_transactions == 0


def test_a_snapshot_in_the_middle_changes_nothing() -> None:
    lines = [
        f"{HOP} mta connecting address=smtp://192.0.2.9:25 host=mx.example.com",
        *message("a@example.com", "b@example.com", "c@example.com"),
        smtpd.relayed("a@example.com", 0, result="TempFail", stat="450 4.2.0 Later"),
        smtpd.relayed("a@example.com", 0),
        smtpd.relayed("b@example.com", 1),
    ]
    whole, _ = smtpd.read(smtpd.smtpd(*lines))
    for cut in range(1, len(lines)):
        data = smtpd.smtpd(*lines).splitlines(keepends=True)
        assembler = Assembler(Site(), [SOURCE])
        first = b"".join(data[:cut])
        records = assembler.read("mail", first, 0, NOW, NOW)
        assembler.take_tallies()
        assembler = Assembler.restore(assembler.snapshot(), Site(), [SOURCE])
        records += assembler.read("mail", b"".join(data[cut:]), len(first), NOW, NOW) + assembler.finish()
        assert records == whole


# Whose lines they are.


def test_the_name_smtpd_is_two_programs() -> None:
    ours, theirs = program_of(b"smtpd[7]"), program_of(b"postfix/smtpd[7]")
    assert isinstance(ours, Program)
    assert isinstance(theirs, Program)
    assert (ours.mta, ours.instance, theirs.mta, theirs.instance) == ("OPENSMTPD", "smtpd", "POSTFIX", "postfix")
    assert isinstance(program_of(b"smtpd-filter[7]"), Ignored)
    assert isinstance(program_of(b"opendkim[7]"), Ignored)


def test_both_in_one_log() -> None:
    postfix = b"2026-11-24T09:00:00Z mx2 postfix/smtpd[7]: NOQUEUE: reject: RCPT from c[192.0.2.3]: 550 5.1.1 no; "
    postfix += b"from=<s@example.net> to=<x@example.com> proto=ESMTP helo=<h>\n"
    records, tally = smtpd.read(smtpd.smtpd(*message("a@example.com"), smtpd.relayed("a@example.com")) + postfix)
    assert Counter(record["mta"] for record in records) == {"OPENSMTPD": 1, "POSTFIX": 1}
    assert tally.lines_not_understood == {}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("info: OpenSMTPD 7.5.0 starting", "opensmtpd-life"),
        (f"{SESSION} smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256", "opensmtpd-tls"),
        (f'{SESSION} smtp cert-check result="no certificate presented"', "opensmtpd-tls"),
        (f"{SESSION} smtp event=proxy address=127.0.0.1", "opensmtpd-proxy"),
        (f'{SESSION} smtp bad-input result="500 5.0.0 Line too long"', "opensmtpd-client-fault"),
        (f"{HOP} mta error reason=Connection timeout", "opensmtpd-attempt"),
        (f"{HOP} mta ssl_check_name: no match for 'mx' in cert", "opensmtpd-tls"),
        (f"{HOP} mta host-rejects-all-mails", "opensmtpd-attempt"),
        ("smtp-out: No valid route for [connector:[]->[relay:example.com,smtp],0x0]", "opensmtpd-attempt"),
        ("warn: queue: no return path!", "opensmtpd-warning"),
        ("getnameinfo: 192.0.2.1: temporary failure in name resolution", "opensmtpd-resolver"),
        (f"debug: scheduler: evp:{EVPID} scheduled (mda)", "opensmtpd-debug"),
        (f"{SESSION} filters protocol phase=connect, resume=n, action=proceed", "opensmtpd-debug"),
        ("#011127.0.0.1 preference -1", "opensmtpd-debug"),
        ("filter session: 0x55960562b960: IO_LOWAT <io:0x55 fd=13 to=-1 fl=rw ib=0 ob=0>", "opensmtpd-debug"),
        ("<<< [MSG] 548708637aa30dbc smtp connected address=6.6.6.6 host=x", "opensmtpd-debug"),
        ("rspamd: connected to rspamd", "opensmtpd-filter-note"),
    ],
)
def test_lines_without_envelope_facts(line: str, rule: str) -> None:
    records, tally = smtpd.read(smtpd.smtpd(line))
    assert (records, tally.lines_ignored, tally.lines_not_understood) == ([], {rule: 1}, {})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("something quite new", "opensmtpd-talk"),
        (f"relay2: Ok for {EVPID}: from=<a@example.com>", "opensmtpd-talk"),  # looks like facts: not a filter's note
        (f"{SESSION} smtp novelty key=value", "opensmtpd-session-talk"),
        (f"{SESSION} smtp message msgid=xyz", "opensmtpd-message"),
        (f"{SESSION} smtp message msgid={MSGID} size={'9' * 30} nrcpt=1 proto=ESMTP", "opensmtpd-message"),
        (f"{SESSION} smtp envelope evpid={EVPID} from=<a", "opensmtpd-envelope"),
        (smtpd.relayed("a@example.com", result="Perhaps"), "opensmtpd-result"),
        (smtpd.relayed("a@example.com")[:120], "opensmtpd-relayed"),
        (smtpd.stored("a@example.com")[:80], "opensmtpd-stored"),
        (f"relay: Ok for {EVPID}: from=<a@example.com>", "opensmtpd-old-envelope"),
        (f"smtp-in: session {SESSION}: something", "opensmtpd-old-session"),
        (f"smtp-out: session {HOP}: evpid={EVPID}, state=Ok, from=<a@example.com>", "opensmtpd-old-envelope"),
    ],
)
def test_lines_that_are_not_understood_have_a_reason(line: str, reason: str) -> None:
    records, tally = smtpd.read(smtpd.smtpd(line))
    assert (records, tally.lines_not_understood) == ([], {reason: 1})
