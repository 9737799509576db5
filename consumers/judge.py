"""Which messages of a batch can be loaded, decided from their bytes and the batch's clock alone.

The same batch with the same `decided_at` is judged the same for ever, so a replay needs no list of these exclusions.
Rules, in order; the first that holds decides:
1. NOT_FRAMED          no Confluent frame
2. UNKNOWN_SCHEMA      its schema id is not in the registry
3. WRONG_SUBJECT       the schema belongs to another topic
4. PAYLOAD_TOO_SHORT   (envelopes) record_id and event_time cannot be peeked
5. EVENT_TIME_IN_FUTURE  more than 24 h ahead of the batch's clock
6. PAST_RETENTION      older than may be kept: no dead letter, only its coordinates are counted
7. of those that are left, the last one of each schema id must decode to exactly one record: bytes too many behind it
   shift nothing, so the fence does not show them
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from consumers.batch import Batch, Message, Stream
from infra.platform.clock import DAY
from schemas import avro
from schemas.varint import read_varint

FUTURE_MAX: Final = DAY
PAST_RETENTION: Final = "PAST_RETENTION"
_PEEK_AT: Final = avro.FRAME_BYTES + 16  # behind record_id


@dataclass(slots=True)
class Judged:
    """A batch, sorted. `kept` by schema id; `excluded` in offset order; `rows_per_day` by days since the epoch."""

    kept: dict[int, list[Message]] = field(default_factory=dict)
    excluded: list[tuple[Message, str]] = field(default_factory=list)
    rows_per_day: Counter[int] = field(default_factory=Counter)
    newest_event_time: int | None = None

    @property
    def kept_count(self) -> int:
        """Rows that the batch will make."""
        return sum(len(messages) for messages in self.kept.values())


def judge(
    batch: Batch,
    stream: Stream,
    *,
    decided_at: int,
    retention_days: int,
    day_of: Callable[[int], int],
    refused: dict[int, str],
) -> Judged:
    """Sort a batch. `refused` = reason by offset for those that the store would not take; `day_of` = event day."""
    judged = Judged()
    oldest, newest = decided_at - retention_days * DAY, decided_at + FUTURE_MAX
    for message in batch.messages:
        reason = refused.get(message.offset) or _framing_fault(message, stream)
        if reason is None and stream.timed:
            event_time = peek_event_time(message.value)
            if event_time is None:
                reason = "PAYLOAD_TOO_SHORT"
            elif event_time > newest:
                reason = "EVENT_TIME_IN_FUTURE"
            elif event_time <= oldest:
                reason = PAST_RETENTION
            else:
                judged.rows_per_day[day_of(event_time)] += 1
                judged.newest_event_time = max(judged.newest_event_time or event_time, event_time)
        if reason is None:
            judged.kept.setdefault(avro.schema_id_of(message.value), []).append(message)
        else:
            judged.excluded.append((message, reason))
    _judge_ends(judged, day_of if stream.timed else None)
    return judged


def _judge_ends(judged: Judged, day_of: Callable[[int], int] | None) -> None:
    """7."""
    found = False
    for schema_id, messages in list(judged.kept.items()):
        while messages and (reason := payload_fault(messages[-1].value)) is not None:
            message = messages.pop()
            judged.excluded.append((message, reason))
            found = True
            event_time = peek_event_time(message.value)
            if day_of is not None and event_time is not None:
                judged.rows_per_day[day_of(event_time)] -= 1
        if not messages:
            del judged.kept[schema_id]
    if found:
        judged.excluded.sort()
        judged.rows_per_day = +judged.rows_per_day


def peek_event_time(value: bytes) -> int | None:
    """event_time of a framed envelope, microseconds, without decoding the rest; None when the bytes do not reach."""
    return read_varint(value, _PEEK_AT)


def _framing_fault(message: Message, stream: Stream) -> str | None:
    try:
        registered = avro.schema(avro.schema_id_of(message.value))
    except avro.NotFramedError:
        return "NOT_FRAMED"
    except avro.UnknownSchemaError:
        return "UNKNOWN_SCHEMA"
    return None if registered.subject == stream.subject else "WRONG_SUBJECT"


def payload_fault(value: bytes) -> str | None:
    """Why a payload does not decode to exactly one record; None when it does. Slow."""
    try:
        avro.decode(value)
    except EOFError:
        return "PAYLOAD_TOO_SHORT"
    except ValueError as error:
        return "PAYLOAD_TOO_LONG" if "are left after" in str(error) else "PAYLOAD_NOT_DECODABLE"
    except IndexError as error:  # fastavro's words when bytes end inside a number; else an enum's index
        return "PAYLOAD_TOO_SHORT" if "string index" in str(error) else "PAYLOAD_NOT_DECODABLE"
    except (KeyError, TypeError, OverflowError, MemoryError):
        return "PAYLOAD_NOT_DECODABLE"
    return None
