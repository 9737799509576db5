"""Line headers: forms, years, zones, repeated hours."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from infra.platform.clock import from_datetime, to_datetime
from producers.sources.header import Stamps

NOW = from_datetime(datetime(2026, 11, 24, 12, tzinfo=UTC))
SHANGHAI = ZoneInfo("Asia/Shanghai")


def _text(line: str, zone: str = "UTC", year: int | None = None, now: int = NOW) -> str:
    found = Stamps(ZoneInfo(zone), year).read(line.encode(), now)
    assert found is not None
    return f"{to_datetime(found[0].time):%Y-%m-%dT%H:%M:%S.%f} {found[0].quality} {line[found[1] :]}"


@pytest.mark.parametrize("day", ["Nov 03", "Nov  3", "Nov 3"])
def test_case_63_days_are_written_in_three_ways(day: str) -> None:
    assert _text(f"{day} 09:08:07 mx1 x: y") == "2026-11-03T09:08:07.000000 YEAR_INFERRED mx1 x: y"


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        ("2026-11-23T21:46:00.367461+01:00", "2026-11-23T20:46:00.367461"),
        ("2026-11-23T21:46:00.367Z", "2026-11-23T21:46:00.367000"),
        ("2026-11-23T21:46:00Z", "2026-11-23T21:46:00.000000"),
    ],
)
def test_rfc3339(stamp: str, utc: str) -> None:
    assert _text(f"{stamp} mx1 x: y") == f"{utc} EXACT mx1 x: y"


def test_local_time_is_the_zones() -> None:
    assert _text("Nov  3 09:08:07 h x: y", "Asia/Shanghai").startswith("2026-11-03T01:08:07")


def test_case_60_year_is_the_latest_that_fits() -> None:
    january = from_datetime(datetime(2027, 1, 1, 0, 5, tzinfo=UTC))
    assert _text("Dec 31 23:59:59 h x: y", now=january).startswith("2026-12-31T23:59:59")
    assert _text("Jan  1 00:00:03 h x: y", now=january).startswith("2027-01-01T00:00:03")
    assert _text("Feb 29 00:00:00 h x: y").startswith("2024-02-29")


def test_case_60_given_year_goes_on() -> None:
    stamps = Stamps(ZoneInfo("UTC"), 2025)
    years = []
    for line in (b"Dec 31 23:59:59 h x", b"Jan  1 00:00:03 h x", b"Dec 31 23:59:59 h x", b"Feb  1 00:00:00 h x"):
        found = stamps.read(line, NOW)
        assert found is not None
        years.append(to_datetime(found[0].time).year)
    assert years == [2025, 2026, 2025, 2026]


def test_case_61_repeated_hour_has_two_candidates() -> None:
    found = Stamps(ZoneInfo("Europe/Berlin")).read(b"Oct 25 02:30:00 h x: y", NOW)
    assert found is not None
    moment, _ = found
    assert moment.quality == "AMBIGUOUS_HOUR"
    assert f"{to_datetime(moment.time):%H:%M}" == "00:30"
    assert f"{to_datetime(moment.alternative or 0):%H:%M}" == "01:30"


@pytest.mark.parametrize(
    "line",
    [b"", b"x", b"Nov", b"Nov 99 09:08:07 h x", b"Xyz  3 09:08:07 h x", b"Nov  3 9:08:07 h x", b"2026-99-23T21:46:00Z h x",
     b"2026-11-23 21:46:00 h x", b"\xff" * 40, b"Feb 30 00:00:00 h x", b"2026-11-23T21:46:00.367461+01:00"],
)  # fmt: skip
def test_no_header(line: bytes) -> None:
    assert Stamps(ZoneInfo("UTC")).read(line, NOW) is None
