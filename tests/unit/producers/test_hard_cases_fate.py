"""The hard cases of Postfix's log on what becomes of mail, by the numbers of the project's list (docs/hard-cases.md says which are to come)."""

import pytest

from infra.platform.settings import Site
from tests.unit.producers.lines import deferred, ip, log, message, one, outcomes, read, sent


def test_case_19_filter_is_a_hop() -> None:
    site = Site(filters=["127.0.0.1:10024"])
    first = message(
        sent("a@example.com", "127.0.0.1[127.0.0.1]:10024", "250 2.0.0 Ok: queued as 4jYKJ82btYzLhNy"), removed=False
    )
    second = message(sent("a@example.com"), queue_id="4jYKJ82btYzLhNy", client="localhost[127.0.0.1]:5000")
    record = one(log(*first, *second, "qmgr: 4jYKJ82btYzLhNx: removed"), site)
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("192.0.2.1"), "PARENT")
    assert record["parent_queue_id"] == "4jYKJ82btYzLhNx"


def test_case_19_filter_link_told_after_the_second_delivery() -> None:
    site = Site(filters=["127.0.0.1"])
    first = message(sent("a@example.com", "127.0.0.1[127.0.0.1]:10024", "250 2.0.0 Ok: queued as 4jYKJ82btYzLhNy"))
    second = message(sent("a@example.com"), queue_id="4jYKJ82btYzLhNy", client="localhost[127.0.0.1]:5000")
    record = one(log(*first[:3], *second, *first[3:]), site)
    assert record["sender_ip"] == ip("192.0.2.1")


def test_case_21_before_queue_proxy() -> None:
    lines = message(sent("a@example.com"), client="localhost[127.0.0.1]")
    record = one(
        log(
            "postfix/smtpd: NOQUEUE: client=h.example.net[203.0.113.7]",
            *lines[:3],
            "postfix/smtpd: proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 4jYKJ82btYzLhNx; from=<s@example.net> "
            "to=<a@example.com> proto=ESMTP helo=<h>",
            *lines[3:],
        ).replace(b"smtpd[100]", b"smtpd[101]")
    )
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("203.0.113.7"), "FORWARDED")


def test_case_24_queue_id_reused_at_once() -> None:
    again = message(sent("b@example.com"), queue_id="3F2A1C0D4E", sender="t@example.net")
    records = read(log(*message(sent("a@example.com"), queue_id="3F2A1C0D4E"), *again))
    assert [record["sender"] for record in records] == ["s@example.net", "t@example.net"]
    assert records[0]["message_key"] != records[1]["message_key"]


def test_case_25_same_queue_id_on_two_hosts() -> None:
    data = log(*message(sent("a@example.com"))) + log(
        *message(sent("a@example.com"), sender="t@example.net"), host="mx2"
    )
    records = read(data)
    assert [(record["host"], record["sender"]) for record in records] == [
        ("mx1", "s@example.net"),
        ("mx2", "t@example.net"),
    ]


def test_case_27_local_forward() -> None:
    child = "4jYKJ82btYzLhNy"
    line = f"to=<list@example.com>, relay=local, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (forwarded as {child})"
    records = read(
        log(
            *message(line, removed=False),
            f"cleanup: {child}: message-id=<m@example.net>",
            f"qmgr: {child}: from=<owner-list@example.com>, size=398, nrcpt=2 (queue active)",
            f"smtp: {child}: {sent('carol@example.net')}",
            f"qmgr: {child}: removed",
        )
    )
    by_recipient = {record["recipient"]: record for record in records}
    assert by_recipient["list@example.com"]["flags"] == ["EXPANDED"]
    carol = by_recipient["carol@example.net"]
    assert (carol["sender_ip"], carol["sender_ip_origin"]) == (ip("192.0.2.1"), "PARENT")
    assert carol["parent_message_key"] == by_recipient["list@example.com"]["message_key"]


def test_case_28_virtual_alias() -> None:
    line = sent("alice@example.com").replace(", relay", ", orig_to=<team@example.com>, relay")
    record = one(log(*message(line)))
    assert (record["recipient"], record["original_recipient"]) == ("alice@example.com", "team@example.com")


def test_case_32_many_recipients_interleaved() -> None:
    lines = message(*(sent(f"r{number}@example.com") for number in range(120)))
    other = message(*(sent(f"q{number}@example.com") for number in range(50)), queue_id="3F2A1C0D4E")
    mixed = [line for pair in zip(lines, other, strict=False) for line in pair] + lines[len(other) :]
    records = read(log(*mixed))
    assert len(outcomes(records)) == 170
    assert len({record["message_key"] for record in records}) == 2


def test_case_33_mixed_outcomes_and_retries() -> None:
    bounced = (
        "to=<perm@example.com>, relay=mx.example.com[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, "
        "status=bounced (host mx.example.com[192.0.2.9] said: 550 5.1.1 No (in reply to RCPT TO command))"
    )
    records = read(
        log(
            *message(
                sent("ok1@example.com"), deferred("temp@example.com"), bounced, sent("ok2@example.com"),
                deferred("temp@example.com"), sent("temp@example.com"),
            )
        )
    )  # fmt: skip
    assert outcomes(records) == {
        ("ok1@example.com", "SENT"): 1,
        ("perm@example.com", "BOUNCED"): 1,
        ("ok2@example.com", "SENT"): 1,
        ("temp@example.com", "SENT"): 1,
    }
    assert records[-1]["attempts"] == 3
    assert records[1]["smtp_code"] == 550


def test_case_34_expired() -> None:
    lines = message(deferred("a@example.com"), deferred("b@example.com"), removed=False)
    lines += [
        "qmgr: 4jYKJ82btYzLhNx: from=<s@example.net>, status=expired, returned to sender",
        "qmgr: 4jYKJ82btYzLhNx: removed",
    ]
    assert outcomes(read(log(*lines))) == {("a@example.com", "EXPIRED"): 1, ("b@example.com", "EXPIRED"): 1}


def test_case_35_undecided_for_long_then_sent() -> None:
    first = log(*message(deferred("a@example.com"), removed=False))
    later = first.splitlines()[3].replace(b"T09:00", b"T11:00") + b"\n"
    final = log(f"smtp: 4jYKJ82btYzLhNx: {sent('a@example.com')}").replace(b"T09", b"T12")
    records = read(first + later + final, finish=False)
    assert [(record["outcome"], record["is_final"]) for record in records] == [("DEFERRED", False), ("SENT", True)]
    assert records[0]["event_time"] < records[1]["event_time"]
    assert records[0]["message_key"] == records[1]["message_key"]


def test_case_36_soft_bounce_is_temporary() -> None:
    line = deferred("a@example.com").replace("status=deferred", "status=SOFTBOUNCE")
    records = read(log(*message(line, sent("a@example.com"))))
    assert outcomes(records) == {("a@example.com", "SENT"): 1}


def test_case_37_probes_are_no_mail() -> None:
    line = sent("a@example.com").replace("status=sent", "status=deliverable")
    assert read(log(*message(line)), finish=False) == []


@pytest.mark.parametrize(
    ("phrase", "kind"),
    [
        ("sender non-delivery notification", "BOUNCE"),
        ("sender delay notification", "DELAY_NOTICE"),
        ("sender delivery status notification", "DELIVERY_NOTICE"),
    ],
)
@pytest.mark.parametrize("link_first", [False, True])
def test_cases_39_and_40_notices(phrase: str, kind: str, link_first: bool) -> None:
    child = "4jYKJ82btYzLhNy"
    link = f"bounce: 4jYKJ82btYzLhNx: {phrase}: {child}"
    notice = [
        f"cleanup: {child}: message-id=<b@example.com>",
        f"qmgr: {child}: from=<>, size=2000, nrcpt=1 (queue active)",
        f"smtp: {child}: {sent('s@example.net')}",
        f"qmgr: {child}: removed",
    ]
    parent = message(deferred("a@example.com"), removed=False)
    lines = [*parent, link, *notice] if link_first else [*parent, *notice, link]
    (record,) = [record for record in read(log(*lines)) if record["queue_id"] == child]
    assert (record["kind"], record["parent_queue_id"]) == (kind, "4jYKJ82btYzLhNx")
    assert (record["sender_ip"], record["sender_ip_origin"]) == (None, "LOCAL_PROCESS")
    assert record["flags"] == []


def test_case_41_requeued() -> None:
    lines = message(deferred("a@example.com"), removed=False)
    lines += [
        "postsuper: 4jYKJ82btYzLhNx: requeued",
        "pickup: 4jYKJ82btYzLhNy: uid=102 from=<s@example.net> orig_id=4jYKJ82btYzLhNx",
        "cleanup: 4jYKJ82btYzLhNy: message-id=<m@example.net>",
        "qmgr: 4jYKJ82btYzLhNy: from=<s@example.net>, size=370, nrcpt=1 (queue active)",
        f"smtp: 4jYKJ82btYzLhNy: {sent('a@example.com')}",
        "qmgr: 4jYKJ82btYzLhNy: removed",
    ]
    record = one(log(*lines))
    assert (record["sender_ip"], record["parent_queue_id"]) == (ip("192.0.2.1"), "4jYKJ82btYzLhNx")


def test_case_42_removed_by_hand() -> None:
    lines = [*message(deferred("a@example.com"), removed=False), "postsuper: 4jYKJ82btYzLhNx: removed"]
    record = one(log(*lines))
    assert (record["outcome"], record["is_final"]) == ("DELETED", True)
    assert "ADMINISTRATIVE" in record["flags"]


def test_case_42_removed_all_is_a_loss_marker() -> None:
    from producers.assemble import Assembler
    from tests.unit.producers.lines import NOW, SOURCE

    assembler = Assembler(Site(), [SOURCE])
    assembler.read("mail", log("postsuper: Deleted: 5 messages"), 0, NOW, NOW)
    assert assembler.take_tallies()["mail"].loss_markers == {"postsuper-deleted-all": 5}


def test_case_43_held_and_released() -> None:
    lines = message(sent("a@example.com"))
    lines.insert(
        2,
        "cleanup: 4jYKJ82btYzLhNx: hold: header X-Spam: yes from c[192.0.2.1]; from=<s@example.net> to=<a@example.com> proto=ESMTP helo=<h>",
    )
    assert outcomes(read(log(*lines))) == {("a@example.com", "SENT"): 1}
    held = one(log(*lines[:3]))
    assert (held["outcome"], held["is_final"]) == ("HELD", False)


def test_case_44_access_discard() -> None:
    record = one(
        log(
            "smtpd: NOQUEUE: discard: RCPT from c[192.0.2.1]:4000: <d@example.com>: Recipient address triggers DISCARD action; "
            "from=<s@example.net> to=<d@example.com> proto=ESMTP helo=<h>"
        )
    )
    assert (record["outcome"], record["recipient"], record["sender_ip"]) == (
        "DISCARDED",
        "d@example.com",
        ip("192.0.2.1"),
    )


def test_case_45_milter_reject_names_only_the_last() -> None:
    lines = message(removed=False)[:2]
    lines.append(
        "cleanup: 4jYKJ82btYzLhNx: milter-reject: END-OF-MESSAGE from c[192.0.2.1]: 5.7.1 spam; from=<s@example.net> "
        "to=<b@example.com> proto=ESMTP helo=<h>"
    )
    record = one(log(*lines))
    assert (record["event"], record["outcome"], record["recipient"]) == ("REFUSAL", "REFUSED", "b@example.com")
    assert "RECIPIENTS_INCOMPLETE" in record["flags"]
    assert record["message_id"] == "<m@example.net>"


def test_cases_46_and_47_refusal_texts_imitate_fields() -> None:
    reject = (
        "smtpd: NOQUEUE: reject: RCPT from c[192.0.2.1]: 554 5.7.1 <x@example.com>: to=<x@y> from=<fake@evil>; "
        "from=<evil@x> to=<evil@y> nonsense; from=<s@example.net> to=<x@example.com> proto=ESMTP helo=<h>"
    )
    header = (
        "cleanup: 4jYKJ82btYzLhNx: reject: header Subject: .. from=<evil@x> to=<evil@y> from c[192.0.2.1]; "
        "from=<s@example.net> to=<x@example.com> proto=ESMTP helo=<h>: 5.7.1 no"
    )
    for line in (reject, header):
        record = one(log(line))
        assert (record["sender"], record["recipient"]) == ("s@example.net", "x@example.com")
        assert record["sender_ip"] == ip("192.0.2.1")


def test_case_48_reply_text_imitates_a_status() -> None:
    line = deferred("a@example.com").replace("450 4.2.0 Later", "450 4.2.0 status=sent (not really)")
    records = read(log(*message(line, removed=False)))
    assert [record["outcome"] for record in records] == ["DEFERRED"]


def test_case_49_pipe_output_is_not_kept() -> None:
    line = (
        "to=<a@example.com>, relay=maildrop, delay=0, delays=0/0/0/0, dsn=2.0.0, "
        "status=sent (delivered via maildrop service (Return-Path: <a@b> Subject: secret))"
    )
    record = one(log(*message(line)))
    assert "secret" not in repr(record)
    assert record["outcome"] == "DELIVERED"


def test_case_50_one_of_several_recipients_refused() -> None:
    lines = message(sent("a@example.com"))
    lines.insert(
        1,
        "smtpd: 4jYKJ82btYzLhNx: reject: RCPT from c[192.0.2.1]: 550 5.1.1 <no@example.com>: unknown; from=<s@example.net> to=<no@example.com> proto=ESMTP helo=<h>",
    )
    records = read(log(*lines))
    assert outcomes(records) == {("no@example.com", "REFUSED"): 1, ("a@example.com", "SENT"): 1}
    assert len({record["message_key"] for record in records}) == 1


def test_case_51_broken_off_makes_no_record() -> None:
    lines = [
        "smtpd: 4jYKJ82btYzLhNx: client=c[192.0.2.1]",
        "cleanup: 4jYKJ82btYzLhNx: message-id=<m@example.net>",
        "smtpd: lost connection after DATA (20 bytes) from c[192.0.2.1]",
    ]
    assert read(log(*lines)) == []


def test_case_52_client_by_message_not_by_process() -> None:
    records = read(
        log(
            *message(sent("a@example.com")),
            *message(sent("b@example.com"), queue_id="3F2A1C0D4E", client="d[192.0.2.77]"),
        )
    )
    assert [record["sender_ip"] for record in records] == [ip("192.0.2.1"), ip("192.0.2.77")]


def test_case_54_local_submission() -> None:
    lines = message(sent("a@example.com"), sender="root@host.example.com")
    lines[0] = "pickup: 4jYKJ82btYzLhNx: uid=0 from=<root>"
    record = one(log(*lines))
    assert (record["sender"], record["local_uid"], record["sender_ip_origin"]) == (
        "root@host.example.com",
        0,
        "LOCAL_PROCESS",
    )


def test_case_56_sasl_name_imitates_fields() -> None:
    client = "c[192.0.2.1]:40022, sasl_method=PLAIN, sasl_username=bob smith, sasl_method=FAKE"
    record = one(log(*message(sent("a@example.com"), client=client)))
    assert record["authenticated_user"] == "bob smith"
    assert "AMBIGUOUS_PARSE" in record["flags"]


def test_case_56_sasl_name_imitates_an_origin() -> None:
    client = "c[192.0.2.1], sasl_method=PLAIN, sasl_username=x, orig_queue_id=3F2A1C0D4E, orig_client=evil[6.6.6.6]"
    record = one(log(*message(sent("a@example.com"), client=client)))
    assert record["sender_ip"] == ip("192.0.2.1")


def test_case_57_postscreen_refusal() -> None:
    record = one(
        log(
            "postscreen: NOQUEUE: reject: RCPT from [192.0.2.1]:4422: 550 5.5.1 Protocol error; from=<s@example.net>, "
            "to=<x@example.com>, proto=ESMTP, helo=<h>"
        )
    )
    assert (record["sender_ip"], record["sender_port"], record["helo"]) == (ip("192.0.2.1"), 4422, "h")
    assert (record["sender"], record["recipient"], record["smtp_code"]) == ("s@example.net", "x@example.com", 550)


def test_case_58_lines_out_of_order() -> None:
    lines = message(sent("a@example.com"))
    record = one(log(lines[3], lines[1], lines[2], lines[0]))
    assert (record["sender"], record["sender_ip"], record["flags"]) == ("s@example.net", ip("192.0.2.1"), [])


def test_case_58_beginning_never_seen() -> None:
    record = one(log(*message(sent("a@example.com"))[2:]))
    assert (record["sender_ip"], record["sender_ip_origin"]) == (None, "NOT_LOGGED")
    assert "PARTIAL_START" in record["flags"]


def test_case_59_identical_refusals_are_several() -> None:
    line = log(
        "smtpd: NOQUEUE: reject: RCPT from c[192.0.2.1]: 550 5.1.1 no; from=<s@example.net> to=<x@example.com> proto=ESMTP helo=<h>"
    )
    records = read(line * 3)
    assert len({record["record_id"] for record in records}) == 3


@pytest.mark.parametrize(
    "tag", ["postfix-in/smtpd", "postfix/10025/smtpd", "postfix/submission/smtpd", "postfix-out/smtps/smtpd"]
)
def test_case_64_tags(tag: str) -> None:
    lines = message(sent("a@example.com"))
    instance = tag.rpartition("/")[0]
    lines = [
        line.replace("smtpd: ", f"{tag}: ", 1) if number == 0 else f"{instance}/{line}"
        for number, line in enumerate(lines)
    ]
    record = one(log(*lines))
    assert record["instance"] == instance
    assert record["sender_ip"] == ip("192.0.2.1")


def test_case_65_foreign_lines_look_alike() -> None:
    line = log(f"opendkim/x: 4jYKJ82btYzLhNx: {sent('a@example.com')}").replace(b"opendkim/x", b"opendkim")
    assert read(line) == []
