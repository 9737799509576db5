"""Which record is another one's next hop: each of the four rules alone refuses."""

from typing import Any

import pytest

from infra.platform.clock import HOUR, MINUTE
from query_service.hops import Hop, is_next

EARLIER = Hop(
    record_id=b"1" * 16, event_time=1_000 * HOUR, accept_time=999 * HOUR, host="mx1", queue_id="Q1", next_queue_id="Q2",
    message_key=b"k" * 16, message_id="<m@x>", recipient="Bob@x.org", original_recipient=None,
    recipient_host="mx2.x.org", is_final=True,
)  # fmt: skip
LATER = EARLIER._replace(
    record_id=b"2" * 16, event_time=1_000 * HOUR + MINUTE, accept_time=1_000 * HOUR, host="mx2", queue_id="Q2",
    next_queue_id=None, recipient="bob@x.org", recipient_host=None,
)  # fmt: skip


def test_all_four_hold() -> None:
    assert is_next(EARLIER, LATER)
    assert not is_next(LATER, EARLIER)


@pytest.mark.parametrize(
    "changes",
    [
        {"queue_id": "Q3"},
        {"recipient": "carol@x.org"},
        {"recipient": None},
        {"accept_time": 998 * HOUR},
        {"accept_time": 1_000 * HOUR + 11 * MINUTE},
        {"message_id": "<other@x>"},
        {"message_id": None, "host": "mx3"},
        {"message_id": None, "host": "mx2.other.org"},
    ],
    ids=" ".join,
)
def test_one_that_does_not_is_enough(changes: dict[str, Any]) -> None:
    assert not is_next(EARLIER, LATER._replace(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": "robert@x.org", "original_recipient": "BOB@x.org"},  # an alias there
        {"message_id": None},
        {"message_id": None, "host": "MX2.x.org"},
        {"accept_time": None},
    ],
    ids=" ".join,
)
def test_what_servers_write_differently_is_no_difference(changes: dict[str, Any]) -> None:
    assert is_next(EARLIER, LATER._replace(**changes))


def test_nobody_is_not_everybody() -> None:
    """A record without a recipient, a next queue id or a server has no next hop."""
    nobody = LATER._replace(recipient=None)
    assert not is_next(EARLIER._replace(recipient=None), nobody)
    assert not is_next(EARLIER._replace(recipient=""), LATER._replace(recipient=""))
    assert not is_next(EARLIER._replace(next_queue_id=None), LATER._replace(queue_id=""))
    assert not is_next(EARLIER._replace(next_queue_id=""), LATER._replace(queue_id=""))
    without = EARLIER._replace(message_id=None, recipient_host=None)
    assert not is_next(without, LATER._replace(host=""))
