"""One batch to one insert per schema id, under a token that makes repeating it harmless.

Every server setting that decides how a block is made, split or deduplicated is sent with the insert; the table's window
is checked at start. Refusals are of three kinds: the store is busy or away (tried again, with bounded pauses, for ever:
Kafka keeps the records), the store is not as it must be (the loader stops), or the data is refused (the caller finds
the wrong messages).
"""

import math
import re
import threading
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final, NamedTuple, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.external import ExternalData

from consumers.errors import ConsumerError, StoreNotReadyError
from infra.platform import logging
from infra.platform.clickhouse import Client, code_of, connect
from infra.platform.clock import SECOND, to_datetime
from infra.platform.errors import UnreachableError
from infra.platform.settings import ClickHouse
from schemas import columns

INSERT_ROWS_MAX: Final = 1_100_000  # above the largest batch: an insert is one block
INSERT_SECONDS_MAX: Final = 120
DAYS_PER_INSERT_MAX: Final = 500
BLOCKS_UNTIMED: Final = 2  # months that a batch of coverage may touch
BOOKED_LATE_SECONDS: Final = 300  # a batch decided so long before may have been inserted since
REPLICATED_BLOCKS: Final = 1000  # defaults where the table does not say: the least of all versions
REPLICATED_SECONDS: Final = 3600.0
_BUSY: Final = frozenset(
    {0, 3, 107, 159, 164, 202, 203, 209, 210, 236, 241, 242, 243, 252, 285, 290, 319, 374, 394, 425, 999}
)
_NOT_READY: Final = frozenset({16, 47, 60, 81, 192, 193, 194, 497, 516})
Answer = TypeVar("Answer")
_LOG = logging.get("loader")

SETTINGS: Final[dict[str, Any]] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "max_insert_block_size": INSERT_ROWS_MAX,
    "min_insert_block_size_rows": INSERT_ROWS_MAX,
    "min_insert_block_size_bytes": 2 * 1024**3,
    "max_insert_threads": 1,
    "max_partitions_per_insert_block": DAYS_PER_INSERT_MAX,
    "max_execution_time": INSERT_SECONDS_MAX,
    "insert_null_as_default": 0,
    "input_format_null_as_default": 0,
    "input_format_avro_allow_missing_fields": 0,
    "wait_end_of_query": 1,
}


_READING: Final = {name: SETTINGS[name] for name in SETTINGS if name.startswith("input_format_")}
_PROBE: Final = f"SELECT count(), countIf(kafka_offset = {columns.FENCE}), count(ignore(*)) FROM probe"  # noqa: S608
_ENGINE: Final = "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}"
_BLOCKS: Final = (
    "SELECT sum(greatest(length(rows_per_day), {untimed:UInt32})), toUnixTimestamp64Micro(now64(6)) FROM batch "
    "WHERE topic = {topic:String} AND decided_at >= fromUnixTimestamp64Micro({since:Int64})"
)
_BOOKED: Final = (
    "SELECT record_count, arraySum(x -> if(x.3 = 'PAST_RETENTION', 0, x.2 - x.1 + 1), exclusions), "
    "arrayExists(x -> x.3 != 'PAST_RETENTION' AND x.2 = last_offset, exclusions) "
    "FROM (SELECT DISTINCT * FROM batch WHERE topic = {topic:String} AND topic_epoch = unhex({epoch:String}) "
    "AND kafka_partition = {partition:Int32}) ORDER BY first_offset DESC LIMIT {most:UInt32}"
)


class Window(NamedTuple):
    """A table's deduplication window: so many blocks, and of these no older ones."""

    blocks: int
    seconds: float


def window_of(engine: str) -> Window:
    """The window that a table's `engine_full` says, else its engine's default (ClickHouse's documentation)."""
    replicated = engine.startswith("Replicated")
    name = "replicated" if replicated else "non_replicated"
    found = re.search(rf"\b{name}_deduplication_window = (\d+)", engine)
    blocks = int(found[1]) if found else REPLICATED_BLOCKS if replicated else 0
    seconds = re.search(r"\breplicated_deduplication_window_seconds = (\d+)", engine)
    return Window(blocks, (float(seconds[1]) if seconds else REPLICATED_SECONDS) if replicated else math.inf)


class DataRefusedError(ConsumerError):
    """The store refuses the data itself; `code` is ClickHouse's."""

    reason = "DATA_REFUSED"

    def __init__(self, code: int) -> None:
        super().__init__(f"The store refused the data of a batch (code {code}).", "The loader looks for the cause.")
        self.code = code


class Store:
    """The loader's side of the store. Every call blocks until it is done, refused, or `stop` is set."""

    def __init__(self, store: ClickHouse, stop: threading.Event, pause_seconds_max: float) -> None:
        """Connects at the first call."""
        self._store = store
        self._stop = stop
        self._pause_seconds_max = pause_seconds_max
        self._client: Client | None = None

    def insert_avro(
        self, table: str, data: bytes, names: Sequence[str], *, token: str, rows: int, fence: Callable[[], None]
    ) -> None:
        """Insert one Avro file. Repeating it with the same token and data adds nothing.

        `fence` is called before each try; it raises when the partition is another loader's by now.
        """

        def attempt(client: Client) -> None:
            fence()
            summary = client.raw_insert(
                f"{self._store.database}.{table}",
                names,
                data,
                settings=SETTINGS | {"insert_deduplication_token": token},
                fmt="Avro",
            )
            written = summary.written_rows
            if written not in (rows, 0):  # 0: every part of it was there already
                raise ConsumerError(
                    f"The store says that it wrote {written} of {rows} rows.", "Run `liucun consumer verify`."
                )

        self.call(attempt)

    def accepts(self, data: bytes, structure: str, rows: int) -> bool:
        """Whether the store can read this Avro file, rows and fences; it keeps nothing of it."""
        read = ExternalData(file_name="probe", data=data, fmt="Avro", structure=structure)

        def ask(client: Client) -> bool:
            answer = client.query(_PROBE, external_data=read, settings=_READING)
            return tuple(answer.result_rows[0]) == (rows, rows, rows)

        try:
            return self.call(ask)
        except DataRefusedError:
            return False

    def window_holds(self, table: str, topic: str, since: int) -> bool:
        """Whether the table's deduplication window still knows every block inserted since then (microseconds).

        Blocks are counted from the book, each batch as at least BLOCKS_UNTIMED; half of the window is left for what is
        inserted and not booked yet.
        """
        values = {"topic": topic, "since": since - BOOKED_LATE_SECONDS * SECOND, "untimed": BLOCKS_UNTIMED}

        def ask(client: Client) -> bool:
            engine = client.query(_ENGINE, parameters={"database": self._store.database, "table": table})
            window = window_of(engine.result_rows[0][0])
            blocks, now = client.query(_BLOCKS, parameters=values).result_rows[0]
            return bool(2 * blocks < window.blocks) and bool(2 * (now - since) < window.seconds * SECOND)

        return self.call(ask)

    def booked(self, topic: str, topic_epoch: bytes, partition: int, most: int) -> list[tuple[int, int, bool]]:
        """The last batches of a partition, newest first: (messages, dead letters, whether its last message is one)."""
        values = {"topic": topic, "epoch": topic_epoch.hex(), "partition": partition, "most": most}

        def ask(client: Client) -> list[tuple[int, int, bool]]:
            found = client.query(_BOOKED, parameters=values).result_rows
            return [(count, min(dead, count), bool(at_end)) for count, dead, at_end in found]

        return self.call(ask)

    def insert_batch_row(self, row: dict[str, Any], *, token: str, fence: Callable[[], None]) -> None:
        """Insert one row into `batch`."""
        days = {date.fromordinal(719_163 + day): count for day, count in row["rows_per_day"].items()}
        values = row | {"rows_per_day": days, "decided_at": to_datetime(row["decided_at"])}

        def attempt(client: Client) -> None:
            fence()
            client.insert(
                "batch",
                [list(values.values())],
                list(values),
                database=self._store.database,
                settings={"async_insert": 0, "insert_deduplicate": 1, "insert_deduplication_token": token},
            )

        self.call(attempt)

    def offsets_present(self, table: str, topic_epoch: bytes, partition: int, first: int, last: int) -> set[int]:
        """Offsets of [first, last] that the table holds."""
        query = (
            "SELECT kafka_offset FROM {table:Identifier} WHERE topic_epoch = unhex({epoch:String}) "
            "AND kafka_partition = {partition:Int32} AND kafka_offset BETWEEN {first:Int64} AND {last:Int64}"
        )
        values = {"table": table, "epoch": topic_epoch.hex(), "partition": partition, "first": first, "last": last}

        def ask(client: Client) -> set[int]:
            return {row[0] for row in client.query(query, parameters=values).result_rows}

        return self.call(ask)

    def next_offset(self, topic: str, topic_epoch: bytes, partition: int) -> int | None:
        """The offset behind the last batch that the store knows of this partition; None when it knows none."""
        query = (
            "SELECT max(last_offset), count() FROM batch WHERE topic = {topic:String} "
            "AND topic_epoch = unhex({epoch:String}) AND kafka_partition = {partition:Int32}"
        )
        values = {"topic": topic, "epoch": topic_epoch.hex(), "partition": partition}

        def ask(client: Client) -> int | None:
            last, count = client.query(query, parameters=values).result_rows[0]
            return last + 1 if count else None

        return self.call(ask)

    def newest_offset(self, table: str, topic_epoch: bytes, partition: int) -> int | None:
        """The greatest offset of this partition in the table; None when it holds none."""
        query = (
            "SELECT max(kafka_offset), count() FROM {table:Identifier} "
            "WHERE topic_epoch = unhex({epoch:String}) AND kafka_partition = {partition:Int32}"
        )
        values = {"table": table, "epoch": topic_epoch.hex(), "partition": partition}

        def ask(client: Client) -> int | None:
            newest, count = client.query(query, parameters=values).result_rows[0]
            return newest if count else None

        return self.call(ask)

    def call(self, work: Callable[[Client], Answer]) -> Answer:
        """Do `work` until it is done. StoreNotReadyError, DataRefusedError, or UnreachableError when told to stop."""
        pause = 0.2
        while True:
            try:
                if self._client is None:
                    self._client = connect(self._store, self._store.loader)
                return work(self._client)
            except (ClickHouseError, UnreachableError, OSError) as error:
                code = code_of(error)
            if code in _NOT_READY:
                raise StoreNotReadyError(
                    f"The store refused the loader (code {code}).",
                    "Run `liucun doctor`: tables, grants or the account are not as they must be.",
                )
            if code not in _BUSY:
                raise DataRefusedError(code)
            self._client = None if code == 0 else self._client
            _LOG.warning("the store is busy or away; trying again", code=code, pause_seconds=pause)
            if self._stop.wait(pause):
                raise UnreachableError("The store did not answer before the loader was stopped.", "Nothing is lost.")
            pause = min(2 * pause, self._pause_seconds_max)
