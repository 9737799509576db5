"""Which messages of a refused batch are wrong: by decoding, and by asking the store for halves."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Message
from consumers.refused import REFUSED_BY_STORE, wrong_messages
from tests.pipeline import envelope

GOOD = envelope(1, 0)


class Picky:
    """A store that does not read some offsets, and counts how often it is asked."""

    def __init__(self, refused: set[int]) -> None:
        self.refused = refused
        self.asked = 0

    def __call__(self, messages: Sequence[Message]) -> bool:
        self.asked += 1
        return self.refused.isdisjoint(message.offset for message in messages)


def test_by_decoding() -> None:
    values = [GOOD, GOOD[:-1], GOOD + GOOD[5:], GOOD + b"\x00", GOOD]
    found = wrong_messages([Message(at, data) for at, data in enumerate(values)], Picky(set()), 256)
    assert found == {1: "PAYLOAD_TOO_SHORT", 2: "PAYLOAD_TOO_LONG", 3: "PAYLOAD_TOO_LONG"}


def test_a_store_that_reads_all_names_none() -> None:
    assert wrong_messages([Message(at, GOOD) for at in range(5)], Picky(set()), 256) == {}
    assert wrong_messages([], Picky(set()), 256) == {}


@given(st.integers(1, 300), st.sets(st.integers(0, 299), max_size=40), st.sets(st.integers(0, 299), max_size=40))
def test_by_halves(count: int, refused: set[int], short: set[int]) -> None:
    messages = [Message(at, GOOD[:-1] if at in short else GOOD) for at in range(count)]
    store = Picky(refused)
    wrong = {at: "PAYLOAD_TOO_SHORT" for at in short if at < count}
    wrong |= {at: REFUSED_BY_STORE for at in refused - short if at < count}
    assert wrong_messages(messages, store, 256) == wrong
    most = 7
    few = wrong_messages(messages, store, most)
    assert few == {at: wrong[at] for at in sorted(wrong)[: most + 1]}, "all up to the last that is named"


def test_the_store_is_asked_seldom() -> None:
    store = Picky({70_000})
    assert wrong_messages([Message(at, GOOD) for at in range(0, 100_000, 10)], store, 256) == {70_000: REFUSED_BY_STORE}
    assert store.asked <= 2 * 14 + 1
