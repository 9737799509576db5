"""Hops over our own servers, asked of the real store: on and back, and never to a stranger's mail."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from infra.platform.clock import DAY, HOUR, MINUTE, SECOND, SystemClock
from infra.platform.settings import Settings
from query_service import hops
from query_service.errors import DeskError
from query_service.selectors import Selector, parse
from query_service.store import Question, Store
from tests.realdesk import put, record

NOW = SystemClock().now()
BEGIN, END = NOW - 3 * DAY, NOW - DAY
T = BEGIN + HOUR
INSIDE = bytes(10) + b"\xff\xff" + bytes([10, 77, 0, 25])  # the provider's own servers
STRANGER = bytes(10) + b"\xff\xff" + bytes([10, 99, 0, 9])


@pytest.fixture(scope="module")
def store(stack: Any) -> Iterator[Store]:
    """Mail that went from edge to inside to mailbox, a list, and strangers with the same queue ids."""
    settings: Settings = stack.settings()

    def row(number: int, **changes: Any) -> bytes:
        values = {
            "host": "edge", "sender": "eve@hops.example", "recipient": "bob@hops.example", "sender_ip": None,
            "message_key": number.to_bytes(16, "big"), "agent_id": "test-hops", "message_id": "<1@hops.example>",
            "accept_time": T, "recipient_ip": INSIDE, "recipient_ip_origin": "NEXT_HOP",
        }  # fmt: skip
        return record(8_500_000 + number, changes.pop("event_time", T + number), **(values | changes))

    def chain(number: int, **changes: Any) -> bytes:
        """The number-th of six servers in a row."""
        return row(
            100 + number, host=f"s{number}", queue_id=f"HOPC{number}", next_queue_id=f"HOPC{number + 1}",
            recipient_host=f"s{number + 1}", message_id="<chain@hops.example>", recipient="chain@hops.example", **changes,
        )  # fmt: skip

    srs = "SRS0=hash=tt=hops.example=eve@edge.example"
    put(
        settings,
        [
            row(1, queue_id="HOPA1", next_queue_id="HOPA2", recipient_host="inside", authenticated_user="eve"),
            row(2, queue_id="HOPA2", next_queue_id="HOPA3", recipient_host="box", host="inside", sender=srs),
            row(3, queue_id="HOPA3", host="box", sender=srs, recipient="robert@hops.example",
                original_recipient="bob@hops.example"),
            # strangers: another recipient of the same message, the same queue id days later, on another server, of another mail
            row(4, queue_id="HOPA2", host="inside", sender=srs, recipient="carol@hops.example"),
            row(5, queue_id="HOPA2", host="inside", message_id="<2@hops.example>"),
            row(6, queue_id="HOPA2", host="inside", accept_time=T + DAY, event_time=T + DAY + SECOND),
            # a list: one record of it is expanded on the next server
            row(10, queue_id="HOPL1", next_queue_id="HOPL2", recipient="list@hops.example", recipient_host="inside",
                message_id="<list@hops.example>"),
            row(11, queue_id="HOPL2", host="inside", recipient="dan@hops.example", original_recipient="list@hops.example",
                message_id="<list@hops.example>"),
            row(12, queue_id="HOPL2", host="inside", recipient="fay@hops.example", original_recipient="list@hops.example",
                message_id="<list@hops.example>"),
            # handed over within the window, decided behind it; undecided records of it are hidden
            row(20, queue_id="HOPD1", next_queue_id="HOPD2", recipient="late@hops.example", recipient_host="inside",
                message_id="<late@hops.example>", event_time=END - MINUTE),
            row(21, queue_id="HOPD2", host="inside", recipient="late@hops.example", message_id="<late@hops.example>",
                sender=srs, accept_time=END - MINUTE, event_time=END + HOUR, is_final=False, outcome="DEFERRED",
                message_key=b"late-late-late-!"),
            row(22, queue_id="HOPD2", host="inside", recipient="late@hops.example", message_id="<late@hops.example>",
                sender=srs, accept_time=END - MINUTE, event_time=END + 5 * HOUR, message_key=b"late-late-late-!"),
            *[chain(number) for number in range(1, 7)],
            # a stranger's server says that it queued bob's mail under the id of alice's
            row(30, queue_id="HOPE1", sender="alice@hops.example", recipient="x@evil.example", recipient_ip=STRANGER,
                message_id="<copied@hops.example>", next_queue_id="E1"),
            row(31, queue_id="HOPE2", sender="mallory@hops.example", recipient="x@evil.example", recipient_ip=STRANGER,
                message_id="<copied@hops.example>", next_queue_id="HOPE1"),
        ],
    )  # fmt: skip
    server = settings.server.model_copy(update={"own_servers": ["10.77.0.0/16"]})
    made = Store(settings.model_copy(update={"server": server}), SystemClock())
    yield made
    made.close()


def found(
    store: Store, selector: Selector, go_on: Callable[[], float] = lambda: 30.0, **changes: Any
) -> list[tuple[int, int]]:
    """(hop, number of the row), in order."""
    values: dict[str, Any] = {
        "begin": BEGIN, "end": END, "fields": ("agent_sequence",), "limit": 1000, "include_non_final": False,
    }  # fmt: skip
    question = Question(selector, **(values | changes))
    with closing(hops.found(store, question, "test-hops", go_on)) as rows:
        return [(hop, row[0] - 8_500_000) for hop, row in rows]


def test_on_to_where_the_mail_went(store: Store) -> None:
    assert found(store, parse("USER", "eve")) == [(0, 1), (1, 2), (2, 3)]
    assert found(store, parse("QUEUE_ID", "HOPA1")) == [(0, 1), (1, 2), (2, 3)]


def test_back_to_where_it_came_in(store: Store) -> None:
    assert found(store, parse("RECIPIENT", "robert@hops.example")) == [(0, 3), (-1, 2), (-2, 1)]


def test_a_record_is_shown_once(store: Store) -> None:
    """The key finds both ends, and the way between them joins them."""
    assert found(store, parse("QUEUE_ID", "HOPA3")) == [(0, 3), (-1, 2), (-2, 1)]
    assert found(store, parse("MESSAGE_ID", "<1@hops.example>")) == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 6)]


def test_a_members_question_does_not_tell_the_list(store: Store) -> None:
    assert found(store, parse("RECIPIENT", "dan@hops.example")) == [(0, 11), (-1, 10)]
    assert found(store, parse("QUEUE_ID", "HOPL1")) == [(0, 10), (1, 11), (1, 12)]


def test_undecided_is_hidden_behind_the_window_too(store: Store) -> None:
    assert found(store, parse("QUEUE_ID", "HOPD1")) == [(0, 20), (1, 22)]
    assert found(store, parse("QUEUE_ID", "HOPD1"), include_non_final=True) == [(0, 20), (1, 21), (1, 22)]


def test_a_strangers_server_cannot_point_at_other_mail(store: Store) -> None:
    assert found(store, parse("SENDER", "mallory@hops.example")) == [(0, 31)]
    assert found(store, parse("SENDER", "alice@hops.example")) == [(0, 30)]


def test_the_depth_is_bounded(store: Store) -> None:
    assert found(store, parse("QUEUE_ID", "HOPC1")) == [(n, 101 + n) for n in range(hops.HOPS_MAX + 1)]


def test_beyond_one_query_and_one_batch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys go in several queries, and batches are followed one after the other, each behind its own records."""
    monkeypatch.setattr(hops, "KEYS_A_QUERY_MAX", 1)
    assert found(store, parse("QUEUE_ID", "HOPL1")) == [(0, 10), (1, 11), (1, 12)]
    monkeypatch.setattr(hops, "FOLLOWED_AT_ONCE", 1)
    both = found(store, parse("RECIPIENT", "bob@hops.example"), fields=("agent_sequence", "recipient"))
    assert sorted(number for _, number in both) == [1, 2, 3, 5, 6]
    assert both[0] == (0, 1)


def test_rows_beyond_the_bound_are_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query_service.store.HOP_ROWS_MAX", 2)
    with pytest.raises(DeskError) as caught:
        found(store, parse("QUEUE_ID", "HOPA1"))
    assert caught.value.reason == "RESULT_TOO_LARGE"


def test_before_each_query_it_is_asked_whether_to_go_on(store: Store) -> None:
    """A deadline, or a cancelled lookup, ends it between two queries that find nothing."""
    left = [30.0, 30.0]

    def go_on() -> float:
        if not left:
            raise DeskError("DEADLINE_EXCEEDED")
        return left.pop()

    with pytest.raises(DeskError, match="time"):
        found(store, parse("QUEUE_ID", "HOPC1"), go_on)


def test_addresses_without_the_setting_are_nobodys(stack: Any, store: Store) -> None:
    """Nothing is followed over servers that nobody called the provider's."""
    bare = Store(stack.settings(), SystemClock())
    assert found(bare, parse("QUEUE_ID", "HOPA1")) == [(0, 1)]
    bare.close()
