"""Lines that were written to mislead: other fields stay what they are, nothing stops, and doubt is flagged."""

import time

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.sources import postfix
from producers.text import bounded
from tests.unit.producers.lines import NOW, SOURCE, ip, log, message, one, read, sent

CLIENT = "c[192.0.2.1]"
TRUE = "from=<s@example.net> to=<x@example.com> proto=ESMTP helo=<h>"
FALSE = "from=<ceo@example.org> to=<spy@example.org> proto=ESMTP helo=<z>"


def test_a_refused_address_that_holds_an_envelope_changes_none() -> None:
    """The reply repeats the address that a stranger made up; it is stepped over."""
    line = f'smtpd: NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 <"x; {FALSE}"@example.com>: Relay denied; {TRUE}'
    record = one(log(line))
    assert (record["sender"], record["recipient"]) == ("s@example.net", "x@example.com")
    assert record["sender_ip"] == ip("192.0.2.1")


def test_a_header_that_holds_an_envelope_and_a_client_changes_none() -> None:
    line = f"cleanup: 4jYKJ82btYzLhNx: reject: header Subject: a from e[9.9.9.9]; {FALSE} from {CLIENT}; {TRUE}"
    record = one(log(line))
    assert (record["sender"], record["recipient"]) == ("s@example.net", "x@example.com")
    assert record["sender_ip"] == ip("192.0.2.1")


def test_a_helo_that_holds_an_envelope_is_in_doubt() -> None:
    line = f"smtpd: NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 No; {TRUE.replace('<h>', '<h; ' + FALSE + '>')}"
    record = one(log(line))
    assert (record["sender"], record["recipient"]) == ("s@example.net", "x@example.com")
    assert "AMBIGUOUS_PARSE" in record["flags"]


def test_many_false_beginnings_cost_little() -> None:
    """A bound on the places that are tried; without it eight thousand bytes took seven seconds."""
    text = b"NOQUEUE: reject: RCPT from c[192.0.2.1]: 554 5.7.1 No" + b'; from=<"' * 4000 + b" proto=SMTP"
    begun = time.process_time()
    postfix.parse(b"smtpd", b"1", text)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("size", ["9" * 5000, str(2**63), "-1", "x"])
def test_a_size_that_is_none_is_not_understood(size: str) -> None:
    lines = [f"qmgr: 4jYKJ82btYzLhNx: from=<s@example.net>, size={size}, nrcpt=1 (queue active)"]
    assembler = Assembler(Site(), [SOURCE])
    assembler.read("mail", log(*lines), 0, NOW, NOW)
    assert assembler.take_tallies()["mail"].lines_not_understood == {"postfix-from": 1}


@pytest.mark.parametrize(
    ("uid", "kept"),
    [("2147483647", 2**31 - 1), ("2147483648", -(2**31)), ("4294967294", -2), ("4294967296", None), ("-1", None)],
)
def test_a_user_id_of_32_bits_is_kept_in_the_signed_field(uid: str, kept: int | None) -> None:
    """4294967294 is a legal uid (nobody, on some systems); the released field is an int: the same 32 bits."""
    lines = message(sent("a@example.com"))
    lines[0] = f"pickup: 4jYKJ82btYzLhNx: uid={uid} from=<nobody>"
    record = one(log(*lines))
    assert (record["local_uid"], record["sender_ip_origin"]) == (kept, "LOCAL_PROCESS")


def test_numbers_have_bounds() -> None:
    assert [bounded(raw, 100) for raw in (b"0", b"100", b"101", b"0099", b"", b"-1", b"9" * 9999)] == [
        0, 100, None, None, None, None, None,
    ]  # fmt: skip


def test_a_parser_that_fails_costs_its_line_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postfix, "_from", lambda *_: 1 / 0)
    monkeypatch.setitem(postfix._FACTS, b"from", lambda *_: 1 / 0)
    assembler = Assembler(Site(), [SOURCE])
    records = assembler.read("mail", log(*message(sent("a@example.com"))), 0, NOW, NOW)
    assert assembler.take_tallies()["mail"].lines_not_understood == {"fault": 1}
    assert records == []


def test_a_line_from_the_future_does_not_carry_log_time_away() -> None:
    """Its record keeps its time; timers and the claim of completeness go by what can be believed."""
    assembler = Assembler(Site(), [SOURCE])
    data = log(*message(sent("a@example.com"))).replace(b"2026-11-24", b"2036-11-24")
    assembler.read("mail", data, 0, NOW, NOW)
    assembler.read("mail", log(*message(sent("b@example.com"), queue_id="3F2A1C0D4E")), 0, NOW, NOW)
    through = assembler.take_tallies()["mail"].captured_through
    assert through is not None
    assert through < NOW + 3600 * 10**6


@pytest.mark.parametrize("tag", ["foo bar postfix/smtpd[1]", "x" * 200 + "/smtpd[1]"])
def test_a_tag_with_blanks_or_without_end_is_none(tag: str) -> None:
    data = f"2026-11-24T09:00:00Z mx1 {tag}: NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 No; {TRUE}\n"
    assert read(data.encode()) == []


def test_a_recipient_of_internal_form_that_imitates_a_delivery_is_in_doubt() -> None:
    """Without quotes nobody can tell which of two ends is meant; the first is taken and said to be in doubt."""
    line = sent("x>, relay=evil[6.6.6.6]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (y)@example.com")
    assert "AMBIGUOUS_PARSE" in one(log(*message(line)))["flags"]
    quoted = '"x>, relay=evil[6.6.6.6]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (y)"@example.com'
    record = one(log(*message(sent(quoted))))
    assert (record["recipient"], record["recipient_ip"], record["flags"]) == (quoted, ip("192.0.2.9"), [])


def test_a_refusal_text_that_imitates_its_envelope_changes_none() -> None:
    """The text of a REJECT entry, a policy server or a block list stands before the true fields."""
    record = one(log(f"smtpd: NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 No; {FALSE}; {TRUE}"))
    assert (record["sender"], record["recipient"], record["helo"]) == ("s@example.net", "x@example.com", "h")
    assert record["flags"] == []


def test_a_quoted_sender_that_holds_an_envelope_changes_none() -> None:
    for inside in (FALSE, FALSE.replace(" helo=<z>", ": y"), FALSE + " sasl_method=x"):
        sender = f'"x; {inside}"@example.net'
        record = one(
            log(f"smtpd: NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 No; {TRUE.replace('s@example.net', sender)}")
        )
        assert (record["sender"], record["recipient"]) == (sender, "x@example.com")


def test_addresses_without_brackets_are_addresses() -> None:
    """As some relays of logs leave them; only where the whole line has the shape of a delivery."""
    line = sent("a@example.com").replace("<a@example.com>", "a@example.com, orig_to=b@example.com")
    record = one(log(*message(line)))
    assert (record["recipient"], record["original_recipient"]) == ("a@example.com", "b@example.com")


def test_a_milters_reply_without_code_is_temporary_by_its_status() -> None:
    line = f"cleanup: 4jYKJ82btYzLhNx: milter-reject: END-OF-MESSAGE from {CLIENT}: 4.7.1 Service unavailable; {TRUE}"
    record = one(log(line))
    assert (record["dsn"], record["smtp_code"]) == ("4.7.1", None)
    assert record["flags"] == ["TEMPORARY", "RECIPIENTS_INCOMPLETE"]


@pytest.mark.parametrize("action", ["hold", "milter-hold", "milter-header-hold"])
def test_every_action_that_holds_holds(action: str) -> None:
    lines = [*message(removed=False)[:2], f"cleanup: 4jYKJ82btYzLhNx: {action}: header X: y from {CLIENT}; {TRUE}"]
    record = one(log(*lines))
    assert (record["outcome"], record["sender"], record["recipient"]) == ("HELD", "s@example.net", "x@example.com")
