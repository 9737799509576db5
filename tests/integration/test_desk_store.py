"""What a question finds, asked of the real store: each kind of selector, the window, what is hidden, what is counted."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from infra.platform.clickhouse import connect
from infra.platform.clock import DAY, HOUR, MINUTE, MovedClock, SystemClock
from infra.platform.settings import Settings
from query_service.errors import DeskError
from query_service.selectors import Selector, parse
from query_service.store import Question, Store
from tests.realdesk import put, record

NOW = SystemClock().now()
BEGIN, END = NOW - 3 * DAY, NOW - DAY
MAPPED = bytes(10) + b"\xff\xff"
MAIL = "<one@example.net>"


@pytest.fixture(scope="module")
def store(stack: Any) -> Iterator[Store]:
    """The table with these rows, and the store over it."""
    settings: Settings = stack.settings()
    at = BEGIN + HOUR

    def row(number: int, **changes: Any) -> bytes:
        values = {
            "host": "mx-store", "sender": "Nobody@Example.Net", "recipient": "noone@example.org", "message_id": None,
            "sender_ip": None, "message_key": number.to_bytes(16, "big"), "agent_id": "test-store",
        }  # fmt: skip
        return record(7_000_000 + number, changes.pop("event_time", at + number), **(values | changes))

    key = b"undecided-and-on"
    put(
        settings,
        [
            row(1, sender="Al.Ice@Store-Test.example"),
            row(2, recipient="AL.ICE@store-test.example"),
            row(3, original_recipient="al.ice@store-test.example"),
            row(4, sender="other@store-test.example"),
            row(5, sender="other@sub.store-test.example"),
            row(6, sender_ip=MAPPED + bytes([198, 51, 100, 7])),
            row(7, recipient_ip=MAPPED + bytes([198, 51, 100, 130]), recipient_ip_origin="NEXT_HOP"),
            row(8, sender_ip=bytes.fromhex("20010db8000000000000000000000042")),
            row(9, message_id="<abc@store-test>"),
            row(10, message_id="abc@store-test"),
            row(11, queue_id="STORETEST1", host="mx-one"),
            row(12, queue_id="STORETEST1", host="MX-Two"),
            row(13, authenticated_user="Al.Ice"),
            row(14, sender="window@store-test2.example", event_time=BEGIN - 1),
            row(15, sender="window@store-test2.example", event_time=BEGIN),
            row(16, sender="window@store-test2.example", event_time=END - 1),
            row(17, sender="window@store-test2.example", event_time=END),
            row(18, sender="window@store-test2.example", event_time=END + 2 * HOUR, accept_time=END - MINUTE),
            row(19, sender="window@store-test2.example", event_time=END + 3 * HOUR, accept_time=END),
            row(20, sender="wait@store-test3.example", is_final=False, outcome="DEFERRED", message_key=key),
            row(21, sender="wait@store-test3.example", message_key=key, event_time=END + HOUR, accept_time=BEGIN + HOUR),
            row(22, sender="wait@store-test3.example", is_final=False, outcome="DEFERRED", recipient="b@example.org",
                message_key=key),
            row(23, sender="x'; DROP TABLE envelope; --@store-test4.example"),
            row(24, sender="percent%@store-test5.example"),
            row(25, sender="percentx@store-test5.example"),
        ],
    )  # fmt: skip
    put(settings, [row(1, sender="Al.Ice@Store-Test.example")])  # the same record_id again
    made = Store(settings, SystemClock())
    yield made
    made.close()


def found(store: Store, selector: Selector, **changes: Any) -> list[int]:
    """Numbers of the rows that a question finds, in order."""
    values: dict[str, Any] = {
        "begin": BEGIN, "end": END, "fields": ("agent_sequence",), "limit": 1000, "include_non_final": False,
    }  # fmt: skip
    question = Question(selector, **(values | changes))
    with closing(store.rows(question, f"test-{id(question)}", 30)) as rows:
        return [row[0] - 7_000_000 for row in rows]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("SENDER", "al.ice@STORE-test.example", [1]),
        ("RECIPIENT", "al.ice@store-test.example", [2, 3]),
        ("ADDRESS", "al.ice@store-test.example", [1, 2, 3]),
        ("DOMAIN", "Store-Test.example", [1, 2, 3, 4]),
        ("IP", "198.51.100.7", [6]),
        ("IP", "::ffff:198.51.100.7", [6]),
        ("IP", "198.51.100.0/24", [6, 7]),
        ("IP", "198.51.100.0/25", [6]),
        ("SENDER_IP", "198.51.100.0/24", [6]),
        ("RECIPIENT_IP", "198.51.100.0/24", [7]),
        ("IP", "2001:db8::/64", [8]),
        ("IP", "2001:db8::42", [8]),
        ("MESSAGE_ID", "abc@store-test", [9, 10]),
        ("MESSAGE_ID", "<abc@store-test>", [9, 10]),
        ("QUEUE_ID", "STORETEST1", [11, 12]),
        ("USER", "al.ice", [13]),
        ("SENDER", "window@store-test2.example", [15, 16, 18]),
        ("SENDER", "percent%@store-test5.example", [24]),
        ("SENDER", "nobody@elsewhere.example", []),
    ],
)
def test_selectors_find_what_they_name(store: Store, kind: str, value: str, expected: list[int]) -> None:
    assert found(store, parse(kind, value)) == expected


def test_queue_id_of_one_host(store: Store) -> None:
    assert found(store, parse("QUEUE_ID", "STORETEST1", "mx-two")) == [12]
    assert found(store, parse("QUEUE_ID", "STORETEST1", "mx-three")) == []


def test_an_undecided_record_is_hidden_once_its_final_one_exists(store: Store) -> None:
    """Also when the final one came after the window's end; another recipient's stays."""
    waiting = parse("SENDER", "wait@store-test3.example")
    assert found(store, waiting) == [22, 21]
    assert found(store, waiting, include_non_final=True) == [20, 22, 21]


def test_values_are_never_statements(store: Store) -> None:
    evil = Selector("SENDER", "x'; drop table envelope; --@store-test4.example")
    assert found(store, evil) == [23]
    for text in ("' OR 1=1 --", "{value:String}", "\\'", "%", "\x00"):
        assert found(store, Selector("SENDER", text)) == []


def test_limit_and_order(store: Store) -> None:
    domain = parse("DOMAIN", "store-test.example")
    assert found(store, domain, limit=2) == [1, 2]


def test_cut_off_follows_the_applications_clock(stack: Any, store: Store) -> None:
    """At 60 x 24 h after event_time a record is unreadable at once, whatever is still on the disk."""
    selector = parse("SENDER", "al.ice@store-test.example")
    (event_time,) = [BEGIN + HOUR + 1]
    for by, expected in ((-1, [1]), (0, [])):
        moved = Store(stack.settings(), MovedClock(_At(event_time + 60 * DAY), by))
        assert found(moved, selector) == expected
        moved.close()


class _At:
    """A clock that stands."""

    def __init__(self, at: int) -> None:
        self._at = at

    def now(self) -> int:
        return self._at


def test_every_query_is_in_the_stores_log_with_its_id(stack: Any, store: Store) -> None:
    """So that each can be matched with an intent."""
    question = Question(parse("SENDER", "al.ice@store-test.example"), BEGIN, END, ("record_id",), 10, False)
    list(store.rows(question, "liucun-test-id", 30))
    settings: Settings = stack.settings()
    client = connect(settings.clickhouse, settings.clickhouse.reader)
    running = client.query("SELECT query_id FROM system.processes").result_rows
    assert all(row[0] != "liucun-test-id" for row in running)
    client.close()


def test_too_much_and_too_slow_are_said_so(stack: Any) -> None:
    settings: Settings = stack.settings()
    small = settings.model_copy(update={"server": settings.server.model_copy(update={"store_bytes_read_max": 1024})})
    store = Store(small, SystemClock())
    with pytest.raises(DeskError) as caught:
        found(store, parse("DOMAIN", "store-test.example"))
    assert caught.value.reason == "RESULT_TOO_LARGE"
    store.close()


def test_a_store_that_is_away(stack: Any) -> None:
    settings: Settings = stack.settings()
    away = settings.model_copy(update={"clickhouse": settings.clickhouse.model_copy(update={"port": 1})})
    store = Store(away, SystemClock())
    assert not store.answers()
    with pytest.raises(DeskError) as caught:
        found(store, parse("DOMAIN", "store-test.example"))
    assert caught.value.reason == "STORE_UNAVAILABLE"
    store.kill("nothing")
    store.close()
