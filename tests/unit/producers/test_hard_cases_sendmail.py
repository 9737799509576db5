"""The hard cases of Sendmail's log, by the numbers of the project's list, and more of their kind."""

from itertools import pairwise

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.text import ip_address
from tests.unit.producers.lines import NOW, SOURCE, ip, one, outcomes, read
from tests.unit.producers.sendmail_lines import CHILD, QID, delivered, log, received


def test_case_73_several_recipients_of_one_line() -> None:
    line = delivered('<b@x.example>,<"a, b"@x.example>,<c@x.example>', controlling=", ctladdr=<s@example.net> (8/12)")
    records = read(log(received(count=3), line))
    assert outcomes(records) == {
        ("b@x.example", "SENT"): 1,
        ('"a, b"@x.example', "SENT"): 1,
        ("c@x.example", "SENT"): 1,
    }
    assert {record["recipient_ip"] for record in records} == {ip("192.0.2.9")}
    assert len({record["record_id"] for record in records}) == 3


def test_case_73_a_list_that_goes_on_in_the_next_line() -> None:
    first = delivered("<a@x.example>,<b@x.example>, [more]")
    assert len(outcomes(read(log(received(count=3), first, delivered("<c@x.example>"))))) == 3


def test_case_74_a_message_id_that_imitates_the_relay() -> None:
    evil = "<a b c>, relay=evil [6.6.6.6], proto=ESMTP, daemon=MTA, relay=worse [7.7.7.7]"
    record = one(log(received(message_id=evil), delivered()))
    assert (record["sender_ip"], record["sender_host"]) == (ip("192.0.2.1"), "c.example.net")
    assert record["message_id"] == evil


@pytest.mark.parametrize("path", ["/var/mail/alice", '"|/usr/bin/procmail -f- a,b"'])
def test_case_75_files_and_programs(path: str) -> None:
    mailer = "*file*" if path.startswith("/") else "prog"
    line = (
        f"sm-mta: {QID}: to={path}, ctladdr=<alice@example.com> (1000/100), delay=00:00:00, xdelay=00:00:00, "
        f"mailer={mailer}, pri=30282, dsn=2.0.0, stat=Sent"
    )
    record = one(log(received(), line))
    assert (record["recipient"], record["recipient_logged"]) == ("alice@example.com", path)
    assert (record["outcome"], record["recipient_ip_origin"]) == ("DELIVERED", "LOCAL_DELIVERY")


def test_the_hop_inside_of_a_host_is_no_delivery() -> None:
    mine = received("carol@example.com", "carol@localhost", tag="sendmail").replace(", proto=ESMTP, daemon=MTA", "")
    hop = delivered(
        "alice@example.org",
        "[127.0.0.1] [127.0.0.1]",
        stat=f"Sent ({CHILD} Message accepted for delivery)",
        mailer="relay",
        tag="sm-msp-queue",
        controlling=", ctladdr=carol@example.com (2003/2003)",
    )
    taken = received("<carol@example.com>", "localhost [127.0.0.1]", queue_id=CHILD)
    for order in ([mine, taken, hop, delivered(queue_id=CHILD)], [mine, taken, delivered(queue_id=CHILD), hop]):
        record = one(log(*order))
        assert (record["queue_id"], record["parent_queue_id"]) == (CHILD, QID)
        assert (record["sender_ip"], record["sender_ip_origin"]) == (None, "LOCAL_PROCESS")
        assert (record["authenticated_user"], record["local_uid"]) == ("carol", 2003)


def test_a_hop_after_a_record_that_somebody_is_undecided() -> None:
    """The hop is final then; else the first record would stand for an undecided recipient for ever."""
    mine = received("carol@example.com", "carol@localhost", tag="sendmail").replace(", proto=ESMTP, daemon=MTA", "")
    down = delivered("a@x.example", "[127.0.0.1] [127.0.0.1]", "4.4.1", "Deferred: Connection refused", "relay")
    hop = delivered("a@x.example", "[127.0.0.1] [127.0.0.1]", stat=f"Sent ({CHILD} Message accepted for delivery)")
    taken = received("<carol@example.com>", "localhost [127.0.0.1]", queue_id=CHILD)
    later = log(taken, hop, delivered("<a@x.example>", queue_id=CHILD), start=3 * 3600)
    records = read(log(mine, down) + later)
    assert [(record["outcome"], record["is_final"], record["queue_id"]) for record in records] == [
        ("DEFERRED", False, QID),
        ("SENT", True, QID),
        ("SENT", True, CHILD),
    ]


def test_a_hop_whose_other_side_is_not_in_the_log_is_recorded() -> None:
    """Nothing may be missed because another log holds the rest."""
    hop = delivered(stat=f"Sent ({CHILD} Message accepted for delivery)", relay="[127.0.0.1] [127.0.0.1]")
    record = one(log(received(), hop))
    assert (record["outcome"], record["next_queue_id"]) == ("SENT", CHILD)


def test_a_client_on_this_host_that_nothing_here_handed_over() -> None:
    """Webmail over SMTP: it is the client, known after the window."""
    record = one(log(received(relay="localhost [127.0.0.1]"), delivered()))
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("127.0.0.1"), "CONNECTION")


def test_a_bounce_is_linked_and_has_no_sender() -> None:
    failed = delivered(dsn="5.1.1", stat="User unknown")
    told = f"sm-mta: {QID}: {CHILD}: DSN: User unknown"
    records = read(log(received(), failed, told, delivered("<s@example.net>", queue_id=CHILD)))
    assert [record["outcome"] for record in records] == ["BOUNCED", "SENT"]
    assert (records[1]["kind"], records[1]["sender"], records[1]["parent_queue_id"]) == ("BOUNCE", "", QID)
    assert records[1]["parent_message_key"] == records[0]["message_key"]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("DSN: Return receipt", "DELIVERY_NOTICE"),
        ("sender notify: Warning: could not send message for past 4 hours", "DELAY_NOTICE"),
        ("postmaster notify: User unknown", "BOUNCE"),
        ("return to sender: User unknown", "BOUNCE"),
    ],
)
def test_kinds_of_notices(told: str, kind: str) -> None:
    lines = (received(), f"sm-mta: {QID}: {CHILD}: {told}", delivered("<s@example.net>", queue_id=CHILD))
    assert [record["kind"] for record in read(log(*lines)) if record["queue_id"] == CHILD] == [kind]


def test_expiry_ends_every_undecided_recipient() -> None:
    later = delivered("<a@x.example>,<b@x.example>", dsn="4.0.0", stat="Deferred: Connection timed out")
    told = f"sm-mta: {QID}: {CHILD}: DSN: Cannot send message for 5 days, 1 hour"
    records = read(log(received(count=2), later, later, told))
    assert outcomes(records) == {("a@x.example", "EXPIRED"): 1, ("b@x.example", "EXPIRED"): 1}
    assert {record["attempts"] for record in records} == {2}


def test_an_answer_cannot_expire_a_message() -> None:
    later = delivered(dsn="4.0.0", stat="Deferred: 451 Cannot send message for 5 days")
    told = f"sm-mta: {QID}: {CHILD}: DSN: 550 Cannot send message for 5 days"
    assert "EXPIRED" not in [record["outcome"] for record in read(log(received(), later, told))]


def test_a_refused_recipient_waits_for_its_sender() -> None:
    refused = f"sm-mta: {QID}: <nouser@example.com>... User unknown"
    record = one(log(refused, received(count=0, message_id=None)))
    assert (record["event"], record["outcome"]) == ("REFUSAL", "REFUSED")
    assert (record["sender"], record["recipient"]) == ("s@example.net", "nouser@example.com")
    assert record["sender_ip"] == ip("192.0.2.1")
    assert record["flags"] == []


def test_a_refused_recipient_whose_sender_never_comes() -> None:
    rule = "ruleset=check_rcpt, arg1=<x@y.example>, relay=c.example.net [192.0.2.1], reject=450 4.7.1 Come again"
    first = log(f"sm-mta: {QID}: {rule}")
    assembler = Assembler(Site(), [SOURCE])
    assert assembler.read("mail", first, 0, NOW, NOW) == []
    counts = assembler.take_tallies()["mail"]
    assert counts.captured_through is not None
    assert counts.newest_time is not None
    assert counts.captured_through < counts.newest_time  # it holds back what is claimed
    (record,) = assembler.tick(NOW)
    assert (record["sender"], record["recipient"]) == (None, "x@y.example")
    assert (record["sender_ip"], record["smtp_code"], record["dsn"]) == (ip("192.0.2.1"), 450, "4.7.1")
    assert record["flags"] == ["TEMPORARY", "PARTIAL_START"]
    assert assembler.open_transactions == 0
    assert assembler.finish() == []


def test_a_broken_off_transaction_is_no_mail() -> None:
    assert read(log(received(message_id=None))) == []


def test_a_message_that_an_old_version_logs_without_id_is_mail() -> None:
    assert outcomes(read(log(received(message_id=None), delivered()))) == {("a@example.com", "SENT"): 1}


def test_the_user_of_a_session() -> None:
    auth = "sm-mta: AUTH=server, relay=c.example.net [192.0.2.1], authid=eve, mech=X, mech=PLAIN, bits=0"
    record = one(log(auth, received(), delivered()))
    assert record["authenticated_user"] == "eve, mech=X"
    other = one(log(auth, received(relay="d.example.net [192.0.2.2]"), delivered()))
    assert other["authenticated_user"] is None
    another_process = received().replace("sm-mta:", "sm-mta[101]:")
    assert one(log(auth, another_process, delivered()))["authenticated_user"] is None


def test_a_process_id_that_is_used_again_much_later() -> None:
    auth = "sm-mta: AUTH=server, relay=c.example.net [192.0.2.1], authid=eve, mech=PLAIN, bits=0"
    assert one(log(auth) + log(received(), delivered(), start=3700))["authenticated_user"] is None


def test_lines_of_old_versions() -> None:
    lines = (
        "sendmail: SAA15929: from=<s@example.net>, size=370, class=0, pri=30370, nrcpts=1, msgid=<m@x>, proto=ESMTP, "
        "relay=c.example.net [192.0.2.1]",
        "sendmail: SAA15929: to=<a@example.com>, ctladdr=<s@example.net> (8/12), delay=00:00:10, xdelay=00:00:09, "
        "mailer=esmtp, relay=mx.example.com. [192.0.2.9], stat=Sent (Ok)",
    )
    record = one(log(*lines))
    assert (record["outcome"], record["dsn"]) == ("SENT", None)
    assert (record["sender_ip"], record["recipient_ip"]) == (ip("192.0.2.1"), ip("192.0.2.9"))


def test_a_list_with_an_owner() -> None:
    clone = f"sm-mta: {QID}: {CHILD}: clone: owner=bob"
    controlling = ", ctladdr=bob (2002/2002)"
    for of_the_list in (QID, CHILD):  # either of them may get the list's recipients
        other = CHILD if of_the_list == QID else QID
        records = read(
            log(
                received(count=2),
                clone,
                delivered("alice", controlling=controlling, queue_id=of_the_list),
                delivered("<z@example.com>", queue_id=other),
            )
        )
        senders = {record["recipient"]: record["sender"] for record in records}
        assert senders == {"alice": "bob", "z@example.com": "s@example.net"}
        assert {record["sender_ip"] for record in records} == {ip("192.0.2.1")}
        assert {record["message_id"] for record in records} == {"<m@example.net>"}


@pytest.mark.parametrize(
    ("relay", "address", "host", "origin"),
    [
        ("[64.233.187.27]", "64.233.187.27", None, "CONNECTION"),
        ("h.example [192.0.2.5] (may be forged)", "192.0.2.5", None, "CONNECTION"),
        ("h.example [IPv6:2001:db8::5]", "2001:db8::5", "h.example", "CONNECTION"),
        ("ident, relay=x [6.6.6.6]@h.example [192.0.2.5]", "192.0.2.5", "h.example", "CONNECTION"),
        ("www-data@localhost", None, None, "LOCAL_PROCESS"),
        ("[UNIX: /run/x]", None, None, "UNKNOWN_TO_MTA"),
    ],
)
def test_relays(relay: str, address: str | None, host: str | None, origin: str) -> None:
    record = one(log(received(relay=relay), delivered()))
    assert (record["sender_host"], record["sender_ip_origin"]) == (host, origin)
    assert record["sender_ip"] == (ip_address(address.encode()) if address else None)


def test_log_begun_in_the_middle() -> None:
    record = one(log(delivered()))
    assert (record["sender"], record["flags"]) == (None, ["PARTIAL_START"])


def test_a_queue_id_of_a_long_process_id() -> None:
    lines = (received(queue_id="xA32R2PQ3529565"), delivered(queue_id="xA32R2PQ3529565"))
    assert one(log(*lines))["queue_id"] == "xA32R2PQ3529565"


@pytest.mark.parametrize("tag", ["sendmail", "sm-mta", "sendmail-in", "sm-mta-v4", "sm-acceptingconnections"])
def test_tags(tag: str) -> None:
    record = one(log(received(tag=tag), delivered(tag="sm-que")))
    assert (record["mta"], record["instance"]) == ("SENDMAIL", "sendmail")


def test_messages_are_forgotten_when_they_must_have_ended() -> None:
    """No end is logged: an hour of silence is one, unless somebody is undecided."""
    assembler = Assembler(Site(), [SOURCE])
    later = delivered("<b@x.example>", dsn="4.0.0", stat="Deferred", queue_id=CHILD)
    assembler.read("mail", log(received(count=3), delivered(), received(queue_id=CHILD), later), 0, NOW, NOW)
    assert assembler.open_transactions == 2
    assert [record["outcome"] for record in assembler.tick(NOW)] == ["DEFERRED"]
    assert assembler.open_transactions == 1
    assert assembler.finish() == []


def test_done_is_an_end() -> None:
    assembler = Assembler(Site(), [SOURCE])
    assembler.read("mail", log(received(), delivered(), f"sm-mta: {QID}: done; delay=00:00:01, ntries=1"), 0, NOW, NOW)
    assert assembler.open_transactions == 0


def test_one_file_with_two_mail_systems() -> None:
    """`auto` decides by line."""
    postfix = (
        "postfix/smtpd: NOQUEUE: reject: RCPT from c[192.0.2.1]: 554 5.7.1 No; from=<s@x> to=<t@x> proto=SMTP helo=<h>"
    )
    records = read(log(received(), postfix, delivered()))
    assert sorted(record["mta"] for record in records) == ["POSTFIX", "SENDMAIL"]


def test_more_recipients_than_one_envelope_may_have() -> None:
    other = "pAO9001C012346"
    split = f"sm-mta: {QID}: split: maxrcpts=1, rcpts=3, count=2, ids={CHILD}; {other}"
    names = {QID: "<a@x.example>", CHILD: "<b@x.example>", other: "<c@x.example>"}
    records = read(log(received(count=3), split, *(delivered(name, queue_id=qid) for qid, name in names.items())))
    assert {record["queue_id"]: record["recipient"] for record in records} == {
        qid: name.strip("<>") for qid, name in names.items()
    }
    assert {record["sender"] for record in records} == {"s@example.net"}
    assert {record["sender_ip"] for record in records} == {ip("192.0.2.1")}
    assert {record["parent_queue_id"] for record in records} == {None, QID}


def in_pieces(line: str, *ends: int) -> list[str]:
    """A line as Sendmail cuts it behind these blanks of its text."""
    tag, _, text = line.partition(": ")
    name, _, rest = text.partition(": ")
    words = rest.split(" ")
    marks = [0, *ends, len(words)]
    pieces = [" ".join(words[start:end]) for start, end in pairwise(marks)]
    return [
        f"{tag}: {name}[{number}]: {piece}" + ("  ..." if number < len(pieces) else "")
        for number, piece in enumerate(pieces, 1)
    ]


def test_a_line_in_pieces_is_one_line() -> None:
    whole = one(log(received(), delivered()))
    cut = one(log(*in_pieces(received(), 2, 5), *in_pieces(delivered(), 1)))
    for field in ("sender", "recipient", "sender_ip", "recipient_ip", "message_id", "outcome", "size_bytes", "flags"):
        assert cut[field] == whole[field], field


def test_pieces_of_two_processes_do_not_mix() -> None:
    first = in_pieces(received(), 3)
    second = [line.replace("sm-mta:", "sm-mta[101]:").replace(QID, CHILD) for line in in_pieces(received("<t@x>"), 2)]
    order = [first[0], second[0], first[1], second[1], delivered(), delivered(queue_id=CHILD)]
    assert sorted(record["sender"] or "" for record in read(log(*order))) == ["s@example.net", "t@x"]


def test_a_lost_piece_is_counted_and_hurts_no_other_line() -> None:
    assembler = Assembler(Site(), [SOURCE])
    lines = log(*in_pieces(received(), 2, 5)[1:], received(), delivered())
    (record,) = assembler.read("mail", lines, 0, NOW, NOW)
    assert record["sender"] == "s@example.net"
    counts = assembler.take_tallies()["mail"]
    assert counts.lines_not_understood == {"part-of-a-line": 2}
    assert counts.lines_read == counts.lines_understood + 2


def test_an_answer_that_looks_like_a_piece_that_goes_on() -> None:
    """`...` at the end of the last piece is a stranger's; the line is read when the window is over."""
    pieces = in_pieces(delivered(stat="Sent (come again ...)").removesuffix(")"), 3)
    assembler = Assembler(Site(), [SOURCE])
    assert assembler.read("mail", log(received(), *pieces), 0, NOW, NOW) == []
    restored = Assembler.restore(assembler.snapshot(), Site(), [SOURCE])
    for each in (assembler, restored):
        (record,) = each.tick(NOW)
        assert (record["outcome"], record["recipient"]) == ("SENT", "a@example.com")


@pytest.mark.parametrize("name", ["Milter (sieve)", "Milter"])
def test_what_a_milter_changes(name: str) -> None:
    changes = (
        f"sm-mta: {QID}: {name} add: rcpt: <archive@x.example>",
        f"sm-mta: {QID}: {name} delete: rcpt <b@x.example>, naddrs=1",
        f"sm-mta: {QID}: {name} delete: rcpt <nobody@x.example>, naddrs=0",
        f"sm-mta: {QID}: {name} chgfrom: <new@example.net>",
    )
    records = read(log(received(count=2), *changes, delivered("<a@x.example>,<archive@x.example>")))
    removed, *sent = records
    assert (removed["event"], removed["outcome"], removed["recipient"]) == ("REFUSAL", "DISCARDED", "b@x.example")
    assert {record["recipient"]: record["flags"] for record in sent} == {
        "a@x.example": [],
        "archive@x.example": ["ADDED_BY_SERVER"],
    }
    assert {(record["sender"], record["sender_logged"]) for record in sent} == {("new@example.net", "s@example.net")}


def test_a_header_that_a_milter_adds_changes_nothing() -> None:
    evil = "Milter (sieve) add: header: X: Milter (sieve) chgfrom: <evil@example.net>"
    record = one(log(received(), f"sm-mta: {QID}: {evil}", delivered()))
    assert record["sender"] == "s@example.net"


def test_a_bounce_of_somebody_whom_no_line_names() -> None:
    """An alias loop, or a member that is no address: told once, also when the postmaster gets a copy."""
    told = (f"sm-mta: {QID}: {CHILD}: DSN: loop", f"sm-mta: {QID}: pAO9001C012346: postmaster notify: loop")
    for delivery in ([], [delivered()]):
        records = read(log(received(count=1 + len(delivery)), *delivery, *told))
        failed = [record for record in records if record["outcome"] == "BOUNCED"]
        assert [(record["recipient"], record["flags"]) for record in failed] == [(None, ["RECIPIENTS_INCOMPLETE"])]
        assert len(records) == 1 + len(delivery)


def test_two_notices_of_one_named_failure() -> None:
    failed = delivered(dsn="5.1.1", stat="User unknown")
    told = (f"sm-mta: {QID}: {CHILD}: DSN: User unknown", f"sm-mta: {QID}: pAO9001C012346: postmaster notify: x")
    assert [record["recipient"] for record in read(log(received(), failed, *told))] == ["a@example.com"]
