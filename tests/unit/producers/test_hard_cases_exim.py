"""Hard cases 66 to 72 by number, and what Exim's log says besides."""

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from schemas.envelope import ip_text
from tests.unit.producers.exim_lines import ID, NEW_ID, SITE, log, message, not_understood, one, read, sent
from tests.unit.producers.lines import NOW, SOURCE, ip


def test_case_66_final_address_without_its_quotes() -> None:
    record = one(message(sent('y> <z@r.example <"y> <z"@r.example>')))
    assert (record["recipient"], record["original_recipient"]) == ('"y> <z"@r.example', None)
    assert record["recipient_ip"] == ip("192.0.2.9")


def test_case_66_an_address_that_imitates_the_fields_behind_it() -> None:
    final, quoted = "y r=a t=b h=evil [6.6.6.6]:25@r.example", '"y R=a T=b H=evil [6.6.6.6]:25"@r.example'
    record = one(message(sent(f"{final} <{quoted}>")))
    assert (record["recipient"], record["recipient_ip"]) == (quoted, ip("192.0.2.9"))


def test_case_66_a_failed_address_that_imitates_the_line_is_in_doubt() -> None:
    local = "y@x R=a T=b: SMTP error from remote mail server after end of data: 250 2.0.0 x"
    line = f'** {local}@r.example <"{local}"@r.example> R=dnslookup T=smtp H=mx [192.0.2.9]: SMTP error from remote '
    record = one(message(line + "mail server after end of data: 550 5.7.1 no"))
    assert (record["recipient"], record["smtp_code"], record["dsn"]) == (f'"{local}"@r.example', 550, "5.7.1")
    assert (record["recipient_ip"], record["flags"]) == (ip("192.0.2.9"), ["AMBIGUOUS_PARSE"])


def test_case_67_local_part_of_who_got_it_behind_an_alias() -> None:
    record = one(message("=> alice <list@example.com> R=localuser T=local_delivery"))
    assert (record["recipient"], record["recipient_logged"]) == ("list@example.com", "alice")
    assert (record["original_recipient"], record["outcome"]) == ("list@example.com", "DELIVERED")
    assert record["recipient_ip_origin"] == "LOCAL_DELIVERY"


def test_case_67_without_an_alias_and_to_a_stranger() -> None:
    record = one(message("=> alice <alice@example.com> R=localuser T=local_delivery"))
    assert (record["recipient"], record["recipient_logged"], record["original_recipient"]) == (
        "alice@example.com", None, None,
    )  # fmt: skip
    record = one(message(sent("dave@example.net <list@example.com>")))
    assert (record["recipient"], record["original_recipient"]) == ("dave@example.net", "list@example.com")


def test_case_67_the_domain_is_known_from_an_earlier_line() -> None:
    data = message(
        "== alice@example.org <list@example.com> R=localuser T=local_delivery defer (-22): mailbox is full",
        "=> alice <list@example.com> R=localuser T=local_delivery",
    )
    record = one(data)
    assert (record["recipient"], record["original_recipient"]) == ("alice@example.org", "list@example.com")
    assert record["attempts"] == 2


def test_case_68_helo_that_is_an_address() -> None:
    record = one(message(sent("a@b.example"), arrival="<= s@x H=([10.9.8.7]) [192.0.2.12] P=esmtp S=1 id=m@x"))
    assert (record["sender_ip"], record["helo"]) == (ip("192.0.2.12"), "[10.9.8.7]")


@pytest.mark.parametrize(
    "helo",
    ["x) [6.6.6.6] P=esmtp S=1 id=a@b", "x) [6.6.6.6]:25 P=esmtp A=plain:u", "x) [6.6.6.6] P=esmtp S=1 T=\"", "(x) [y"],
)  # fmt: skip
def test_case_68_helo_that_imitates_all_that_follows(helo: str) -> None:
    record = one(message(sent("a@b.example"), arrival=f"<= s@x H=({helo}) [192.0.2.12] P=esmtp S=7 id=m@x"))
    assert (record["sender_ip"], record["helo"]) == (ip("192.0.2.12"), helo)
    assert (record["size_bytes"], record["message_id"], record["authenticated_user"]) == (7, "m@x", None)


def test_case_69_cut_through_is_logged_before_the_arrival() -> None:
    line = sent("a@b.example").replace("=>", ">>", 1)
    record = one(log(line, "<= s@x H=(c) [192.0.2.12] P=esmtp S=7 id=m@x for a@b.example", "Completed"))
    assert (record["sender"], record["sender_ip"], record["outcome"]) == ("s@x", ip("192.0.2.12"), "SENT")
    assert (record["message_id"], record["next_queue_id"]) == ("m@x", "1abcde-0000aa-0B")


def test_case_69_cut_through_and_refused_by_the_next_hop() -> None:
    line = 'H=(c) [192.0.2.12] a@b.example F=<s@x> rejected after DATA: R=r T=t H=mx [192.0.2.9] C="550 5.7.1 no"'
    record = one(log(f"{ID} {line}"))
    assert (record["event"], record["recipient"], record["smtp_code"]) == ("REFUSAL", "a@b.example", 550)
    assert (record["sender"], record["sender_ip"]) == ("s@x", ip("192.0.2.12"))


def test_case_70_bounce_is_linked_to_what_bounced() -> None:
    other = "1xWFLt-0005az-3n"
    data = log(
        f"{ID} <= s@example.net H=(c) [192.0.2.1] P=esmtp S=1 id=m@x",
        f"{ID} ** b@r.example R=r T=t H=mx [192.0.2.9]: SMTP error from remote mail server after RCPT TO:<b@r.example>: 550 no",
        f"{other} <= <> R={ID} U=Debian-exim P=local S=2",
        f"{ID} Completed",
        f"{other} => s@example.net R=r T=t H=mx.example.net [192.0.2.8]",
        f"{other} Completed",
    )
    failed, bounce = read(data)
    assert (failed["outcome"], failed["smtp_code"], failed["dsn"]) == ("BOUNCED", 550, None)
    assert (bounce["kind"], bounce["sender"], bounce["parent_queue_id"]) == ("BOUNCE", "", ID)
    assert bounce["parent_message_key"] == failed["message_key"]
    assert (bounce["sender_ip_origin"], bounce["authenticated_user"]) == ("LOCAL_PROCESS", None)


def test_case_70_removed_added_and_another_sender() -> None:
    arrival = "<= s@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x for alice@example.org carol@example.org"
    removed = read(log(arrival, "frozen by ACL", "removed by root", "Completed"))
    assert [(record["recipient"], record["outcome"]) for record in removed] == [
        ("alice@example.org", "DELETED"),
        ("carol@example.org", "DELETED"),
    ]
    assert all(record["flags"] == ["ADMINISTRATIVE"] for record in removed)
    changed = read(
        log(
            arrival,
            "recipient <bob@example.org> added by root",
            sent("alice@example.org"),
            "sender address changed to <new@x> by root",
            sent("carol@example.org"),
            sent("bob@example.org"),
            "Completed",
        )
    )
    assert [(record["sender"], record["sender_logged"]) for record in changed] == [
        ("s@x", None),
        *[("new@x", "s@x")] * 2,
    ]
    assert changed[2]["flags"] == ["ADDED_BY_SERVER"]
    assert [record["recipient_count"] for record in changed] == [3, 3, 3]


def test_case_70_removed_where_recipients_are_not_logged() -> None:
    record = one(log("<= s@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x", "removed by root", "Completed"))
    assert (record["recipient"], record["outcome"]) == (None, "DELETED")
    assert record["flags"] == ["ADMINISTRATIVE", "RECIPIENTS_INCOMPLETE"]


def test_case_71_old_and_new_ids_in_one_log() -> None:
    old = message(sent("a@b.example", f"250 OK id={NEW_ID}"))
    new = message(sent("a@b.example", f"250 OK id={ID}"), queue_id=NEW_ID)
    records = read(old + new)
    assert [(record["queue_id"], record["next_queue_id"]) for record in records] == [(ID, NEW_ID), (NEW_ID, ID)]


def test_case_72_discarded_by_an_acl_at_rcpt() -> None:
    """Each discarded recipient has a line of its own; the message's line adds nothing."""
    data = log(
        "H=(c) [192.0.2.1] F=<s@x> RCPT <trash@example.org>: discarded by RCPT ACL",
        f"{ID} <= s@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x",
        f"{ID} => blackhole (RCPT ACL discarded recipients)",
        f"{ID} Completed",
    )
    record = one(data)
    assert (record["recipient"], record["outcome"], record["event"]) == ("trash@example.org", "DISCARDED", "REFUSAL")


def test_case_72_discarded_by_an_acl_at_data() -> None:
    arrival = "<= s@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x"
    lines = ("=> blackhole (DATA ACL discarded recipients): text", "Completed")
    record = one(log(arrival, *lines))
    assert (record["recipient"], record["outcome"], record["flags"]) == (None, "DISCARDED", ["RECIPIENTS_INCOMPLETE"])
    named = read(log(arrival + " for a@example.org b@example.org", *lines))
    assert [(record["recipient"], record["outcome"]) for record in named] == [
        ("a@example.org", "DISCARDED"),
        ("b@example.org", "DISCARDED"),
    ]


def test_an_automatic_reply_is_made_from_what_it_answers() -> None:
    other = "1xWFLt-0005az-3n"
    data = log(
        f"{ID} <= s@example.net H=(c) [192.0.2.1] P=esmtp S=1 id=m@x",
        f"{other} <= <> R={ID} U=alice P=local S=2",
        f"{ID} => >s@example.net <alice@example.org> R=vacation T=address_reply",
        f"{ID} Completed",
        f"{other} => s@example.net R=r T=t H=mx.example.net [192.0.2.8]",
        f"{other} Completed",
    )
    answered, reply = read(data)
    assert (answered["recipient"], answered["outcome"], answered["flags"]) == (
        "alice@example.org", "DELIVERED", ["EXPANDED"],
    )  # fmt: skip
    assert (reply["kind"], reply["parent_message_key"]) == ("MESSAGE", answered["message_key"])
    assert (reply["authenticated_user"], reply["sender_ip_origin"]) == ("alice", "LOCAL_PROCESS")


def test_a_content_filter_is_a_hop() -> None:
    other = "1xWFLt-0005az-3n"
    site = Site(host="mx1.example.org", filters=["127.0.0.1:10024"])
    data = log(
        f"{ID} <= s@example.net H=(c) [192.0.2.1] P=esmtp S=1 id=m@x",
        f"{other} <= s@example.net H=localhost [127.0.0.1] P=esmtp S=2 id=m@x",
        f'{ID} => a@b.example R=filter T=smtp H=127.0.0.1 [127.0.0.1]:10024 C="250 OK id={other}"',
        f"{ID} Completed",
        f"{other} {sent('a@b.example')}",
        f"{other} Completed",
    )
    record = one(data, site)
    assert (record["queue_id"], record["parent_queue_id"]) == (other, ID)
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("192.0.2.1"), "PARENT")


def test_a_sender_that_was_rewritten_here() -> None:
    arrival = "<= public@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x from <internal@x> for a@b.example"
    record = one(message(sent("a@b.example"), arrival=arrival))
    assert (record["sender"], record["sender_logged"]) == ("public@x", "internal@x")


def test_a_message_that_is_frozen_at_the_end_is_held() -> None:
    (record,) = read(log("<= s@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x for a@example.org", "frozen by ACL"))
    assert (record["recipient"], record["outcome"], record["is_final"]) == ("a@example.org", "HELD", False)
    assert record["flags"] == ["PARTIAL_END"]


def test_a_failure_of_mail_without_sender_is_final_when_nobody_needs_to_know() -> None:
    record = one(log("<= <> H=(c) [192.0.2.1] P=esmtp S=1", "** a@b.example: Unrouteable address", "Completed"))
    assert (record["outcome"], record["sender"]) == ("BOUNCED", "")


def test_deferred_then_given_up() -> None:
    said = "SMTP error from remote mail server after RCPT TO:<a@b.example>: 451 4.3.0 retry timeout exceeded"
    data = message(
        f"== a@b.example R=r T=t defer (-44) H=mx [192.0.2.9]: {said}",
        "== a@b.example routing defer (-52): retry time not reached",
        f"== a@b.example R=r T=t defer (-44) H=mx [192.0.2.9]: {said}",
        "** a@b.example: retry timeout exceeded",
    )
    record = one(data)
    assert (record["outcome"], record["attempts"]) == ("EXPIRED", 3)
    refused = one(message(f"** a@b.example R=r T=t H=mx [192.0.2.9]: {said.replace('451', '550')}"))
    assert (refused["outcome"], refused["dsn"]) == ("BOUNCED", "4.3.0")


def test_a_log_entered_in_the_middle_knows_the_sender_of_the_delivery() -> None:
    line = sent("a@b.example").replace(" R=", " F=<s@x> R=", 1)
    (record,) = read(log(line, "Completed"))
    assert (record["sender"], record["sender_ip_origin"]) == ("s@x", "NOT_LOGGED")
    assert record["flags"] == ["PARTIAL_START"]


def test_refusals_at_every_stage() -> None:
    lines = (
        'H=[192.0.2.1]:55 rejected connection in "connect" ACL: listed',
        "H=(x) [192.0.2.1] rejected EHLO or HELO x: no",
        "H=(x) [192.0.2.1] rejected MAIL <s@x>: no",
        "H=(x) [192.0.2.1] F=<s@x> temporarily rejected RCPT <a@example.org>: greylisted",
        "H=(x) [192.0.2.1] F=s@x rejected RCPT a@example.org: relay not permitted",
        "H=(x) [192.0.2.1] rejected DATA: no",
        "rejected from <s@x> H=(x) [192.0.2.1]: message too big: read=1 max=0",
        "unqualified recipient rejected: <bob> H=(x) [192.0.2.1]",
    )
    records = read(log(*lines))
    assert not_understood(log(*lines)) == {}
    assert {record["outcome"] for record in records} == {"REFUSED"}
    assert [(record["sender"], record["recipient"]) for record in records] == [
        (None, None), (None, None), ("s@x", None), ("s@x", "a@example.org"), ("s@x", "a@example.org"), (None, None),
        ("s@x", None), (None, "bob"),
    ]  # fmt: skip
    assert {ip_text(record["sender_ip"] or b"") for record in records} == {"192.0.2.1"}
    assert [record["flags"] for record in records][3] == ["TEMPORARY"]


def test_a_refusal_at_an_unknown_stage_is_not_passed_over() -> None:
    lines = ("H=(x) [192.0.2.1] rejected NEWCOMMAND x: no", f"{ID} H=(x) [192.0.2.1] temporarily rejected later: no")
    assert not_understood(log(*lines)) == {"exim-refusal": 2}


def test_zone_milliseconds_and_process_id() -> None:
    data = b"2026-11-24 10:00:00.125 +0100 [77] " + log("<= s@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x")[20:]
    data += b"2026-11-24 10:00:01.250 +0100 [78] " + log(sent("a@b.example"))[20:]
    record = one(data)
    assert record["event_time"] - (record["accept_time"] or 0) == 1_125_000
    assert record["event_time"] % 86_400_000_000 == (9 * 3600 + 1) * 10**6 + 250_000


def test_a_line_cut_for_syslog_is_one_line() -> None:
    def syslog(pid: int, text: str) -> str:
        return f"2026-11-24T09:00:00.000000Z mx1 exim[{pid}]: {text}\n"

    head = f"2026-11-24 09:00:00 {ID} <= s@x H=(c) [192.0.2.1] P=esmtp S=1 id=m@x for a@exam"
    data = "".join(
        (
            syslog(7, f"[1/2] {head}"),
            syslog(8, "SMTP connection from [192.0.2.3]"),
            syslog(7, "[2/2] ple.org"),
            syslog(9, f"2026-11-24 09:00:00 {ID} {sent('a@example.org')}"),
            syslog(6, "[2/2] whose beginning is lost"),
        )
    ).encode()
    for cuts in (1, 2, 3):  # also when the parts come in chunks of their own, and over a restart
        lines = data.splitlines(keepends=True)
        assembler = Assembler(SITE, [SOURCE])
        records = assembler.read("mail", b"".join(lines[:cuts]), 0, NOW, NOW)
        assembler.take_tallies()
        assembler = Assembler.restore(assembler.snapshot(), SITE, [SOURCE])
        records += assembler.read("mail", b"".join(lines[cuts:]), len(b"".join(lines[:cuts])), NOW, NOW)
        tally = assembler.take_tallies()["mail"]
        assert tally.loss_markers == {"line-part-missing": 1}
        (record,) = records
        assert (record["recipient"], record["recipient_count"], record["sender"]) == ("a@example.org", 1, "s@x")


def test_the_headers_behind_a_refusal_in_syslog_are_let_go() -> None:
    begin = "2026-11-24T09:00:00.000000Z mx1 exim[7]: "
    data = (
        begin + f"[1\\3] 2026-11-24 09:00:00 {ID} H=(c) [192.0.2.1] F=<s@x> rejected after DATA: no\n"
        + begin + "[2\\3] Envelope-from: <s@x>\n"
        + begin + "[3/3]   Subject: H=(c) [192.0.2.1] F=<s@x> rejected RCPT <spy@example.org>: no\n"
    )  # fmt: skip
    record = one(data.encode())
    assert (record["sender"], record["recipient"], record["queue_id"]) == ("s@x", None, ID)


def test_the_same_records_however_the_lines_are_cut_into_chunks() -> None:
    lines = message(sent("a@b.example"), "** c@d.example: Unrouteable address").splitlines(keepends=True)
    whole = read(b"".join(lines))
    assembler = Assembler(SITE, [SOURCE])
    records = []
    offset = 0
    for line in lines:
        records += assembler.read("mail", line, offset, NOW, NOW)
        assembler.take_tallies()
        assembler = Assembler.restore(assembler.snapshot(), SITE, [SOURCE])
        offset += len(line)
    assert records + assembler.finish() == whole
