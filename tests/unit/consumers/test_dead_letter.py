"""Dead letters: bytes are kept only where the law cannot catch up with them; too many stop the loader."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import dead_letter
from consumers.batch import Message, Partition
from consumers.dead_letter import DeadLetters
from infra.platform.clock import DAY
from infra.platform.settings import Kafka
from schemas import avro, topics
from schemas.envelope import Envelope
from tests.golden.postfix import make_demo_expected as golden

PARTITION = Partition(topics.ENVELOPE.name, 3)
EPOCH = bytes(range(16))
NOW = 1_800_000_000_000_000
ENVELOPE: Envelope = golden.envelopes()[0]


def value(event_time: int = NOW, **changes: Any) -> bytes:
    """A framed envelope."""
    return avro.encode(avro.ENVELOPE_V1, ENVELOPE | {"event_time": event_time} | changes)


def letter(data: bytes, *, retention_days: int = 60, reason: str = "PAYLOAD_TOO_LONG") -> dict[str, Any]:
    """The dead letter of these bytes."""
    return dead_letter.record(PARTITION, EPOCH, Message(5, data), reason, decided_at=NOW, retention_days=retention_days)


def test_a_dead_letter_always_says_where_why_how_long_and_which_hash() -> None:
    for data in (value(), b"", b"junk", value()[:30]):
        made = letter(data)
        assert (made["topic"], made["topic_epoch"], made["partition"], made["offset"]) == (
            "liucun.envelope", EPOCH, 3, 5,
        )  # fmt: skip
        assert (made["reason"], made["decided_time"]) == ("PAYLOAD_TOO_LONG", NOW)
        assert (made["length"], made["sha256"]) == (len(data), sha256(data).digest())
        assert avro.decode(avro.encode(avro.DEAD_LETTER_V1, made))[1] == made


@pytest.mark.parametrize(
    ("event_time", "kept"),
    [
        (NOW, True),
        (NOW + DAY, True),
        (NOW + DAY + 1, False),
        (NOW - 44 * DAY, True),
        (NOW - 44 * DAY - 1, False),
        (NOW - 60 * DAY, False),
        (0, False),
        (-1, False),
        (2**62, False),
        (-(2**62), False),
    ],
)
def test_bytes_are_kept_sixteen_days_before_their_limit_and_not_from_the_future(event_time: int, kept: bool) -> None:
    data = value(event_time) + b"rest"
    made = letter(data)
    assert made["raw"] == (data if kept else None)
    believed = 0 <= event_time <= NOW + DAY
    assert made["event_time"] == (event_time if believed else None)


def test_a_longer_retention_keeps_bytes_for_longer() -> None:
    old = value(NOW - 100 * DAY)
    assert letter(old)["raw"] is None
    assert letter(old, retention_days=116)["raw"] == old
    assert letter(old, retention_days=115)["raw"] is None


@pytest.mark.parametrize(
    ("data", "schema_id"),
    [
        (b"", None),
        (b"\x00\x00\x00", None),
        (b"junk with a time", None),
        (value()[:5], 1),
        (value()[:21], 1),
        (value()[:5] + b"\xff" * 40, 1),
        (b"\x00\x00\x00\x00\x02" + value()[5:], 2),
        (b"\x00\x00\x00\x00\x63" + value()[5:], 99),
    ],
    ids=["nothing", "cut frame", "no frame", "no payload", "no time", "endless time", "coverage", "unknown schema"],
)
def test_bytes_without_a_time_that_can_be_read_are_not_kept(data: bytes, schema_id: int | None) -> None:
    made = letter(data)
    assert (made["raw"], made["event_time"], made["schema_id"]) == (None, None, schema_id)


@given(st.binary(max_size=60))
def test_any_bytes_make_a_dead_letter(data: bytes) -> None:
    for prefix in (b"", b"\x00\x00\x00\x00\x01"):
        made = letter(prefix + data)
        assert made["length"] == len(prefix) + len(data)
        assert made["raw"] is None or made["event_time"] is not None


def test_masked_shows_no_text_of_the_record() -> None:
    record = ENVELOPE | {
        "sender": "alice@example.org", "recipient": "bob@example.net", "helo": "inside.example.com",
        "authenticated_user": "alice", "message_id": "<m@example.org>", "parent_queue_id": "3F2A1C0D4E",
    }  # fmt: skip
    made = letter(avro.encode(avro.ENVELOPE_V1, record | {"event_time": NOW}))
    assert made["raw"] is not None
    shown = json.dumps(dead_letter.masked(made))
    texts = {text for text in record.values() if isinstance(text, str) and text and text != "MESSAGE"}
    assert len(texts) > 15
    for name, content in record.items():
        if isinstance(content, str) and content:
            assert f'"{content}"' not in shown, name
        if isinstance(content, bytes) and content:
            assert content.hex() not in shown, name
    assert "@" not in shown
    assert dead_letter.masked(made)["fields"]["sender"] == "str of 17"
    assert dead_letter.masked(made)["fields"]["helo"] == "str of 18"


def test_masked_of_bytes_that_do_not_decode_says_so() -> None:
    assert dead_letter.masked(letter(value() + b"rest"))["fields"] is None
    assert dead_letter.masked(letter(value()[:40]))["fields"] is None
    assert "fields" not in dead_letter.masked(letter(b"junk"))


def test_shown_is_json_and_says_only_whether_bytes_are_kept() -> None:
    for data, kept in ((value(), True), (b"junk alice@example.org", False)):
        shown = dead_letter.shown(letter(data))
        assert shown["raw_kept"] is kept
        assert shown["sha256"] == sha256(data).hexdigest()
        assert "@" not in json.dumps(shown)


def test_nothing_to_write_connects_nothing() -> None:
    mine = DeadLetters(Kafka())
    mine.write([])
    assert mine._producer is None
