"""Bytes to text, addresses and IP addresses: reversible, quoted, and never an exception."""

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.events import Address
from producers.text import address, decode, ip_address, scan_address

# Pieces that meet: escapes, parts of escapes, valid and broken UTF-8.
PIECES = st.sampled_from([b"\\", b"x", b"\\x", b"\\x5c", b"5c", b"ff", b"\xff", b"\xc3", b"\xa9", "é留".encode(), b"a"])
NASTY = st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=60)


def encode(text: str, invalid: bool) -> bytes:
    """The way back, as docs promise it: every backslash, x and two hex digits stand for one byte."""
    if not invalid:
        return text.encode()
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())


@given(NASTY)
def test_bytes_come_back_from_their_text(raw: bytes) -> None:
    assert encode(*decode(raw)) == raw


@given(st.text(max_size=40))
def test_utf8_is_left_as_it_is(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    if raw.decode("utf-8", "replace") == text:
        assert decode(raw) == (text, False)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\xff", "\\xff"),
        (b"\\xff\xff", "\\x5cxff\\xff"),
        (b"\\\xff", "\\\\xff"),
        (b"caf\xe9", "caf\\xe9"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),  # a surrogate is no UTF-8
        (b"\xc0\xaf", "\\xc0\\xaf"),  # nor is an overlong slash
    ],
)
def test_other_bytes_are_hexadecimal(raw: bytes, text: str) -> None:
    assert decode(raw) == (text, True)


def test_a_backslash_in_good_text_is_not_touched() -> None:
    assert decode(b"\\xff") == ("\\xff", False)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"alice@example.org", Address("alice@example.org")),
        (b"", Address("")),
        (b"root", Address("root")),
        ("用户@example.org".encode(), Address("用户@example.org")),
        (b'"a b"@example.org', Address('"a b"@example.org')),
        (b"a b@example.org", Address('"a b"@example.org', "a b@example.org", ("ADDRESS_REQUOTED",))),
        (b"a@b@example.org", Address('"a@b"@example.org', "a@b@example.org", ("ADDRESS_REQUOTED",))),
        (b'a"b@example.org', Address('"a\\"b"@example.org', 'a"b@example.org', ("ADDRESS_REQUOTED",))),
        (b"a\\b@example.org", Address('"a\\\\b"@example.org', "a\\b@example.org", ("ADDRESS_REQUOTED",))),
        (b"odd, 1>@example.org", Address('"odd, 1>"@example.org', "odd, 1>@example.org", ("ADDRESS_REQUOTED",))),
        (b"a b", Address('"a b"', "a b", ("ADDRESS_REQUOTED",))),
        (b"@example.org", Address("@example.org")),
        (b"a\xff b@example.org", Address("a\\xff b@example.org", None, ("INVALID_BYTES",))),
    ],
)
def test_addresses_are_in_external_form(raw: bytes, expected: Address) -> None:
    assert address(raw) == expected


@given(NASTY)
def test_any_bytes_are_an_address_from_which_they_can_be_had_back(raw: bytes) -> None:
    found = address(raw)
    invalid = "INVALID_BYTES" in found.flags
    logged = found.text if found.logged is None else found.logged
    assert encode(logged, invalid) == raw
    assert (found.logged is not None) == ("ADDRESS_REQUOTED" in found.flags)


@given(st.from_regex(r"[a-z0-9.+_-]{1,20}@[a-z]{1,8}\.example\.org", fullmatch=True))
def test_an_ordinary_address_is_left_alone(text: str) -> None:
    assert address(text.encode()) == Address(text)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (b"a@example.org>, x", 13),
        (b">", 0),
        (b'"a>b"@example.org>, x', 17),
        (b'"a\\">b"@example.org>', 19),
        (b"a\\>b@example.org>", 16),
        (b"no end", -1),
        (b'"never closed>', -1),
        (b"", -1),
        (b"a\\", -1),
    ],
)
def test_the_end_of_an_address_honours_quotes(text: bytes, end: int) -> None:
    assert scan_address(text, 0) == end
    assert scan_address(b"to=<" + text, 4) == (end + 4 if end >= 0 else -1)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_scanning_never_leaves_the_text(text: bytes, start: int) -> None:
    end = scan_address(text, start)
    assert end == -1 or (start <= end < len(text) and text[end : end + 1] == b">")


@given(st.integers(0, 2**32 - 1))
def test_ipv4_is_mapped(number: int) -> None:
    text = str(IPv4Address(number))
    assert ip_address(text.encode()) == b"\x00" * 10 + b"\xff\xff" + number.to_bytes(4, "big")
    assert ip_address(f"::ffff:{text}".encode()) == ip_address(text.encode())


@given(st.integers(0, 2**128 - 1))
def test_ipv6_is_packed_with_prefix_and_zone_left_off(number: int) -> None:
    text = str(IPv6Address(number))
    for form in (text, f"IPv6:{text}", text.upper(), f"{text}%eth0"):
        assert ip_address(form.encode()) == number.to_bytes(16, "big")


@pytest.mark.parametrize(
    "raw",
    [b"", b"unknown", b"192.0.2", b"192.0.2.256", b"192.0.2.01", b"192.0.2.1:25", b"::1::", b"\xff", "１".encode()],
)
def test_what_is_no_ip_address_is_none(raw: bytes) -> None:
    assert ip_address(raw) is None


@given(st.binary(max_size=40))
def test_any_bytes_are_an_ip_address_or_none(raw: bytes) -> None:
    found = ip_address(raw)
    assert found is None or len(found) == 16
