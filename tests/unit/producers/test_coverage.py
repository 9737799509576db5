"""Coverage intervals: when they close, that their sequences have no gap, that nothing is counted twice."""

import json
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from infra.platform.clock import DAY, HOUR, MINUTE, SECOND
from producers.coverage import RECORDS_MAX, CoverageBook
from schemas import avro
from tests.unit.producers.lines import NOW

ZONE = ZoneInfo("Asia/Shanghai")  # NOW is 20:00 there; the legal day ends four hours later
COUNTS = {
    "lines_read": 10,
    "lines_understood": 6,
    "lines_ignored": {"talk": 3},
    "lines_not_understood": {"no-header": 1},
    "loss_markers": {},
}


def book(names: tuple[str, ...] = ("mail",)) -> CoverageBook:
    """A new book."""
    return CoverageBook("mx1", 1, ZONE, list(names), NOW)


def read(framed: bytes | None) -> dict[str, Any]:
    """A coverage record."""
    assert framed is not None
    schema_id, record = avro.decode(framed)
    assert schema_id == avro.COVERAGE_V1
    return record


def test_an_interval_holds_4096_records_and_no_more() -> None:
    mine = book()
    assert all(mine.add_record(NOW, NOW) is None for _ in range(RECORDS_MAX))
    closed = read(mine.add_record(NOW, NOW + SECOND))
    assert RECORDS_MAX == 4096
    assert (closed["closed"], closed["record_count"], closed["first_sequence"]) == ("RECORDS", 4096, 0)
    assert (closed["from"], closed["to"]) == (NOW, NOW + SECOND)
    rest = read(mine.close("STOP", NOW + SECOND))
    assert (rest["record_count"], rest["first_sequence"], rest["coverage_sequence"]) == (1, 4096, 1)


def test_an_interval_is_due_after_one_minute_and_not_before() -> None:
    mine = book()
    assert not mine.due(NOW)
    assert not mine.due(NOW + MINUTE - 1)
    assert mine.due(NOW + MINUTE)
    mine.close("TIME", NOW + MINUTE)
    assert not mine.due(NOW + MINUTE)
    assert mine.due(NOW + 2 * MINUTE)


def test_a_clock_that_went_back_makes_the_interval_due() -> None:
    mine = book()
    assert mine.due(NOW - 1)
    closed = read(mine.close("TIME", NOW - HOUR))
    assert (closed["from"], closed["to"]) == (NOW, NOW - HOUR)
    assert not mine.due(NOW - HOUR)
    assert mine.due(NOW - HOUR + MINUTE)


def test_an_interval_ends_with_the_legal_day_not_with_utc() -> None:
    mine = book()
    midnight = NOW + 4 * HOUR
    assert mine.add_record(midnight - 1, NOW) is None
    closed = read(mine.add_record(midnight, NOW))
    assert (closed["closed"], closed["record_count"]) == ("EVENT_DAY", 1)
    days = closed["event_day"], read(mine.close("STOP", NOW))["event_day"]
    assert days == ((midnight - 1 + 8 * HOUR) // DAY, (midnight + 8 * HOUR) // DAY)
    assert mine.add_record(midnight, NOW) is None
    assert mine.add_record(midnight + 13 * HOUR, NOW) is None  # past midnight in UTC, one day in Shanghai


def test_a_record_of_an_earlier_day_closes_too() -> None:
    mine = book()
    mine.add_record(NOW, NOW)
    assert read(mine.add_record(NOW - DAY, NOW))["closed"] == "EVENT_DAY"
    assert read(mine.add_record(NOW, NOW))["event_day"] == (NOW - DAY + 8 * HOUR) // DAY


def test_an_empty_interval_is_written_without_a_day() -> None:
    mine = book()
    for number in range(3):
        closed = read(mine.close("TIME", NOW + (number + 1) * MINUTE))
        assert (closed["coverage_sequence"], closed["first_sequence"], closed["record_count"]) == (number, 0, 0)
        assert closed["event_day"] is None
        assert closed["sources"][0]["captured_through"] is None
    assert mine.add_record(NOW - 30 * DAY, NOW) is None  # no day is held over from before


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["TIME", "ROTATION", "STOP", None]), st.integers(-70, 70)),
        max_size=40,
    )
)
def test_sequences_have_no_gap_whatever_happens(steps: list[tuple[int, Any, int]]) -> None:
    mine, now, records = book(), NOW, 0
    closed: list[dict[str, Any]] = []
    for day, reason, seconds in steps:
        now += seconds * SECOND
        framed = mine.add_record(NOW - day * DAY, now)
        records += 1
        closed += [read(framed)] if framed else []
        closed += [read(mine.close(reason, now))] if reason else []
    closed.append(read(mine.close("STOP", now)))
    assert [record["coverage_sequence"] for record in closed] == list(range(len(closed)))
    assert closed[0]["first_sequence"] == 0
    for before, behind in pairwise(closed):
        assert behind["first_sequence"] == before["first_sequence"] + before["record_count"]
        assert behind["from"] == before["to"]
    assert sum(record["record_count"] for record in closed) == records


def test_lines_are_counted_once_and_positions_join() -> None:
    mine = book(("mail", "other"))
    mine.sources["mail"].add(COUNTS)
    mine.sources["mail"].add(COUNTS | {"loss_markers": {"file-gone": 1}})
    mine.sources["mail"].to_position = 700
    mine.sources["mail"].captured_through = NOW
    first, second = read(mine.close("TIME", NOW)), read(mine.close("TIME", NOW))
    mail, other = first["sources"]
    assert (mail["source_name"], mail["lines_read"], mail["lines_understood"]) == ("mail", 20, 12)
    assert (mail["lines_ignored"], mail["lines_not_understood"]) == ({"talk": 6}, {"no-header": 2})
    assert (mail["loss_markers"], mail["captured_through"]) == ({"file-gone": 1}, NOW)
    assert (mail["from_position"], mail["to_position"]) == (0, 700)
    assert (other["source_name"], other["lines_read"]) == ("other", 0)
    again = second["sources"][0]
    assert (again["lines_read"], again["lines_ignored"], again["loss_markers"]) == (0, {}, {})
    assert (again["from_position"], again["to_position"], again["captured_through"]) == (700, 700, NOW)


def test_a_restored_book_goes_on_as_if_it_had_not_been_away() -> None:
    mine = book()
    mine.add_record(NOW, NOW)
    mine.close("TIME", NOW)
    mine.add_record(NOW, NOW)
    mine.sources["mail"].add(COUNTS)
    other = CoverageBook("mx1", 1, ZONE, ["mail"], NOW + DAY)
    other.restore(json.loads(json.dumps(mine.state())))
    assert other.state() == mine.state()
    closed = read(other.add_record(NOW + DAY, NOW + 1))
    assert closed == read(mine.add_record(NOW + DAY, NOW + 1))
    assert closed["sources"][0]["lines_read"] == 10
    assert other.close("STOP", NOW + 2) == mine.close("STOP", NOW + 2)


def test_a_stream_that_is_no_longer_configured_is_reported_once_more() -> None:
    mine = book(("old",))
    mine.sources["old"].add(COUNTS)
    other = book(("new",))
    other.restore(mine.state())
    names = {source["source_name"]: source["lines_read"] for source in read(other.close("TIME", NOW))["sources"]}
    assert names == {"old": 10, "new": 0}
