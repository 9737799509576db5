"""What can be loaded, batches, intents, dead letters, masks: without I/O."""

from collections.abc import Callable

import pytest

from consumers import dead_letter
from consumers.batch import Batch, Gathering, Message, Partition
from consumers.intent import METADATA_BYTES_MAX, REFUSED_MAX, Intent, from_metadata
from consumers.judge import judge
from consumers.load import STREAMS, _ranges
from infra.platform.clock import DAY, HOUR
from infra.platform.settings import Loader
from schemas import avro, topics
from tests.unit.consumers.test_splice import framed

ENVELOPES, COVERAGE = STREAMS
PARTITION = Partition(topics.ENVELOPE.name, 3)
NOW = 1_800_000_000_000_000


def _with_time(value: bytes, event_time: int) -> bytes:
    _, record = avro.decode(value)
    return avro.encode(avro.ENVELOPE_V1, record | {"event_time": event_time})


def _judge(*values: bytes, refused: dict[int, str] | None = None) -> tuple[list[int], list[tuple[int, str]]]:
    batch = Batch(PARTITION, 10, [Message(10 + at, value) for at, value in enumerate(values)])
    judged = judge(
        batch, ENVELOPES, decided_at=NOW, retention_days=60, day_of=lambda moment: moment // DAY, refused=refused or {}
    )
    kept = [message.offset for messages in judged.kept.values() for message in messages]
    return kept, [(message.offset, reason) for message, reason in judged.excluded]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda value: b"", "NOT_FRAMED"),
        (lambda value: b"\x01" + value[1:], "NOT_FRAMED"),
        (lambda value: value[:4], "NOT_FRAMED"),
        (lambda value: b"\x00\x00\x00\x00\x63" + value[5:], "UNKNOWN_SCHEMA"),
        (lambda value: b"\x00\x00\x00\x00\x02" + value[5:], "WRONG_SUBJECT"),
        (lambda value: value[:21], "PAYLOAD_TOO_SHORT"),
        (lambda value: _with_time(value, NOW + DAY + 1), "EVENT_TIME_IN_FUTURE"),
        (lambda value: _with_time(value, NOW - 60 * DAY), "PAST_RETENTION"),
    ],
)
def test_one_wrong_message_between_good_ones(spoil: Callable[[bytes], bytes], reason: str) -> None:
    good = _with_time(framed()[0], NOW - HOUR)
    assert _judge(good, spoil(good), good) == ([10, 12], [(11, reason)])


def test_limits_are_exact() -> None:
    good = framed()[0]
    assert _judge(_with_time(good, NOW + DAY), _with_time(good, NOW - 60 * DAY + 1)) == ([10, 11], [])


def test_refused_by_the_store() -> None:
    good = _with_time(framed()[0], NOW)
    assert _judge(good, good, refused={11: "PAYLOAD_TOO_LONG"}) == ([10], [(11, "PAYLOAD_TOO_LONG")])


def test_bytes_behind_the_last_record_are_seen() -> None:
    """They shift nothing behind them, so the fence does not show them: also when they are the fence again."""
    good = _with_time(framed()[0], NOW)
    assert _judge(good, good + b"\x00") == ([10], [(11, "PAYLOAD_TOO_LONG")])
    assert _judge(good, good + b"\x16", good + b"\x18") == ([10], [(11, "PAYLOAD_TOO_LONG"), (12, "PAYLOAD_TOO_LONG")])
    assert _judge(good[:-1]) == ([], [(10, "PAYLOAD_TOO_SHORT")])


def test_exclusions_are_ranges_over_marker_gaps() -> None:
    """Offsets 11 and 13 stand next to each other: 12 is a control record."""
    excluded = [
        (Message(offset, b""), reason) for offset, reason in ((10, "A"), (11, "A"), (13, "A"), (14, "B"), (16, "B"))
    ]
    assert _ranges(excluded, [10, 11, 13, 14, 15, 16]) == [(10, 13, "A"), (14, 14, "B"), (16, 16, "B")]


def test_batch_closes_by_count_bytes_and_age() -> None:
    bounds = Loader(batch_records_max=3, batch_bytes_max=1024, batch_age_seconds_max=1)
    gathering = Gathering(PARTITION, 0)
    assert not gathering.ready(bounds, 1e9)
    gathering.add(Message(1, b"x"))
    assert not gathering.ready(bounds, gathering.begun)
    assert gathering.ready(bounds, gathering.begun + 1)
    gathering.add(Message(2, b"x" * 1024))
    assert gathering.ready(bounds, gathering.begun)
    for offset in range(3, 6):
        gathering.add(Message(offset, b"x"))
    assert [gathering.take(bounds).last for _ in range(3)] == [1, 2, 5]
    assert gathering.messages == []


def test_repeated_batch_closes_at_its_end_and_nowhere_else() -> None:
    bounds = Loader(batch_records_max=1)
    gathering = Gathering(PARTITION, 0, until=4)
    for offset in (1, 2, 3):
        gathering.add(Message(offset, b"x"))
        assert not gathering.ready(bounds, 1e12)
    gathering.add(Message(4, b"x"))
    gathering.add(Message(5, b"x"))
    assert gathering.ready(bounds, 0)
    assert gathering.take(bounds).last == 4


def test_intent_there_and_back_and_within_its_bound() -> None:
    refused = {10**12 + 2 * at: "REFUSED_BY_STORE" for at in range(REFUSED_MAX)}
    intent = Intent(bytes(16), 10**12, 10**12, 10**12 + 10**6, 10**6, {1: 10**6}, NOW, refused=refused)
    text = intent.to_metadata()
    assert len(text) <= METADATA_BYTES_MAX
    assert from_metadata(text) == intent
    assert from_metadata("") is None


@pytest.mark.parametrize("text", ["x", "{}", "[]", '{"v": 2}', '{"v": 1, "first": 1}'])
def test_foreign_metadata_is_no_intent(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_metadata(text)


def _letter(value: bytes) -> dict[str, object]:
    return dead_letter.record(
        PARTITION, bytes(16), Message(5, value), "PAYLOAD_TOO_LONG", decided_at=NOW, retention_days=60
    )


def test_dead_letter_keeps_bytes_only_when_the_law_will_not_catch_up() -> None:
    value = framed()[0]
    assert _letter(_with_time(value, NOW - 43 * DAY))["raw"] is not None
    assert _letter(_with_time(value, NOW - 45 * DAY))["raw"] is None
    assert _letter(_with_time(value, NOW + 2 * DAY))["raw"] is None
    assert _letter(b"junk")["raw"] is None


def test_dead_letter_bound_covers_the_topics_retention() -> None:
    topic = topics.DEAD_LETTER
    assert (topic.retention_ms + topic.segment_ms) * 1000 + DAY <= dead_letter.RAW_KEPT_BEFORE_LIMIT


def test_dead_letters_are_shown_masked() -> None:
    value = _with_time(framed()[0], NOW)
    shown = repr(dead_letter.masked(_letter(value))) + repr(dead_letter.shown(_letter(value)))
    _, record = avro.decode(value)
    for name in ("sender", "recipient", "message_id", "queue_id", "host"):
        assert record[name] not in shown


def test_coverage_has_no_time_rules() -> None:
    record = {
        "agent_id": "mx1", "agent_epoch": 1, "coverage_sequence": 0, "first_sequence": 0, "record_count": 0,
        "event_day": None, "from": NOW - 70 * DAY, "to": NOW - 70 * DAY, "closed": "TIME", "sources": [],
        "previous_hash": bytes(32), "leaf_hashes": [], "records_root": None, "key_id": "", "signature": b"",
    }  # fmt: skip
    batch = Batch(Partition(topics.COVERAGE.name, 0), 0, [Message(1, avro.encode(avro.COVERAGE_V1, record))])
    judged = judge(batch, COVERAGE, decided_at=NOW, retention_days=60, day_of=lambda _: 0, refused={})
    assert judged.kept_count == 1
