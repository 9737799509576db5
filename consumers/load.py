"""THE WAY of the loader: fetch -> judge -> intent -> splice -> insert -> batch row -> commit.

    1. a closed batch of one partition               (fetch, batch)
    2. what of it can be loaded, by rule             (judge, limit)
    3. the intent, committed at its first offset     (intent)      a repeated batch's once more: it is the fence
    4. one spliced file per schema id, inserted      (splice, insert)
    5. dead letters for the rest                     (dead_letter)
    6. the batch's row in the store                  (insert)
    7. the commit behind its last offset

Killed between any two steps, the next loader finds the intent and does 2 to 7 again with the same result: the token
absorbs rows that are there, dead letters go by coordinates, the batch row has a token of its own. Where the table's
deduplication window may have forgotten the token, the table itself is asked what it has.

The fence: Kafka takes a commit only from the group's present member. A loader that was away for FENCE_SECONDS between
two steps commits its intent again before it writes to the store; if the partition is another's by then, it writes
nothing. What a paused process has already sent is absorbed by the token.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from consumers.batch import Batch, Message, Partition, Stream
from consumers.dead_letter import DeadLetters, record
from consumers.errors import BatchRefusedError, PartitionLostError
from consumers.fetch import Fetched, Fetcher
from consumers.insert import DataRefusedError, Store
from consumers.intent import REFUSED_MAX, Intent
from consumers.judge import Judged, judge, peek_event_time
from consumers.limit import BOOKED_BATCHES_MAX, Counted, DeadLetterLimit
from consumers.refused import wrong_messages
from consumers.splice import column_names, file, structure
from infra.platform import logging, metrics
from infra.platform.clock import SECOND, Clock, day_of, start_of_day
from infra.platform.errors import UnreachableError
from infra.platform.settings import Settings
from infra.platform.steps import reached
from schemas import topics

STREAMS: Final = (Stream(topics.ENVELOPE, "envelope", timed=True), Stream(topics.COVERAGE, "coverage", timed=False))
FENCE_SECONDS: Final = 5.0
_EPOCH_ORDINAL: Final = 719_163
_LOG = logging.get("loader")


class Loader:
    """One loader process."""

    def __init__(self, settings: Settings, clock: Clock, stop: threading.Event) -> None:
        """Nothing is connected yet."""
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._streams = {stream.topic.name: stream for stream in STREAMS}
        self.store = Store(settings.clickhouse, stop, settings.loader.retry_seconds_max)
        self.fetcher = Fetcher(settings, list(self._streams), self)
        self._dead_letters = DeadLetters(settings.kafka)
        self._limit = DeadLetterLimit(settings.loader)
        self._day_bounds = (0, 0, 0)
        self._confirmed = 0.0  # when Kafka last took a commit of the batch in hand

    def run(self) -> None:
        """Load until told to stop; the batch in hand is finished, or left to its intent."""
        self.fetcher.start(self._stop)
        try:
            while not self._stop.is_set():
                found = self.fetcher.next_batch()
                if found is not None:
                    self._load_or_leave(found)
        finally:
            self.fetcher.close()

    def _load_or_leave(self, found: Fetched) -> None:
        partition = found.batch.partition
        try:
            self.load(found)
        except PartitionLostError:
            _LOG.warning("partition lost; its batch is left to its new loader", topic=partition.topic)
            self.fetcher.drop(partition)
            self._limit.forget(partition)
        except UnreachableError:
            if not self._stop.is_set():
                raise
            _LOG.warning("stopped in a batch; its intent says how to go on", topic=partition.topic)

    def load(self, found: Fetched) -> None:
        """Steps 2 to 7."""
        batch = found.batch
        stream = self._streams[batch.partition.topic]
        begun = time.monotonic()
        if not self._limit.knows(batch.partition):
            self._limit.begin(batch.partition, self._booked(batch.partition))
        reached("loader.fetched")
        intent = found.replay or self._decide(batch, {})
        judged = self._judge(batch, stream, intent)
        counted = self._counted(batch, judged)
        self._commit(batch, batch.first, intent)
        reached("loader.intent")
        ask = self._must_ask(found, stream, intent, judged)
        try:
            self._insert(batch, stream, intent, judged, ask=ask)
        except DataRefusedError as error:  # the wrong messages are found and put in a new intent, once
            batch, intent = self._without_wrong(batch, intent, judged, error)
            judged = self._judge(batch, stream, intent)
            counted = self._counted(batch, judged)
            self._commit(batch, batch.first, intent)
            self._insert(batch, stream, intent, judged, ask=ask)
        reached("loader.inserted")
        self._write_dead_letters(batch, intent, judged)
        token = f"batch/{self._token(batch, intent)}"
        row = _batch_row(batch, intent, judged)
        self.store.insert_batch_row(row, token=token, fence=lambda: self._fence(batch, intent))
        reached("loader.batch_row")
        self._commit(batch, batch.last + 1, None)
        reached("loader.committed")
        self._limit.keep(batch.partition, counted)
        self._measure(batch, judged, time.monotonic() - begun)

    def _commit(self, batch: Batch, offset: int, intent: Intent | None) -> None:
        self.fetcher.commit(batch.partition, offset, intent)
        self._confirmed = time.monotonic()

    def _fence(self, batch: Batch, intent: Intent) -> None:
        """PartitionLostError when the partition is another loader's."""
        if time.monotonic() - self._confirmed > FENCE_SECONDS:
            self._commit(batch, batch.first, intent)

    def _booked(self, partition: Partition) -> list[tuple[int, int, bool]]:
        epoch = self.fetcher.epochs[partition.topic]
        return self.store.booked(partition.topic, epoch, partition.number, BOOKED_BATCHES_MAX)

    def _counted(self, batch: Batch, judged: Judged) -> Counted:
        return self._limit.after(batch.partition, [message.offset for message in batch.messages], judged.excluded)

    def _must_ask(self, found: Fetched, stream: Stream, intent: Intent, judged: Judged) -> bool:
        """Whether the token alone does not keep rows from coming twice, or from coming back."""
        if found.perhaps_stored:
            return True
        if found.replay is None:
            return False
        if min(judged.rows_per_day, default=0) < self._first_kept_day() and judged.rows_per_day:
            return True  # dropping a day also drops its tokens
        return not self.store.window_holds(stream.table, stream.topic.name, intent.decided_at)

    def _decide(self, batch: Batch, refused: dict[int, str]) -> Intent:
        """Fix the batch: its bounds and its clock."""
        intent = Intent(
            topic_epoch=self.fetcher.epochs[batch.partition.topic],
            after=batch.after,
            first=batch.first,
            last=batch.last,
            count=len(batch.messages),
            count_per_schema_id={},
            decided_at=self._clock.now(),
            refused=refused,
        )
        judged = self._judge(batch, self._streams[batch.partition.topic], intent)
        counts = {schema_id: len(messages) for schema_id, messages in judged.kept.items()}
        return replace(intent, count_per_schema_id=counts)

    def _judge(self, batch: Batch, stream: Stream, intent: Intent) -> Judged:
        return judge(
            batch,
            stream,
            decided_at=intent.decided_at,
            retention_days=self._settings.legal.retention_days,
            day_of=self._day_of,
            refused=intent.refused,
        )

    def _insert(self, batch: Batch, stream: Stream, intent: Intent, judged: Judged, *, ask: bool) -> None:
        """Step 4: one insert per schema id; with `ask`, of what the table does not have and may still have."""
        present: set[int] = set()
        if ask:
            present = self.store.offsets_present(
                stream.table, intent.topic_epoch, batch.partition.number, batch.first, batch.last
            )
        for schema_id, messages in judged.kept.items():
            missing = [
                one for one in messages if one.offset not in present and not (ask and self._dropped(stream, one))
            ]
            if not missing:
                continue
            # A part that is missing gets a token of its own: the whole batch's may be known with less in it.
            part = "" if len(missing) == len(messages) else f"/missing-{len(missing)}-from-{missing[0].offset}"
            data = _file(missing, batch, intent, schema_id)
            reached("loader.spliced")
            token = f"{self._token(batch, intent)}/{schema_id}{part}"
            self.store.insert_avro(
                stream.table,
                data,
                column_names(schema_id),
                token=token,
                rows=len(missing),
                fence=lambda: self._fence(batch, intent),
            )

    def _without_wrong(
        self, batch: Batch, intent: Intent, judged: Judged, error: DataRefusedError
    ) -> tuple[Batch, Intent]:
        """Find the messages that the store could not take; at most REFUSED_MAX, else the batch ends before the next."""
        wrong = dict(intent.refused)
        for schema_id, messages in judged.kept.items():

            def accepts(some: Sequence[Message], schema_id: int = schema_id) -> bool:
                return self.store.accepts(_file(some, batch, intent, schema_id), structure(schema_id), len(some))

            wrong |= wrong_messages(messages, accepts, REFUSED_MAX)
        if len(wrong) == len(intent.refused):
            raise BatchRefusedError(
                f"The store refuses a batch of {batch.partition.topic} (code {error.code}), though it reads every "
                "message of it.",
                "The store's log says why; compare its version and tables with `liucun doctor`.",
            )
        if len(wrong) > REFUSED_MAX:
            end = sorted(wrong)[REFUSED_MAX]
            self.fetcher.give_back(batch.partition, end)
            batch = Batch(batch.partition, batch.after, [message for message in batch.messages if message.offset < end])
            wrong = {offset: reason for offset, reason in wrong.items() if offset < end}
        return batch, self._decide(batch, wrong)

    def _write_dead_letters(self, batch: Batch, intent: Intent, judged: Judged) -> None:
        """Step 5. Past retention there is none: its payload is kept nowhere."""
        self._dead_letters.write(
            [
                record(
                    batch.partition,
                    intent.topic_epoch,
                    message,
                    reason,
                    decided_at=intent.decided_at,
                    retention_days=self._settings.legal.retention_days,
                )
                for message, reason in judged.excluded
                if reason != "PAST_RETENTION"
            ]
        )

    def _token(self, batch: Batch, intent: Intent) -> str:
        """Names the batch for ever; nothing of time, host or bytes is in it."""
        topic, number = batch.partition
        where = f"{self.fetcher.cluster_id}/{topic}/{intent.topic_epoch.hex()}/{number}"
        return f"{where}/{intent.first}-{intent.last}/{intent.layout}"

    def next_offset(self, partition: Partition) -> int | None:
        """As fetch.Stored."""
        return self.store.next_offset(partition.topic, self.fetcher.epochs[partition.topic], partition.number)

    def newest_offset(self, partition: Partition) -> int | None:
        """As fetch.Stored."""
        table = self._streams[partition.topic].table
        return self.store.newest_offset(table, self.fetcher.epochs[partition.topic], partition.number)

    def _first_kept_day(self) -> int:
        """Days before it are dropped, or due to be (days since the epoch)."""
        return self._day_of(self._clock.now()) - self._settings.legal.retention_days

    def _dropped(self, stream: Stream, message: Message) -> bool:
        event_time = peek_event_time(message.value) if stream.timed else None
        return event_time is not None and self._day_of(event_time) < self._first_kept_day()

    def _day_of(self, event_time: int) -> int:
        """Days since the epoch, in the legal zone; most records fall into the day of the one before."""
        start, end, number = self._day_bounds
        if not start <= event_time < end:
            zone = self._settings.legal.zone_info
            day = day_of(event_time, zone)
            start, number = start_of_day(day, zone), day.toordinal() - _EPOCH_ORDINAL
            end = start_of_day(day.fromordinal(day.toordinal() + 1), zone)
            self._day_bounds = (start, end, number)
        return number

    def _measure(self, batch: Batch, judged: Judged, seconds: float) -> None:
        topic = batch.partition.topic
        metrics.INSERTED.labels(topic).inc(judged.kept_count)
        metrics.BATCH_RECORDS.labels(topic).observe(len(batch.messages))
        metrics.INSERT_SECONDS.labels(topic).observe(seconds)
        metrics.PAST_RETENTION.inc(sum(reason == "PAST_RETENTION" for _, reason in judged.excluded))
        if judged.newest_event_time is not None:
            metrics.END_TO_END_SECONDS.observe(max(0.0, (self._clock.now() - judged.newest_event_time) / SECOND))


def _file(messages: Sequence[Message], batch: Batch, intent: Intent, schema_id: int) -> bytes:
    return file(
        messages,
        topic_epoch=intent.topic_epoch,
        schema_id=schema_id,
        partition=batch.partition.number,
        stored_time=intent.decided_at,
    )


def _batch_row(batch: Batch, intent: Intent, judged: Judged) -> dict[str, object]:
    """The row of table `batch`."""
    return {
        "topic": batch.partition.topic,
        "topic_epoch": intent.topic_epoch,
        "kafka_partition": batch.partition.number,
        "first_offset": batch.first,
        "last_offset": batch.last,
        "record_count": len(batch.messages),
        "loaded_count": judged.kept_count,
        "rows_per_day": dict(judged.rows_per_day),
        "rows_per_schema_id": {schema_id: len(messages) for schema_id, messages in judged.kept.items()},
        "exclusions": _ranges(judged.excluded, [message.offset for message in batch.messages]),
        "layout": intent.layout,
        "decided_at": intent.decided_at,
    }


def _ranges(excluded: list[tuple[Message, str]], offsets: list[int]) -> list[tuple[int, int, str]]:
    """Excluded offsets as ranges; a range holds only excluded messages of one reason, whatever gaps markers leave."""
    place = {offset: at for at, offset in enumerate(offsets)}
    ranges: list[tuple[int, int, str]] = []
    for message, reason in excluded:
        if ranges and ranges[-1][2] == reason and place[ranges[-1][1]] + 1 == place[message.offset]:
            ranges[-1] = (ranges[-1][0], message.offset, reason)
        else:
            ranges.append((message.offset, message.offset, reason))
    return ranges
