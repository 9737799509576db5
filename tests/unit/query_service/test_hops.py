"""Which record is another one's next hop: each of the four rules alone refuses."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from infra.platform.clock import HOUR, MINUTE
from query_service.hops import Hop, is_next

EARLIER = Hop(
    record_id=b"1" * 16, event_time=1_000 * HOUR, accept_time=999 * HOUR, host="mx1", queue_id="Q1", next_queue_id="Q2",
    message_key=b"k" * 16, message_id="<m@x>", recipient="Bob@x.org", original_recipient=None,
    recipient_ip=ip_address("::ffff:192.0.2.2"), server_ip=None, is_final=True,
)  # fmt: skip
OWN = [ip_network("192.0.2.0/30"), ip_network("2001:db8:1::/64")]
LATER = EARLIER._replace(
    record_id=b"2" * 16, event_time=1_000 * HOUR + MINUTE, accept_time=1_000 * HOUR, host="mx2", queue_id="Q2",
    next_queue_id=None, recipient="bob@x.org", recipient_ip=None,
)  # fmt: skip


def test_all_four_hold() -> None:
    assert is_next(EARLIER, LATER, OWN)
    assert not is_next(LATER, EARLIER, OWN)


@pytest.mark.parametrize(
    "changes",
    [
        {"queue_id": "Q3"},
        {"recipient": "carol@x.org"},
        {"recipient": None},
        {"accept_time": 998 * HOUR},
        {"accept_time": 1_000 * HOUR + 11 * MINUTE},
        {"message_id": "<other@x>"},
        {"recipient": "\u212aim@x.org"},
    ],
    ids=" ".join,
)
def test_one_that_does_not_is_enough(changes: dict[str, Any]) -> None:
    assert not is_next(
        EARLIER._replace(recipient="kim@x.org" if "im@" in str(changes) else "Bob@x.org"),
        LATER._replace(**changes),
        OWN,
    )


@pytest.mark.parametrize(
    ("to", "own", "server"),
    [
        ("192.0.2.9", OWN, None),
        ("192.0.2.2", [], None),
        ("192.0.2.2", [], "192.0.2.3"),
        ("2001:db8:2::1", OWN, None),
        ("127.0.0.1", OWN, None),
        (None, OWN, "192.0.2.2"),
    ],
)
def test_a_strangers_word_is_not_believed(to: str | None, own: Any, server: str | None) -> None:
    """The server that named the queue id is the one that was connected to; it must be the provider's."""
    earlier = EARLIER._replace(recipient_ip=to and ip_address(to))
    assert not is_next(earlier, LATER._replace(server_ip=server and ip_address(server)), own)


@pytest.mark.parametrize(
    ("to", "own", "server", "host"),
    [
        ("192.0.2.2", OWN, None, "mx2"),
        ("2001:db8:1::7", OWN, None, "mx2"),
        ("198.51.100.7", [], "198.51.100.7", "mx2"),
        ("198.51.100.7", [], "::ffff:198.51.100.7", "mx2"),
        ("127.0.0.1", [], None, "mx1"),
        ("::1", [], None, "mx1"),
    ],
)
def test_an_own_server_is(to: str, own: Any, server: str | None, host: str) -> None:
    later = LATER._replace(server_ip=server and ip_address(server), host=host)
    assert is_next(EARLIER._replace(recipient_ip=ip_address(to)), later, own)


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": "robert@x.org", "original_recipient": "BOB@x.org"},  # an alias there
        {"message_id": None},
        {"accept_time": None},
    ],
    ids=" ".join,
)
def test_what_servers_write_differently_is_no_difference(changes: dict[str, Any]) -> None:
    assert is_next(EARLIER, LATER._replace(**changes), OWN)


def test_nobody_is_not_everybody() -> None:
    """A record without a recipient or a next queue id has no next hop."""
    nobody = LATER._replace(recipient=None)
    assert not is_next(EARLIER._replace(recipient=None), nobody, OWN)
    assert not is_next(EARLIER._replace(recipient=""), LATER._replace(recipient=""), OWN)
    assert not is_next(EARLIER._replace(next_queue_id=None), LATER._replace(queue_id=""), OWN)
    assert not is_next(EARLIER._replace(next_queue_id=""), LATER._replace(queue_id=""), OWN)
