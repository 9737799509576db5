"""Selectors: one canonical form, and what lies inside what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_service.errors import DeskError
from query_service.selectors import Selector, covers, from_document, parse


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("SENDER", " Alice@Example.ORG ", "alice@example.org"),
        ("RECIPIENT", '"Al Ice"@example.org', '"al ice"@example.org'),
        ("ADDRESS", "ÄRGER@example.org", "Ärger@example.org"),  # the store's lower is ASCII
        ("SENDER", "x@[192.0.2.1]", "x@[192.0.2.1]"),
        ("DOMAIN", "Example.ORG", "example.org"),
        ("IP", "192.0.2.1", "192.0.2.1"),
        ("IP", "192.0.2.1/32", "192.0.2.1"),
        ("IP", "::ffff:192.0.2.1", "192.0.2.1"),
        ("IP", "::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("IP", "2001:DB8:0:0::/64", "2001:db8::/64"),
        ("MESSAGE_ID", "a@b", "<a@b>"),
        ("QUEUE_ID", "3F2A1C0D4E", "3F2A1C0D4E"),
        ("QUEUE_ID", "1tKq0X-0000000abcd-1a2B", "1tKq0X-0000000abcd-1a2B"),
        ("USER", "Alice", "alice"),
    ],
)
def test_canonical_form(kind: str, text: str, value: str) -> None:
    selector = parse(kind, text)
    assert selector.value == value
    assert parse(kind, value) == selector
    assert from_document(selector.document()) == selector


@pytest.mark.parametrize(
    ("granted", "asked", "inside"),
    [
        (("ADDRESS", "a@x.org"), ("SENDER", "a@x.org"), True),
        (("ADDRESS", "a@x.org"), ("RECIPIENT", "a@x.org"), True),
        (("SENDER", "a@x.org"), ("ADDRESS", "a@x.org"), False),
        (("SENDER", "a@x.org"), ("RECIPIENT", "a@x.org"), False),
        (("ADDRESS", "a@x.org"), ("SENDER", "b@x.org"), False),
        (("DOMAIN", "x.org"), ("ADDRESS", "a@x.org"), True),
        (("DOMAIN", "x.org"), ("SENDER", "a@y.x.org"), False),
        (("DOMAIN", "x.org"), ("DOMAIN", "y.x.org"), False),
        (("ADDRESS", "a@x.org"), ("DOMAIN", "x.org"), False),
        (("IP", "192.0.2.0/24"), ("SENDER_IP", "192.0.2.7"), True),
        (("IP", "192.0.2.0/24"), ("IP", "192.0.2.128/25"), True),
        (("IP", "192.0.2.0/25"), ("IP", "192.0.2.0/24"), False),
        (("SENDER_IP", "192.0.2.0/24"), ("SENDER_IP", "192.0.2.7"), True),
        (("SENDER_IP", "192.0.2.0/24"), ("RECIPIENT_IP", "192.0.2.7"), False),
        (("SENDER_IP", "192.0.2.7"), ("IP", "192.0.2.7"), False),
        (("IP", "2001:db8::/32"), ("IP", "2001:db8::1"), True),
        (("IP", "2001:db8::/32"), ("IP", "192.0.2.1"), False),
        (("MESSAGE_ID", "<a@b>"), ("MESSAGE_ID", "<a@b>"), True),
        (("USER", "alice"), ("SENDER", "alice@x.org"), False),
    ],
)
def test_what_lies_inside(granted: tuple[str, str], asked: tuple[str, str], inside: bool) -> None:
    assert covers(Selector(*granted), Selector(*asked)) == inside


@pytest.mark.parametrize("text", ["::/64", "::/80", "::fffe:0:0/95", "::/32", "fe80::1%eth0", "::ffff:0:0/95"])
def test_a_network_that_hides_every_ipv4_address_is_none(text: str) -> None:
    """The store keeps 192.0.2.1 as ::ffff:192.0.2.1."""
    with pytest.raises(DeskError) as caught:
        parse("IP", text)
    assert caught.value.reason == "REQUEST_INVALID"


def test_queue_ids_and_hosts() -> None:
    anywhere, here = Selector("QUEUE_ID", "ABCDEF"), Selector("QUEUE_ID", "ABCDEF", "mx1")
    assert covers(anywhere, here)
    assert covers(here, here)
    assert not covers(here, anywhere)
    assert not covers(here, Selector("QUEUE_ID", "ABCDEF", "mx2"))


@given(st.sampled_from(["SENDER", "DOMAIN", "IP", "MESSAGE_ID", "QUEUE_ID", "USER", "NONE"]), st.text(max_size=60))
def test_any_text_is_a_selector_in_one_form_or_a_refusal(kind: str, text: str) -> None:
    try:
        selector = parse(kind, text)
    except DeskError as error:
        reasons = [error.reason]
    else:
        assert parse(kind, selector.value) == selector
        reasons = []
    assert reasons in ([], ["REQUEST_INVALID"])
