"""The hard cases of Postfix's log on who and where, by the numbers of the project's list (docs/hard-cases.md says which are to come)."""

import pytest

from tests.unit.producers.lines import ip, log, message, one, sent


def test_case_01_null_sender_is_a_value() -> None:
    record = one(log(*message(sent("a@example.com"), sender="")))
    assert record["sender"] == ""


def test_case_02_quoted_recipient_holds_a_relay() -> None:
    record = one(log(*message(sent('"x> , relay=evil[6.6.6.6]:25"@example.com'))))
    assert record["recipient"] == '"x> , relay=evil[6.6.6.6]:25"@example.com'
    assert record["recipient_ip"] == ip("192.0.2.9")


def test_case_03_quoted_sender_holds_a_recipient() -> None:
    record = one(log(*message(sent("a@example.com"), sender='"we<i>rd, to=<z>"@example.com')))
    assert record["sender"] == '"we<i>rd, to=<z>"@example.com'
    assert record["recipient"] == "a@example.com"


def test_case_04_internal_form_is_quoted_again() -> None:
    record = one(log(*message(sent("a@example.com"), sender="john smith@example.com")))
    assert record["sender"] == '"john smith"@example.com'
    assert record["sender_logged"] == "john smith@example.com"
    assert "ADDRESS_REQUOTED" in record["flags"]


def test_case_05_internal_form_imitates_fields() -> None:
    record = one(log(*message(sent("a@example.com"), sender="x>, size=1, nrcpt=9@example.com")))
    assert record["sender_logged"] == "x>, size=1, nrcpt=9@example.com"
    assert record["size_bytes"] == 370
    assert "AMBIGUOUS_PARSE" in record["flags"]


def test_case_06_utf8_address() -> None:
    assert one(log(*message(sent("пользователь@example.com"))))["recipient"] == "пользователь@example.com"


def test_case_06_invalid_utf8_is_reversible() -> None:
    data = log(*message(sent("NAME@example.com"))).replace(b"NAME", b"a\xff\\x41")
    record = one(data)
    assert record["recipient"] == "a\\xff\\x5cx41@example.com"
    assert "INVALID_BYTES" in record["flags"]


def test_case_07_message_id_imitates_fields() -> None:
    text = 'a b "c> , from=<x@y>, size=1, nrcpt=1 (queue active)'
    record = one(log(*message(sent("a@example.com"), message_id=text)))
    assert (record["message_id"], record["sender"], record["size_bytes"]) == (text, "s@example.net", 370)


def test_case_08_two_message_ids() -> None:
    lines = message(sent("a@example.com"))
    lines.insert(2, "cleanup: 4jYKJ82btYzLhNx: message-id=<other@example.net>")
    record = one(log(*lines))
    assert record["message_id"] == "<m@example.net>"
    assert "EXTRA_MESSAGE_ID" in record["flags"]


@pytest.mark.parametrize("text", ["<>", ""])
def test_case_09_empty_message_id(text: str) -> None:
    assert one(log(*message(sent("a@example.com"), message_id=text)))["message_id"] == (text or None)


def test_case_09_no_message_id_line() -> None:
    lines = message(sent("a@example.com"))
    del lines[1]
    assert one(log(*lines))["message_id"] is None


def test_case_10_cut_message_id_is_flagged() -> None:
    text = "<" + "m" * 1976
    record = one(log(*message(sent("a@example.com"), message_id=text)))
    assert record["message_id"] == text
    assert "TRUNCATED" in record["flags"]


def test_case_11_xforward_origin_wins() -> None:
    client = "localhost[127.0.0.1], orig_queue_id=3F2A1C0D4E, orig_client=h.example.net[203.0.113.7]"
    record = one(log(*message(sent("a@example.com"), client=client)))
    assert record["sender_ip"] == ip("203.0.113.7")
    assert record["sender_ip_origin"] == "FORWARDED"


def test_case_12_client_line_and_not_connect() -> None:
    lines = ["smtpd: connect from localhost[127.0.0.1]", *message(sent("a@example.com"), client="h[192.0.2.10]")]
    assert one(log(*lines))["sender_ip"] == ip("192.0.2.10")


@pytest.mark.parametrize(
    "client", ["unknown[unknown]", "unknown[unknown]:unknown", "localhost[127.0.0.1], orig_client=unknown"]
)
def test_case_13_unknown_client(client: str) -> None:
    record = one(log(*message(sent("a@example.com"), client=client)))
    assert (record["sender_ip"], record["sender_ip_origin"]) == (None, "UNKNOWN_TO_MTA")
    assert (record["sender_host"], record["sender_port"]) == (None, None)


def test_case_14_ipv6() -> None:
    record = one(log(*message(sent("a@example.com", "mx[2001:db8:1::1b]:25"), client="unknown[2001:db8::1]")))
    assert record["sender_ip"] == bytes.fromhex("20010db8000000000000000000000001")
    assert record["recipient_ip"] == bytes.fromhex("20010db800010000000000000000001b")


def test_case_15_mapped_ipv4() -> None:
    assert one(log(*message(sent("a@example.com"), client="x[::ffff:198.51.100.7]")))["sender_ip"] == ip("198.51.100.7")


def test_case_16_client_port() -> None:
    assert one(log(*message(sent("a@example.com"))))["sender_port"] == 40022


def test_case_17_lmtp_socket_is_local() -> None:
    text = "250 2.0.0 <a@example.com> AbCdEfGhIjKlMnOpQrSt Saved"
    record = one(log(*message(sent("a@example.com", "host[private/dovecot-lmtp]", text))))
    assert (record["outcome"], record["recipient_ip_origin"]) == ("DELIVERED", "LOCAL_DELIVERY")
    assert record["session_id"] == "AbCdEfGhIjKlMnOpQrSt"


def test_case_18_no_relay() -> None:
    line = "to=<a@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=5.4.4, status=bounced (Host not found)"
    record = one(log(*message(line)))
    assert (record["recipient_ip_origin"], record["outcome"]) == ("NOT_CONNECTED", "BOUNCED")
