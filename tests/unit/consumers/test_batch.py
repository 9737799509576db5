"""Batches: bounds of count, bytes and age; and a repeated batch ends exactly where it ended before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Batch, Gathering, Message, Partition
from consumers.load import STREAMS
from infra.platform.settings import Loader

PARTITION = Partition("liucun.envelope", 3)
FAR = Loader(batch_records_max=1_000_000, batch_bytes_max=512 * 1024**2, batch_age_seconds_max=60)


def gathering(*offsets: int, size: int = 1, until: int | None = None) -> Gathering:
    """Messages of these offsets, gathered."""
    mine = Gathering(PARTITION, 0, until=until)
    for offset in offsets:
        mine.add(Message(offset, b"x" * size))
    return mine


def test_nothing_gathered_is_never_ready() -> None:
    assert not Gathering(PARTITION, 0).ready(FAR, 1e12)
    assert not Gathering(PARTITION, 0, until=5).ready(FAR, 1e12)


def test_a_batch_closes_at_its_last_record_and_not_one_before() -> None:
    bounds = FAR.model_copy(update={"batch_records_max": 3})
    mine = gathering(1, 2)
    assert not mine.ready(bounds, mine.begun)
    mine.add(Message(5, b"x"))
    assert mine.ready(bounds, mine.begun)


def test_a_batch_closes_at_its_bytes() -> None:
    bounds = FAR.model_copy(update={"batch_bytes_max": 2048})
    mine = gathering(1, size=2047)
    assert not mine.ready(bounds, mine.begun)
    mine.add(Message(2, b"x"))
    assert mine.ready(bounds, mine.begun)


def test_a_batch_closes_when_its_first_record_is_old_not_its_last() -> None:
    bounds = FAR.model_copy(update={"batch_age_seconds_max": 1.5})
    mine = gathering(1)
    begun = mine.begun
    mine.add(Message(2, b"x"))
    assert mine.begun == begun
    assert not mine.ready(bounds, begun + 1.4)
    assert mine.ready(bounds, begun + 1.5)


def test_one_message_that_is_larger_than_a_batch_is_a_batch() -> None:
    bounds = FAR.model_copy(update={"batch_bytes_max": 1024})
    mine = gathering(7, size=5000)
    assert mine.ready(bounds, mine.begun)
    assert (mine.take(bounds).first, mine.messages) == (7, [])


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50, unique=True), st.integers(1, 60))
def test_batches_taken_one_after_another_are_the_stream(offsets: list[int], most: int) -> None:
    bounds = FAR.model_copy(update={"batch_records_max": most})
    mine = gathering(*sorted(offsets))
    got: list[int] = []
    while mine.messages:
        batch = mine.take(bounds)
        assert 1 <= len(batch.messages) <= most
        assert (batch.partition, batch.first) == (PARTITION, batch.messages[0].offset)
        got += [message.offset for message in batch.messages]
        assert batch.last == got[-1]
        assert mine.size_bytes == len(mine.messages)
    assert got == sorted(offsets)


def test_a_repeated_batch_is_ready_at_its_end_whatever_the_bounds_say() -> None:
    bounds = Loader(batch_records_max=1, batch_bytes_max=1024, batch_age_seconds_max=0.1)
    mine = gathering(10, 11, 13, size=5000, until=14)
    assert not mine.ready(bounds, mine.begun + 1e9)
    mine.add(Message(14, b"x"))
    assert mine.ready(FAR, mine.begun)


@pytest.mark.parametrize("until", [12, 13])
def test_a_repeated_batch_ends_exactly_and_the_rest_is_an_ordinary_one(until: int) -> None:
    """Offset 12 is a control record or was refused: what stands there is never seen."""
    mine = gathering(10, 11, 13, 14, 15, until=until)
    bounds = FAR.model_copy(update={"batch_records_max": 1})
    assert mine.ready(bounds, mine.begun)
    batch = mine.take(bounds)
    assert [message.offset for message in batch.messages] == [offset for offset in (10, 11, 13) if offset <= until]
    assert mine.until is None
    assert mine.take(bounds).messages == [Message(13 if until == 12 else 14, b"x")]


def test_a_repeated_batch_that_is_shorter_than_the_bound_takes_no_more() -> None:
    mine = gathering(*range(10, 20), until=12)
    assert mine.take(FAR).last == 12
    assert mine.size_bytes == 7


def test_what_is_left_begins_to_age_when_the_batch_before_is_taken() -> None:
    mine = gathering(1, 2)
    mine.begun -= 1000
    mine.take(FAR.model_copy(update={"batch_records_max": 1}))
    assert not mine.ready(FAR, mine.begun)
    assert mine.ready(FAR, mine.begun + 60)


def test_a_batch_knows_its_range() -> None:
    batch = Batch(PARTITION, 2, [Message(3, b"a"), Message(9, b"b")])
    assert (batch.first, batch.last) == (3, 9)


def test_streams_name_the_subject_of_their_topic() -> None:
    assert [(stream.table, stream.subject, stream.timed) for stream in STREAMS] == [
        ("envelope", "liucun.envelope-value", True),
        ("coverage", "liucun.coverage-value", False),
    ]


def test_a_batch_within_its_bounds_is_within_its_bytes() -> None:
    mine = gathering(*range(10), size=1000)
    batch = mine.take(FAR.model_copy(update={"batch_bytes_max": 2048}))
    assert sum(len(message.value) for message in batch.messages) <= 3000
