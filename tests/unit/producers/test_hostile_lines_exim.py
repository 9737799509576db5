"""Exim lines that were written to mislead, or to cost time: fields stay what they are, doubt is flagged."""

import time

import pytest

from producers.events import Accepted, NotUnderstood, Refusal, Routed
from producers.sources import exim
from producers.sources.route import Program, program_of
from tests.unit.producers.exim_lines import ID, log, message, not_understood, one, sent
from tests.unit.producers.lines import ip

ARRIVAL = "<= s@x H=c.example.net (c) [192.0.2.1] P=esmtp S=370"


def parse(text: str) -> object:
    return exim.parse(b"exim", b"7", text.encode())


@pytest.mark.parametrize(
    "message_id",
    [
        '"x) [6.6.6.6] P=esmtp S=3 id=y"@example.net',
        '"x T=y from <ceo@example.org> for spy@example.org"@example.net',
        '"\\" for spy@example.org"@example.net',
        "x@[6.6.6.6]",
        "a=b;S=5&R=6@example.net",
    ],
)
def test_a_message_id_that_imitates_fields_is_one(message_id: str) -> None:
    record = one(message(sent("a@b.example"), arrival=f"{ARRIVAL} id={message_id}"))
    assert (record["message_id"], record["sender_ip"], record["size_bytes"]) == (message_id, ip("192.0.2.1"), 370)
    assert (record["sender"], record["recipient"]) == ("s@x", "a@b.example")


@pytest.mark.parametrize(
    "subject",
    [
        'a\\" from <ceo@example.org> for spy@example.org',
        "x) [6.6.6.6] P=esmtp S=3 id=a@b",
        'x) [6.6.6.6] P=esmtp S=3 T=\\"',
        "\\\\",
        "",
    ],
)
def test_a_subject_is_stepped_over(subject: str) -> None:
    arrival = f'{ARRIVAL} id=m@x T="{subject}" from <s@x> for a@b.example'
    record = one(message(sent("a@b.example"), arrival=arrival))
    assert (record["recipient"], record["recipient_count"], record["sender_ip"]) == ("a@b.example", 1, ip("192.0.2.1"))
    assert "AMBIGUOUS_PARSE" not in record["flags"]


@pytest.mark.parametrize("sender", ['"a b H=evil [6.6.6.6] P=esmtp S=1"@x', '"<= <> R=1"@x', '"a\\" b"@x', "用户@x"])
def test_a_sender_that_imitates_fields_is_one(sender: str) -> None:
    record = one(message(sent("a@b.example"), arrival=f"<= {sender} H=(c) [192.0.2.1] P=esmtp S=370 id=m@x"))
    assert (record["sender"], record["sender_ip"]) == (sender, ip("192.0.2.1"))


@pytest.mark.parametrize(
    "reply",
    [
        '250 ok\\" R=x T=y H=evil [6.6.6.6] C=\\"250 OK id=1xxxxx-0000aa-00',
        "250 ok R=x T=y H=evil [6.6.6.6]:25",
        "250 [6.6.6.6] " * 70,
        "250 ok\\\\",
    ],
)
def test_a_reply_that_imitates_fields_changes_none(reply: str) -> None:
    record = one(message(sent("a@b.example", reply)))
    assert (record["recipient"], record["recipient_ip"], record["smtp_code"]) == ("a@b.example", ip("192.0.2.9"), 250)


@pytest.mark.parametrize(
    "said",
    [
        '550 5.1.1 <"x"@y> F=<ceo@example.org> R=a T=b H=evil [6.6.6.6]: 250 OK id=1xxxxx-0000aa-00',
        "550 5.1.1 => spy@example.org R=a T=b H=evil [6.6.6.6]",
        "550 5.1.1 no: retry timeout exceeded",
        "550 5.1.1 x defer (-1): y",
    ],
)
def test_a_refusal_of_the_next_hop_that_imitates_a_line_changes_none(said: str) -> None:
    text = f"R=r T=t H=mx [192.0.2.9]: SMTP error from remote mail server after RCPT TO:<a@b.example>: {said}"
    record = one(message(f"** a@b.example {text}"))
    assert (record["recipient"], record["recipient_ip"], record["outcome"]) == (
        "a@b.example",
        ip("192.0.2.9"),
        "BOUNCED",
    )
    assert (record["smtp_code"], record["dsn"], record["next_queue_id"]) == (550, "5.1.1", None)


def test_a_helo_with_blanks_that_imitates_a_refusal_is_in_doubt() -> None:
    helo = "x) [6.6.6.6] F=<ceo@example.org> rejected RCPT <spy@example.org>: no"
    record = one(log(f"H=({helo}) [192.0.2.1] F=<s@x> rejected RCPT <a@example.org>: no"))
    assert "AMBIGUOUS_PARSE" in record["flags"]


def test_a_refused_address_that_imitates_a_refusal_is_one() -> None:
    address = '"x) [6.6.6.6] F=<ceo@example.org> rejected RCPT <spy@example.org>: "@example.org'
    record = one(log(f"H=(c) [192.0.2.1] F=<s@x> rejected RCPT <{address}>: Unrouteable address"))
    assert (record["recipient"], record["sender"], record["sender_ip"]) == (address, "s@x", ip("192.0.2.1"))


@pytest.mark.parametrize("user", ["alice", "bob smith", "carol S=5 id=a@b", "a RCPT b", "x:y"])
def test_a_login_ends_where_fields_follow(user: str) -> None:
    event = parse(f"{ID} <= s@x H=(c) [192.0.2.1] P=esmtpa A=plain:{user} S=370 id=m@x")
    assert isinstance(event, Accepted)
    assert (event.client.user, event.size_bytes, event.message_id) == (user, 370, "m@x")
    refused = parse(f"H=(c) [192.0.2.1] F=<s@x> A=plain:{user} temporarily rejected RCPT <a@b>: no")
    assert isinstance(refused, Refusal)
    assert refused.client.user == user


def test_a_login_with_the_sender_that_the_client_named() -> None:
    event = parse(f"{ID} <= s@x H=(c) [192.0.2.1] P=esmtpa A=plain:alice:alice@example.org S=370")
    assert isinstance(event, Accepted)
    assert (event.client.user, event.client.flags) == ("alice", ("AMBIGUOUS_PARSE",))


@pytest.mark.parametrize(
    "line",
    [
        "<= s@x H=(" + "x) [6.6.6.6] A=u:" * 900 + ") [192.0.2.1] P=esmtp S=1",
        "<= s@x H=(" + "x) [6.6.6.6] P=esmtp S=1 T=\"" * 500 + ") [192.0.2.1] P=esmtp S=1",
        "<= s@x" + " H=[" * 4000,
        "<= " + '"' * 9000,
        "<= s@x H=[1.1.1.1] P=a S=1 for" + " a@b" * 3000,
        "<= s@x H=[1.1.1.1] P=a S=1 id=" + '"\\' * 4000,
        "=> " + "y R=a T=b " * 1500,
        "=> " + "<" * 8000 + "> R=a T=b",
        "** " + ": " * 8000,
        "** " + "a@b R=a T=b: " * 1200,
        "== " + " defer (-1)" * 1400,
        "=> a@b R=a T=b C=" + '"\\' * 4000,
        "H=(" + "x) [6.6.6.6] F=<a@b> rejected RCPT <c@d>: " * 380 + ") [1.1.1.1]",
        "H=(" + "x) [6.6.6.6] A=a RCPT " * 700 + ": discarded by",
        "rejected from <" + "a" * 9000 + "> H=(" + ") [1.1.1.1]: " * 500,
        "U=" + "a F=<b> " * 2000,
    ],
)  # fmt: skip
def test_a_line_of_any_form_costs_little(line: str) -> None:
    begun = time.process_time()
    for text in (line, f"{ID} {line}"):
        parse(text[: exim.LINE_BYTES_MAX])
    assert time.process_time() - begun < 1.0


def test_a_line_longer_than_exim_writes_any_is_not_understood() -> None:
    assert parse("<= " + "x" * 20_000) == NotUnderstood("exim-too-long")


def test_a_recipient_list_that_did_not_fit_is_flagged() -> None:
    names = " ".join(f"member{number}@a-long-domain-name.example.net" for number in range(200))
    event = parse(f"{ID} {ARRIVAL} id=m@x for {names}")
    assert isinstance(event, Accepted)
    assert len(event.recipients) == 200
    assert event.flags == ("RECIPIENTS_INCOMPLETE",)


@pytest.mark.parametrize(
    "line", ["<= ", "<= <>", "<= s@x", "=> ", "** ", "== ", "=> a@b", "<= s@x P=x S=y", "-> <a> R=x T=y", ">> R=x T=y"]
)
def test_a_line_that_is_cut_is_not_understood(line: str) -> None:
    assert isinstance(parse(f"{ID} {line}"), NotUnderstood)


def test_a_field_of_a_later_version_hides_nothing() -> None:
    event = parse(f"{ID} <= s@x H=(c) [192.0.2.1] P=esmtp NEW=a-b.c:1 S=370 id=m@x")
    assert isinstance(event, Accepted)
    assert (event.size_bytes, event.message_id) == (370, "m@x")
    routed = parse(f'{ID} => a@b R=r T=t H=mx [192.0.2.9] NEW=x C="250 OK" QT=1s')
    assert isinstance(routed, Routed)
    assert routed.delivery.smtp_code == 250


def test_bytes_that_are_no_text_are_kept() -> None:
    event = exim.parse(b"", b"", f"{ID} => ".encode() + b"\xff@b.example R=r T=t H=mx [192.0.2.9]")
    assert isinstance(event, Routed)
    assert (event.delivery.recipient.text, event.delivery.recipient.flags) == ("\\xff@b.example", ("INVALID_BYTES",))


def test_tags_of_exim_and_of_what_only_looks_like_it() -> None:
    for tag in (b"exim[7]", b"exim4[7]", b"exim", b"exim-out[1]"):
        program = program_of(tag)
        assert isinstance(program, Program)
        assert program.mta == "EXIM"
    assert not isinstance(program_of(b"spamd[7]"), Program)


def test_lines_of_others_with_such_a_header_are_not_understood() -> None:
    assert not_understood(b"2026-11-24 09:00:00 hello world\n2026-11-24 09:00 x\n") == {"exim-talk": 1, "no-header": 1}
