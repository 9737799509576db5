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
from consumers.errors import DeadLetterLimitError
from infra.platform.clock import DAY
from infra.platform.settings import Kafka, Loader
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


def limit(**bounds: Any) -> DeadLetters:
    """Never connected."""
    return DeadLetters(Kafka(), Loader(**bounds))


def dead(count: int, reason: str = "NOT_FRAMED", step: int = 1) -> list[tuple[Message, str]]:
    """So many excluded messages."""
    return [(Message(step * at, b""), reason) for at in range(count)]


def test_the_ratio_is_of_the_last_ten_thousand_messages() -> None:
    mine = limit(dead_letter_ratio_max=0.01)
    mine.check(PARTITION, range(5000), dead(60))
    mine.check(PARTITION, range(5000), dead(40))
    with pytest.raises(DeadLetterLimitError, match=r"101 of the last messages of partition 3 of liucun\.envelope"):
        mine.check(PARTITION, range(1), dead(1))


def test_dead_letters_of_long_ago_do_not_count() -> None:
    mine = limit(dead_letter_ratio_max=0.01)
    for _ in range(5):
        mine.check(PARTITION, range(9_000), dead(90))
        mine.check(PARTITION, range(10_000), [])
    with pytest.raises(DeadLetterLimitError):
        mine.check(PARTITION, range(200), dead(103))


def test_a_few_dead_letters_in_a_quiet_topic_stop_nothing() -> None:
    mine = limit(dead_letter_ratio_max=0.01)
    for _ in range(100):
        mine.check(PARTITION, range(1), dead(1))
    with pytest.raises(DeadLetterLimitError):
        mine.check(PARTITION, range(1), dead(1))


def test_the_run_counts_over_batches_of_nothing_else() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=50)
    mine.check(PARTITION, range(25), dead(25))
    mine.check(PARTITION, range(25), dead(25))
    with pytest.raises(DeadLetterLimitError, match=r"51 one after another") as caught:
        mine.check(PARTITION, range(1), dead(1))
    assert caught.value.exit_code == 1
    assert "dead_letter_run_max" in caught.value.advice


def test_a_good_message_ends_the_run() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=50)
    for _ in range(4):
        mine.check(PARTITION, range(50), dead(50))
        mine.check(PARTITION, range(1), [])


def test_partitions_are_counted_apart() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=50)
    for number in range(4):
        mine.check(Partition("t", number), range(50), dead(50))
    with pytest.raises(DeadLetterLimitError):
        mine.check(Partition("t", 0), range(1), dead(1))


def test_what_is_past_retention_is_no_dead_letter() -> None:
    mine = limit(dead_letter_ratio_max=0.0001, dead_letter_run_max=1)
    mine.check(PARTITION, range(5000), dead(5000, "PAST_RETENTION"))
    mine.check(PARTITION, range(5000), dead(5000, "PAST_RETENTION"))


def test_nothing_to_write_connects_nothing() -> None:
    mine = limit()
    mine.write([])
    assert mine._producer is None


def test_dead_letters_between_good_messages_are_no_run() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=2)
    mine.check(PARTITION, range(11), dead(3, step=3))
    assert mine._run == {PARTITION: 0}


def test_a_run_goes_on_from_the_end_of_a_batch_with_good_messages() -> None:
    mine = limit(dead_letter_ratio_max=1, dead_letter_run_max=2)
    mine.check(PARTITION, range(3), [(Message(1, b""), "NOT_FRAMED"), (Message(2, b""), "NOT_FRAMED")])
    with pytest.raises(DeadLetterLimitError):
        mine.check(PARTITION, range(3, 5), [(Message(3, b""), "NOT_FRAMED"), (Message(4, b""), "NOT_FRAMED")])
