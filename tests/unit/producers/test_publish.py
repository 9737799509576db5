"""Whose position it is that Kafka holds, and how a position is written. Without Kafka."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.platform.errors import UnreachableError
from infra.platform.settings import Kafka
from producers import outbox, publish
from producers.errors import ForeignPositionError
from producers.outbox import Outbox
from producers.publish import Position, Publisher
from schemas import avro
from tests.unit.producers.test_outbox import frame

ID = b"i" * 16


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    """An outbox of epoch 2 with three durable frames."""
    outbox.create(tmp_path / "outbox", "mx1", 2)
    box = Outbox(tmp_path / "outbox")
    for number in range(3):
        box.append(frame(number))
    box.sync()
    yield box
    box.close()


def publisher(box: Outbox, **hint: Any) -> Publisher:
    """A publisher that is never started."""
    if hint:
        (box.folder / "published.json").write_text(json.dumps({"frame_end": 0} | hint))
    return Publisher(Kafka(), box)


def ends(box: Outbox) -> list[int]:
    """Where its frames end."""
    return [end for _, end in box.frames(box.start)]


def position(box: Outbox, **changes: Any) -> Position:
    """The position that this outbox wrote with its second frame."""
    values: dict[str, Any] = {
        "agent_epoch": 2,
        "outbox_id": box.identity.outbox_id,
        "last_sequence": 1,
        "last_record_id": ID,
        "last_coverage_sequence": -1,
        "frame_end": ends(box)[1],
        "sources": {},
        "kafka_offset": 5,
    }
    return Position(**values | changes)


def test_our_own_position_is_ours(box: Outbox) -> None:
    publisher(box)._check_ours(position(box))
    publisher(box, position_offset=5)._check_ours(position(box))


def test_no_position_and_nothing_published_is_a_first_start(box: Outbox) -> None:
    publisher(box)._check_ours(None)


def test_no_position_but_something_published_stops_the_agent(box: Outbox) -> None:
    with pytest.raises(ForeignPositionError, match="no position of agent mx1") as caught:
        publisher(box, position_offset=5)._check_ours(None)
    assert "--new-outbox" in caught.value.advice
    assert caught.value.exit_code == 2


def test_no_position_but_segments_forgotten_stops_the_agent(box: Outbox) -> None:
    mine = publisher(box)
    box.start = ends(box)[0]
    with pytest.raises(ForeignPositionError, match="no position of agent mx1"):
        mine._check_ours(None)


def test_another_outbox_under_our_name_stops_the_agent_naming_both(box: Outbox) -> None:
    other = bytes(range(16))
    with pytest.raises(ForeignPositionError) as caught:
        publisher(box)._check_ours(position(box, outbox_id=other))
    assert other.hex() in str(caught.value)
    assert box.identity.outbox_id.hex() in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_epoch_before_is_what_a_new_outbox_follows(box: Outbox) -> None:
    publisher(box)._check_ours(position(box, outbox_id=bytes(16), agent_epoch=1))


@pytest.mark.parametrize("epoch", [0, 3, 4])
def test_any_other_epoch_of_another_outbox_stops_the_agent(box: Outbox, epoch: int) -> None:
    with pytest.raises(ForeignPositionError):
        publisher(box)._check_ours(position(box, outbox_id=bytes(16), agent_epoch=epoch))


def test_a_new_outbox_that_has_published_does_not_yield_to_the_epoch_before(box: Outbox) -> None:
    """Its own position is newer; the old agent must have come back."""
    with pytest.raises(ForeignPositionError):
        publisher(box, position_offset=5)._check_ours(position(box, outbox_id=bytes(16), agent_epoch=1))


@pytest.mark.parametrize(
    "change",
    [
        lambda box: {"frame_end": ends(box)[1] - 1},
        lambda box: {"frame_end": ends(box)[2] + 100},
        lambda box: {"frame_end": 0},
        lambda box: {"last_sequence": 2},
        lambda box: {"last_record_id": bytes(16)},
        lambda box: {"last_record_id": None},
    ],
    ids=["inside a frame", "behind the end", "at the start", "other sequence", "other record", "no record"],
)
def test_an_older_or_copied_outbox_stops_the_agent(box: Outbox, change: Callable[[Outbox], dict[str, Any]]) -> None:
    with pytest.raises(ForeignPositionError, match="does not hold") as caught:
        publisher(box)._check_ours(position(box, **change(box)))
    assert str(box.folder) in str(caught.value)


def test_what_was_not_synced_proves_nothing(box: Outbox) -> None:
    end = box.append(frame(3))
    with pytest.raises(ForeignPositionError):
        publisher(box)._check_ours(position(box, frame_end=end, last_sequence=3))
    box.sync()
    publisher(box)._check_ours(position(box, frame_end=end, last_sequence=3))


def test_a_position_is_written_as_it_is_read(box: Outbox) -> None:
    mine = publisher(box)
    second, end = list(box.frames(box.start))[1]
    mine._sources["mail"] = publish._source_position(second)

    class Message:
        """What Kafka gives back."""

        def value(self) -> bytes:
            """The bytes that were sent."""
            return mine._position(second, end)

        def offset(self) -> int:
            """Where they stand."""
            return 5

    assert avro.schema_id_of(Message().value()) == avro.AGENT_POSITION_V1
    found = publish._decoded(Message())  # type: ignore[arg-type]
    stored = found.sources.pop("mail")
    assert found == position(box)
    assert (stored["fingerprint"], stored["fingerprint_bytes"]) == (b"f" * 32, 10)
    assert (stored["offset"], stored["stream_position"]) == (2, 2)
    mine._check_ours(found)


def test_a_position_before_any_record_has_no_record_id(box: Outbox) -> None:
    empty = frame(0) | {"next_sequence": 0, "last_record_id": b""}
    _, record = avro.decode(publisher(box)._position(empty, 7))  # type: ignore[arg-type]
    assert (record["last_sequence"], record["last_record_id"]) == (-1, None)
    assert (record["last_coverage_sequence"], record["frame_end"], record["sources"]) == (-1, 7, [])


def test_the_hint_is_read_and_a_broken_one_is_no_hint(box: Outbox) -> None:
    assert publish._hint(box) is None
    assert publisher(box, position_offset=17)._position_offset == 17
    (box.folder / "published.json").write_text("{")
    assert publish._hint(box) is None


@pytest.mark.parametrize("text", ["{}", "[]", "null"])
def test_a_hint_of_another_form_is_no_hint(box: Outbox, text: str) -> None:
    (box.folder / "published.json").write_text(text)
    assert publish._hint(box) is None


def test_the_hint_is_written_at_most_every_ten_seconds_unless_forced(box: Outbox) -> None:
    mine = publisher(box)
    mine.published_end = ends(box)[1]
    mine._position_offset = 5
    mine._write_hint(force=True)
    assert json.loads((box.folder / "published.json").read_bytes()) == {
        "frame_end": ends(box)[1],
        "position_offset": 5,
    }
    mine._position_offset = 6
    mine._write_hint()
    assert publish._hint(box) == 5
    mine._write_hint(force=True)
    assert publish._hint(box) == 6


def test_drained_means_all_that_is_durable(box: Outbox) -> None:
    mine = publisher(box)
    assert not mine.drained()
    mine.published_end = ends(box)[2]
    box.append(frame(3))
    assert mine.drained()
    box.sync()
    assert not mine.drained()


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (KafkaException(KafkaError(KafkaError._FENCED)), "_FENCED"),
        (KafkaException(KafkaError(KafkaError._TIMED_OUT, "mx1.example.org:9092 timed out")), "_TIMED_OUT"),
        (UnreachableError("x", "y"), "UNREACHABLE"),
        (KafkaException("text"), "KafkaException"),
    ],
)
def test_a_failure_is_a_word_of_a_closed_set(error: Exception, word: str) -> None:
    assert publish._reason(error) == word
