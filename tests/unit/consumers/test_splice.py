"""The spliced file: what fastavro reads from it is what was written, and a shifted payload shows."""

from io import BytesIO
from pathlib import Path

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Message
from consumers.judge import peek_event_time
from consumers.splice import column_names, file
from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import replay
from schemas import avro
from schemas.varint import read_varint, varint

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "postfix" / "demo.log"
EPOCH = bytes(range(16))


def framed() -> list[bytes]:
    """Framed envelopes of the golden trace."""
    records = replay([GOLDEN], Source(name="mail", path=GOLDEN), Site(), None, SystemClock())
    return [avro.encode(avro.ENVELOPE_V1, record) for record in records]


def _file(messages: list[Message]) -> bytes:
    return file(messages, topic_epoch=EPOCH, schema_id=avro.ENVELOPE_V1, partition=7, stored_time=1_800_000_000_000_000)


@given(st.integers(-(2**63), 2**63 - 1))
def test_varint_there_and_back(number: int) -> None:
    assert read_varint(varint(number), 0) == number


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 10, b"\x80" * 30])
def test_varint_that_does_not_end(data: bytes) -> None:
    assert read_varint(data, 0) is None


def test_what_was_written_is_what_is_read() -> None:
    values = framed()
    messages = [Message(1000 + 3 * at, value) for at, value in enumerate(values)]
    rows = list(fastavro.reader(BytesIO(_file(messages))))
    assert len(rows) == len(values)
    for message, row in zip(messages, rows, strict=True):
        assert (row["kafka_offset"], row["kafka_offset_fence"]) == (message.offset, message.offset)
        assert (row["topic_epoch"], row["schema_id"], row["kafka_partition"]) == (EPOCH, avro.ENVELOPE_V1, 7)
        _, record = avro.decode(message.value)
        assert {name: row[name] for name in ("record_id", "sender", "recipient", "flags")} == {
            name: record[name] for name in ("record_id", "sender", "recipient", "flags")
        }


def test_one_block() -> None:
    values = framed()
    blocks = list(fastavro.block_reader(BytesIO(_file([Message(at, value) for at, value in enumerate(values)]))))
    assert [block.num_records for block in blocks] == [len(values)]


def test_columns_are_the_records_fields_between_prefix_and_fence() -> None:
    names = column_names(avro.ENVELOPE_V1)
    assert names[:6] == ["topic_epoch", "schema_id", "kafka_partition", "stored_time", "kafka_offset", "record_id"]
    assert names[-1] == "kafka_offset_fence"
    assert "leaf_hashes" not in column_names(avro.COVERAGE_V1)


def test_event_time_is_peeked_without_decoding() -> None:
    for value in framed():
        assert peek_event_time(value) == avro.decode(value)[1]["event_time"]
