"""Exclusions as ranges: nothing loaded lies in one, nothing excluded lies outside, whatever gaps markers leave."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Message
from consumers.load import _ranges

BATCHES = st.dictionaries(st.integers(0, 200), st.sampled_from([None, "A", "B"]), min_size=1, max_size=60)


def ranges(fates: dict[int, str | None]) -> list[tuple[int, int, str]]:
    """Of a batch, given what became of each offset."""
    offsets = sorted(fates)
    return _ranges([(Message(at, b""), reason) for at in offsets if (reason := fates[at]) is not None], offsets)


@pytest.mark.parametrize(
    ("fates", "expected"),
    [
        ({1: None}, []),
        ({1: "A"}, [(1, 1, "A")]),
        ({1: "A", 2: "A", 3: "A"}, [(1, 3, "A")]),
        ({1: "A", 2: None, 3: "A"}, [(1, 1, "A"), (3, 3, "A")]),
        ({1: "A", 2: "B", 3: "A"}, [(1, 1, "A"), (2, 2, "B"), (3, 3, "A")]),
        ({1: "A", 9: "A"}, [(1, 9, "A")]),  # control records between them
        ({1: None, 2: "A", 7: "A", 8: None}, [(2, 7, "A")]),
        ({1: "A", 2: "A", 3: "B", 4: "B"}, [(1, 2, "A"), (3, 4, "B")]),
    ],
)
def test_neighbours_of_one_reason_are_one_range(
    fates: dict[int, str | None], expected: list[tuple[int, int, str]]
) -> None:
    assert ranges(fates) == expected


def test_nothing_excluded_is_no_range() -> None:
    assert _ranges([], [1, 2, 3]) == []


@given(BATCHES)
def test_every_offset_is_told_by_the_ranges(fates: dict[int, str | None]) -> None:
    found = ranges(fates)
    for offset, reason in fates.items():
        assert [told for first, last, told in found if first <= offset <= last] == ([reason] if reason else [])


@given(BATCHES)
def test_ranges_are_in_order_apart_and_as_few_as_can_be(fates: dict[int, str | None]) -> None:
    found = ranges(fates)
    offsets = sorted(fates)
    for first, last, _ in found:
        assert first <= last
        assert {first, last} <= set(fates)
    for before, behind in pairwise(found):
        assert before[1] < behind[0]
        joined = offsets.index(before[1]) + 1 == offsets.index(behind[0])
        assert not joined or before[2] != behind[2]
