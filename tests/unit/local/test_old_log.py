"""The committed trace as the log of another day: only its time stamps change, and they keep their distances."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.demo import old_log
from infra.platform.clock import from_datetime
from producers.sources.header import line_time

TRACE = Path(__file__).resolve().parents[2] / "golden" / "postfix" / "demo.log"
LAST = datetime(2026, 9, 5, 8, 7, 6, tzinfo=UTC)


def times(lines: list[str]) -> list[int]:
    """What the agent reads in these lines' headers."""
    found = [line_time(line.encode(), "UTC", from_datetime(datetime(2026, 12, 1, tzinfo=UTC))) for line in lines]
    assert None not in found
    return [moment for moment in found if moment is not None]


@pytest.mark.parametrize(
    "last", [LAST, datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 3, 1, 0, 0, 2, tzinfo=UTC)]
)
def test_the_last_line_is_written_then_and_the_others_as_long_before(last: datetime) -> None:
    lines = TRACE.read_text(encoding="utf-8").splitlines()
    moved = old_log.moved(lines, last)
    before, behind = times(lines), times(moved)
    assert behind[-1] == from_datetime(last)
    assert [moment - behind[-1] for moment in behind] == [moment - before[-1] for moment in before]


def test_only_the_stamp_changes() -> None:
    lines = TRACE.read_text(encoding="utf-8").splitlines()
    moved = old_log.moved(lines, LAST)
    assert [line[15:] for line in moved] == [line[15:] for line in lines]
    assert moved[-1].startswith("Sep 05 08:07:06 mx1 postfix/")


def test_order_within_a_second_is_kept() -> None:
    lines = ["Nov 24 10:57:33 mx1 a: 1", "Nov 24 10:57:33 mx1 b: 2", "Nov 24 10:57:36 mx1 c: 3"]
    assert old_log.moved(lines, LAST) == [
        "Sep 05 08:07:03 mx1 a: 1",
        "Sep 05 08:07:03 mx1 b: 2",
        "Sep 05 08:07:06 mx1 c: 3",
    ]


def test_a_stamp_with_a_blank_before_the_day_is_understood() -> None:
    (line,) = old_log.moved(["Nov  3 09:08:07 mx1 a: 1"], LAST)
    assert line == "Sep 05 08:07:06 mx1 a: 1"


def test_fractions_of_a_second_are_rounded() -> None:
    (line,) = old_log.moved(["Nov  3 09:08:07 mx1 a: 1"], LAST + timedelta(milliseconds=400))
    assert line.startswith("Sep 05 08:07:06 ")


def test_the_file_is_written_below_folders_that_are_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "mail.log"
    old_log.write(TRACE, target, LAST)
    lines = target.read_text(encoding="utf-8").splitlines()
    assert lines == old_log.moved(TRACE.read_text(encoding="utf-8").splitlines(), LAST)
    assert target.read_bytes().endswith(b"\n")


def test_a_trace_over_new_year_keeps_its_distances() -> None:
    lines = ["Dec 31 23:59:59 mx1 a: 1", "Jan  1 00:00:01 mx1 b: 2"]
    assert old_log.moved(lines, LAST) == ["Sep 05 08:07:04 mx1 a: 1", "Sep 05 08:07:06 mx1 b: 2"]
