"""Too many dead letters stop the loader, before and after it was started anew."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Message, Partition
from consumers.errors import DeadLetterLimitError
from consumers.limit import DeadLetterLimit
from infra.platform.settings import Loader
from schemas import topics

PARTITION = Partition(topics.ENVELOPE.name, 3)


def load(mine: DeadLetterLimit, *batch: Any, partition: Partition = PARTITION) -> None:
    """A batch is checked and then loaded."""
    *where, offsets, excluded = batch
    mine.keep(*(where or [partition]), mine.after(*(where or [partition]), offsets, excluded))


def limit(**bounds: Any) -> DeadLetterLimit:
    """With these bounds."""
    return DeadLetterLimit(Loader(**bounds))


def dead(count: int, reason: str = "NOT_FRAMED", step: int = 1) -> list[tuple[Message, str]]:
    """So many excluded messages."""
    return [(Message(step * at, b""), reason) for at in range(count)]


def test_the_ratio_is_of_the_last_ten_thousand_messages() -> None:
    mine = limit(dead_letter_ratio_max=0.01)
    load(mine, range(5000), dead(60))
    load(mine, range(5000), dead(40))
    with pytest.raises(DeadLetterLimitError, match=r"101 of the last messages of partition 3 of liucun\.envelope"):
        load(mine, range(1), dead(1))


def test_dead_letters_of_long_ago_do_not_count() -> None:
    mine = limit(dead_letter_ratio_max=0.01)
    for _ in range(5):
        load(mine, range(9_000), dead(90))
        load(mine, range(10_000), [])
    with pytest.raises(DeadLetterLimitError):
        load(mine, range(200), dead(103))


def test_a_few_dead_letters_in_a_quiet_topic_stop_nothing() -> None:
    mine = limit(dead_letter_ratio_max=0.01)
    for _ in range(100):
        load(mine, range(1), dead(1))
    with pytest.raises(DeadLetterLimitError):
        load(mine, range(1), dead(1))


def test_the_run_counts_over_batches_of_nothing_else() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=50)
    load(mine, range(25), dead(25))
    load(mine, range(25), dead(25))
    with pytest.raises(DeadLetterLimitError, match=r"51 one after another") as caught:
        load(mine, range(1), dead(1))
    assert caught.value.exit_code == 1
    assert "dead_letter_run_max" in caught.value.advice


def test_a_good_message_ends_the_run() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=50)
    for _ in range(4):
        load(mine, range(50), dead(50))
        load(mine, range(1), [])


def test_partitions_are_counted_apart() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=50)
    for number in range(4):
        load(mine, Partition("t", number), range(50), dead(50))
    with pytest.raises(DeadLetterLimitError):
        load(mine, Partition("t", 0), range(1), dead(1))


def test_what_is_past_retention_is_no_dead_letter() -> None:
    mine = limit(dead_letter_ratio_max=0.0001, dead_letter_run_max=1)
    load(mine, range(5000), dead(5000, "PAST_RETENTION"))
    load(mine, range(5000), dead(5000, "PAST_RETENTION"))


def test_dead_letters_between_good_messages_are_no_run() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=2)
    load(mine, range(11), dead(3, step=3))
    assert mine.after(PARTITION, range(1), dead(1)).run == 1


def test_a_run_goes_on_from_the_end_of_a_batch_with_good_messages() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=2)
    load(mine, range(3), [(Message(1, b""), "NOT_FRAMED"), (Message(2, b""), "NOT_FRAMED")])
    with pytest.raises(DeadLetterLimitError):
        load(mine, range(3, 5), [(Message(3, b""), "NOT_FRAMED"), (Message(4, b""), "NOT_FRAMED")])


def test_a_batch_that_is_refused_is_not_counted() -> None:
    mine = limit(dead_letter_ratio_max=0.01)
    for _ in range(3):
        with pytest.raises(DeadLetterLimitError):
            mine.after(PARTITION, range(10_000), dead(101))
        mine.after(PARTITION, range(10_000), dead(100))


def test_the_count_is_taken_up_from_the_book() -> None:
    """Newest first: 30 dead at the end of a batch of 40, behind one that is dead as a whole, behind a good one."""
    mine = limit(dead_letter_ratio_max=0.01, dead_letter_run_max=1000)
    assert not mine.knows(PARTITION)
    mine.begin(PARTITION, [(9_000, 60, False), (1_000, 35, True)])
    assert mine.knows(PARTITION)
    load(mine, range(5), dead(5))
    with pytest.raises(DeadLetterLimitError):
        load(mine, range(1), dead(1))
    mine.forget(PARTITION)
    load(mine, range(1), dead(1))


def test_a_run_is_taken_up_from_the_book() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=50)
    mine.begin(PARTITION, [(20, 20, True), (20, 20, True), (20, 0, False), (20, 20, True)])
    load(mine, range(10), dead(10))
    with pytest.raises(DeadLetterLimitError, match="51 one after another"):
        load(mine, range(1), dead(1))


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=30), max_size=8))
def test_what_the_book_tells_is_what_was_counted(batches: list[list[bool]]) -> None:
    """Never less, so that a restart lets nothing through that the running loader would have stopped."""
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=10_000)
    booked: list[tuple[int, int, bool]] = []
    for batch in batches:
        load(mine, range(len(batch)), [(Message(at, b""), "NOT_FRAMED") for at, bad in enumerate(batch) if bad])
        booked.insert(0, (len(batch), sum(batch), batch[-1]))
    other = limit(dead_letter_ratio_max=1, dead_letter_run_max=10_000)
    other.begin(PARTITION, booked)
    one, two = (which.after(PARTITION, range(1), dead(1)) for which in (mine, other))
    assert one.batches == two.batches
    assert one.run <= two.run
