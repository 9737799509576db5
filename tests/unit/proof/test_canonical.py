"""One value, one form: RFC 8785's own examples as far as they are allowed here, and what has no form."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from infra.proof import canonical, kinds, leaf, statements
from infra.proof.errors import CanonicalError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def test_order_of_keys_is_that_of_rfc_8785() -> None:
    """Section 3.2.3's example: by UTF-16 code units, so the emoji stands before U+FB33."""
    value = {
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\U0001f600": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis",
    }  # fmt: skip
    names = [text.split(":")[0].strip('"{') for text in canonical.encode(value).decode().split('",')]
    assert names == ["\\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_strings_are_escaped_as_little_as_possible() -> None:
    """Section 3.2.2's string."""
    text = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/"
    assert canonical.encode(text) == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


def test_numbers_and_words() -> None:
    assert canonical.encode([0, -1, 2**53 - 1, True, False, None, [], {}]) == (
        b"[0,-1,9007199254740991,true,false,null,[],{}]"
    )


@given(VALUES)
def test_there_and_back(value: Any) -> None:
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert canonical.encode(canonical.decode(data)) == data


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), 2**53, -(2**53), b"x", {1: 2}, {"a": {None: 1}}, "\ud800", object()]
)
def test_values_without_a_form(value: Any) -> None:
    with pytest.raises(CanonicalError):
        canonical.encode(value)


def test_depth_has_a_bound() -> None:
    value: Any = 1
    for _ in range(canonical.DEPTH_MAX):
        value = [value]
    canonical.encode(value)
    with pytest.raises(CanonicalError, match="levels"):
        canonical.encode([value])


@pytest.mark.parametrize(
    "data",
    [
        b"", b" 1", b"1 ", b"01", b"1.0", b"1e2", b"NaN", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'"\\u0041"', b'"\\/"',
        b'{"a": 1}', b"\xff", b'"\\ud800"', b"[" * 10_000, b"9007199254740992", b"-0", b"\xef\xbb\xbf1",
    ],
)  # fmt: skip
def test_bytes_that_are_no_form(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        canonical.decode(data)


def test_kinds_are_a_closed_table() -> None:
    assert sorted(set(kinds.KINDS.values())) == list(range(1, 10)) == sorted(kinds.TYPES.values())
    assert kinds.KINDS["GENESIS"] == 1
    assert kinds.KINDS["ERASED"] == 9
    assert len(kinds.KINDS) == 26
    assert set(kinds.KINDS) >= kinds.OWN_KINDS


def test_leaves() -> None:
    data = leaf.encode(3, leaf.commitment(bytes(32), b"payload"))
    assert leaf.decode(data) == (3, leaf.commitment(bytes(32), b"payload"))
    assert leaf.commitment(bytes(32), b"payload") != leaf.commitment(b"\x01" + bytes(31), b"payload")
    with pytest.raises(ValueError, match="salt"):
        leaf.commitment(b"short", b"payload")
    for wrong in (b"", data[:-1], data + b"\x00", b"\x02" + data[1:], b"\x01\x00" + data[2:], b"\x01\x0a" + data[2:]):
        with pytest.raises(ValueError, match="not a leaf"):
            leaf.decode(wrong)
    with pytest.raises(ValueError, match="not a leaf"):
        leaf.encode(10, bytes(32))


def test_statements_are_signed_by_one_key_and_say_one_thing() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes_raw()
    signature = statements.sign(key, {"type": "x", "n": 1})
    assert statements.verify(public, {"n": 1, "type": "x"}, signature)
    assert not statements.verify(public, {"n": 2, "type": "x"}, signature)
    assert not statements.verify(bytes(32), {"n": 1, "type": "x"}, signature)
    assert not statements.verify(public, {"n": 1, "type": "x"}, signature[:-1])
    assert not statements.verify(b"short", {"n": 1, "type": "x"}, signature)
