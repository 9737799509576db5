"""Proof from the store alone that each record came once: no decoding, no address is read.

1. BOOK      The batches of a partition do not overlap.
2. ROWS      Each batch has, for each day still kept, exactly the rows that its book says; no row stands outside a
   batch.
3. TWICE     No Kafka coordinate and no record_id stands twice.
4. SEQUENCES Each agent's coverage records have no gap, and each sequence they cover is a row, or its neighbours in the
             partition enclose a message that was excluded (a dead letter, or past retention).

Kafka offsets prove nothing by themselves: control records of transactions leave gaps of any length. What is loaded at
this moment is not a finding: rows behind the last booked batch, and sequences that Kafka still holds for the loader.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from consumers.lag import lag
from consumers.load import STREAMS
from infra.platform.clickhouse import ClickHouseError, Client, connect, neutral
from infra.platform.clock import Clock, day_of
from infra.platform.settings import Settings

FINDINGS_MAX: Final = 1000
LOOKS_SECONDS: Final = 2.0
Finding = dict[str, Any]
_NEIGHBOUR_BEFORE: Final = """\
SELECT hex(topic_epoch), kafka_partition, kafka_offset FROM envelope WHERE agent_id = {agent:String}
AND agent_epoch = {epoch:Int32} AND agent_sequence < {sequence:Int64} ORDER BY agent_sequence DESC LIMIT 1"""
_NEIGHBOUR_BEHIND: Final = """\
SELECT hex(topic_epoch), kafka_partition, kafka_offset FROM envelope WHERE agent_id = {agent:String}
AND agent_epoch = {epoch:Int32} AND agent_sequence > {sequence:Int64} ORDER BY agent_sequence LIMIT 1"""
_DAY: Final = "toDate(event_time, {zone:String})"
_ROWS_BY_BATCH: Final = """\
WITH booked AS (
    SELECT DISTINCT topic_epoch, kafka_partition, first_offset, last_offset FROM batch WHERE topic = {topic:String}
)
SELECT hex(e.topic_epoch), e.kafka_partition,
       if(e.kafka_offset <= b.last_offset, b.first_offset, e.kafka_offset) AS first, e.day, count()
FROM (SELECT topic_epoch, kafka_partition, kafka_offset, $DAY AS day FROM $TABLE) AS e
ASOF LEFT JOIN booked AS b ON e.topic_epoch = b.topic_epoch AND e.kafka_partition = b.kafka_partition
    AND e.kafka_offset >= b.first_offset
INNER JOIN (
    SELECT topic_epoch, kafka_partition, max(last_offset) AS newest FROM booked GROUP BY topic_epoch, kafka_partition
) AS n ON e.topic_epoch = n.topic_epoch AND e.kafka_partition = n.kafka_partition
WHERE e.kafka_offset <= n.newest
GROUP BY 1, 2, 3, 4"""


class Place(NamedTuple):
    """A partition of a topic in one of its lives."""

    topic: str
    epoch: bytes
    partition: int


@dataclass(slots=True)
class Report:
    """What was checked and found; at most FINDINGS_MAX findings are kept, all are counted."""

    findings: list[Finding]
    counts: dict[str, int]

    def add(self, kind: str, **where: Any) -> None:
        """One finding."""
        self.counts["findings"] += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append({"kind": kind, **where})


def verify(settings: Settings, clock: Clock) -> dict[str, Any]:
    """`{ok, findings: [{kind, ...}], counts: {...}}`. UnreachableError or StoreError when the store does not answer.

    The loader writes rows, then their book, then its commit, and the questions here come one after another: what only
    one of two looks sees was on its way between two answers. A finding is what both see.
    """
    report = _look(settings, clock)
    if report.findings:
        time.sleep(LOOKS_SECONDS)
        before, report = report, _look(settings, clock)
        report.findings = [finding for finding in report.findings if finding in before.findings]
        report.counts["findings"] = min(report.counts["findings"], before.counts["findings"])
        if not report.findings:
            report.counts["findings"] = 0
    return {"ok": not report.findings, "findings": report.findings, "counts": dict(report.counts)}


def _look(settings: Settings, clock: Clock) -> Report:
    """One look at everything."""
    store = settings.clickhouse
    client = connect(store, store.loader)
    report = Report([], defaultdict(int))
    try:
        check = _Check(client, store.database, settings.legal.zone, _first_kept_day(settings, clock), report)
        for stream in STREAMS:
            check.book_and_rows(stream.topic.name, stream.table, timed=stream.timed)
            check.coordinates_twice(stream.table)
        check.record_ids_twice()
        pending = check.sequences()
    except ClickHouseError as error:
        raise neutral(error, store) from None
    finally:
        client.close()
    if pending:
        _settle_pending(settings, clock, pending, report)
    return report


def sentences(report: dict[str, Any]) -> Iterable[str]:
    """The report for people."""
    counts = report["counts"]
    yield (
        f"{counts.get('rows', 0)} rows in {counts.get('batches', 0)} batches, {counts.get('sequences', 0)} sequences "
        f"in {counts.get('coverage_records', 0)} coverage records, {counts.get('excluded', 0)} excluded, "
        f"{counts.get('pending', 0)} still on their way."
    )
    for finding in report["findings"]:
        yield "  ".join(f"{name}={value}" for name, value in finding.items())
    yield "Every record is there once." if report["ok"] else f"{counts['findings']} findings."


def _first_kept_day(settings: Settings, clock: Clock) -> date:
    """Days before it are, or may be, dropped."""
    today = day_of(clock.now(), settings.legal.zone_info)
    return today - timedelta(days=settings.legal.retention_days)


def _settle_pending(settings: Settings, clock: Clock, pending: list[Finding], report: Report) -> None:
    """Sequences behind an agent's last row: on their way if the loader is behind, else missing."""
    behind = sum(entry["lag_records"] for entry in lag(settings, clock) if entry["topic"] == STREAMS[0].topic.name)
    if behind:
        report.counts["pending"] += sum(finding["count"] for finding in pending)
        return
    for finding in pending:
        report.add(**finding)


class _Check:
    """The checks over one connection."""

    def __init__(self, client: Client, database: str, zone: str, first_kept_day: date, report: Report) -> None:
        self._client = client
        self._zone = zone
        self._database = database
        self._first_kept_day = first_kept_day
        self._report = report

    def book_and_rows(self, topic: str, table: str, *, timed: bool) -> None:
        """Checks 1 and 2."""
        batches = self._batches(topic)
        held = self._rows_by_batch(topic, table)
        for place, ranges in batches.items():
            last = -1
            for first, batch_last, loaded, per_day in ranges:
                if first <= last:
                    self._report.add("OVERLAP", topic=topic, partition=place.partition, first=first, last=batch_last)
                last = max(last, batch_last)
                actual = held.pop((place.epoch, place.partition, first), {})
                if timed:
                    self._compare_days(place, first, batch_last, per_day, actual)
                elif sum(actual.values()) != loaded:
                    self._report.add(
                        "GAP" if sum(actual.values()) < loaded else "EXTRA",
                        topic=topic,
                        partition=place.partition,
                        first=first,
                        last=batch_last,
                        count=abs(loaded - sum(actual.values())),
                    )
                self._report.counts["batches"] += 1
        for (_, partition, first), actual in held.items():  # in no batch, yet before the last booked one
            self._report.add("EXTRA", topic=topic, partition=partition, first=first, count=sum(actual.values()))

    def coordinates_twice(self, table: str) -> None:
        """Check 3 for Kafka coordinates."""
        rows = self._rows(
            "SELECT hex(topic_epoch), kafka_partition, kafka_offset, count() AS n FROM {table:Identifier} "
            "GROUP BY 1, 2, 3 HAVING n > 1 ORDER BY 2, 3 LIMIT {most:UInt32}",
            table=table,
            most=FINDINGS_MAX,
        )
        for _, partition, offset, count in rows:
            self._report.add(
                "DUPLICATE_OFFSET", table=table, partition=partition, first=offset, last=offset, count=count
            )

    def record_ids_twice(self) -> None:
        """Check 3 for record_id; the same id has the same time, so days are looked at one by one."""
        for day in self._days():
            rows = self._rows(
                "SELECT hex(record_id), count() AS n FROM envelope WHERE _partition_id = "
                "{day:String} GROUP BY record_id HAVING n > 1 ORDER BY record_id LIMIT {most:UInt32}",
                day=day,
                most=FINDINGS_MAX,
            )
            for record_id, count in rows:
                self._report.add("DUPLICATE_RECORD_ID", day=day, record_id=record_id.lower(), count=count)

    def sequences(self) -> list[Finding]:
        """Check 4; gives back what may still be on its way."""
        loaded = self._sequences_loaded()
        newest = self._newest_sequences()
        pending: list[Finding] = []
        expected: dict[tuple[str, int], tuple[int, int]] = {}
        for agent, epoch, number, first, count, day in self._coverage():
            next_number, next_first = expected.get((agent, epoch), (0, 0))
            if number != next_number or first != next_first:
                self._report.add(
                    "MISSING_COVERAGE",
                    agent=agent,
                    epoch=epoch,
                    first=next_number,
                    last=number - 1,
                    count=number - next_number,
                )
            expected[agent, epoch] = (number + 1, first + count)
            self._report.counts["coverage_records"] += 1
            if day is None or day < self._first_kept_day:
                continue
            self._report.counts["sequences"] += count
            if loaded.get((agent, epoch, number), 0) == count:
                continue
            for run in self._missing_runs(agent, epoch, first, count):
                finding = {"kind": "MISSING_SEQUENCE", "agent": agent, "epoch": epoch, "day": str(day), **run}
                if self._explained(run, agent, epoch):
                    self._report.counts["explained_by_exclusions"] += run["count"]
                elif run["first"] > newest.get((agent, epoch), -1):
                    pending.append(finding)
                else:
                    self._report.add(**finding)
        return pending

    def _compare_days(
        self, place: Place, first: int, last: int, booked: dict[date, int], actual: dict[date, int]
    ) -> None:
        for day in sorted(booked.keys() | actual.keys()):
            difference = booked.get(day, 0) - actual.get(day, 0)
            self._report.counts["rows"] += actual.get(day, 0)
            if difference and day >= self._first_kept_day:
                self._report.add(
                    "GAP" if difference > 0 else "EXTRA",
                    topic=place.topic,
                    partition=place.partition,
                    day=str(day),
                    first=first,
                    last=last,
                    count=abs(difference),
                )

    def _batches(self, topic: str) -> dict[Place, list[tuple[int, int, int, dict[date, int]]]]:
        """Batches by partition, in offset order: first, last, loaded, rows per day."""
        rows = self._rows(
            "SELECT DISTINCT hex(topic_epoch), kafka_partition, first_offset, last_offset, loaded_count, rows_per_day, "
            "arraySum(e -> e.2 - e.1 + 1, exclusions) FROM batch WHERE topic = {topic:String} "
            "ORDER BY 1, 2, 3, 4",
            topic=topic,
        )
        out: dict[Place, list[tuple[int, int, int, dict[date, int]]]] = defaultdict(list)
        for epoch, partition, first, last, loaded, per_day, excluded in rows:
            self._report.counts["excluded"] += excluded
            out[Place(topic, bytes.fromhex(epoch), partition)].append((first, last, loaded, dict(per_day)))
        return out

    def _rows_by_batch(self, topic: str, table: str) -> dict[tuple[bytes, int, int], dict[date, int]]:
        """Rows up to the last booked offset, by day and by the batch whose range holds them, else by their offset."""
        query = _ROWS_BY_BATCH.replace("$TABLE", table)
        rows = self._rows(
            query.replace("$DAY", _DAY if table == "envelope" else "toDate(0)"), topic=topic, zone=self._zone
        )
        out: dict[tuple[bytes, int, int], dict[date, int]] = defaultdict(dict)
        for epoch, partition, first, day_value, count in rows:
            out[bytes.fromhex(epoch), partition, first][day_value] = count
        return out

    def _days(self) -> list[str]:
        """Partition ids of the envelope table."""
        rows = self._rows(
            "SELECT DISTINCT partition_id FROM system.parts WHERE database = {database:String} AND table = 'envelope' "
            "AND active ORDER BY 1",
            database=self._database,
        )
        return [row[0] for row in rows]

    def _coverage(self) -> list[tuple[str, int, int, int, int, date | None]]:
        """Coverage records once each: agent, epoch, number, first sequence, count, day."""
        return self._rows(
            "SELECT DISTINCT agent_id, agent_epoch, coverage_sequence, first_sequence, record_count, event_day "
            "FROM coverage ORDER BY 1, 2, 3"
        )

    def _sequences_loaded(self) -> dict[tuple[str, int, int], int]:
        """Different sequences that are rows, by agent, epoch and number of the coverage record that covers them."""
        rows = self._rows(
            "SELECT e.agent_id, e.agent_epoch, c.coverage_sequence, uniqExact(e.agent_sequence) "
            "FROM (SELECT agent_id, agent_epoch, agent_sequence FROM envelope) AS e "
            "ASOF JOIN (SELECT DISTINCT agent_id, agent_epoch, coverage_sequence, first_sequence, record_count "
            "FROM coverage WHERE record_count > 0) AS c ON e.agent_id = c.agent_id "
            "AND e.agent_epoch = c.agent_epoch AND e.agent_sequence >= c.first_sequence "
            "WHERE e.agent_sequence < c.first_sequence + c.record_count GROUP BY 1, 2, 3"
        )
        return {(agent, epoch, number): count for agent, epoch, number, count in rows}

    def _newest_sequences(self) -> dict[tuple[str, int], int]:
        """The greatest sequence that is a row, by agent and epoch."""
        rows = self._rows("SELECT agent_id, agent_epoch, max(agent_sequence) FROM envelope GROUP BY 1, 2")
        return {(agent, epoch): newest for agent, epoch, newest in rows}

    def _missing_runs(self, agent: str, epoch: int, first: int, count: int) -> list[Finding]:
        """Runs of missing sequences of one coverage record: first, last, count."""
        rows = self._rows(
            "SELECT DISTINCT agent_sequence FROM envelope WHERE agent_id = {agent:String} "
            "AND agent_epoch = {epoch:Int32} AND agent_sequence BETWEEN {first:Int64} AND {last:Int64} ORDER BY 1",
            agent=agent,
            epoch=epoch,
            first=first,
            last=first + count - 1,
        )
        runs = []
        expected = first
        for sequence in [*(row[0] for row in rows), first + count]:
            if sequence > expected:
                runs.append({"first": expected, "last": sequence - 1, "count": sequence - expected})
            expected = sequence + 1
        return runs

    def _explained(self, run: Finding, agent: str, epoch: int) -> bool:
        """Whether excluded messages stand in the partition between the rows before and behind the run."""
        before = self._rows(_NEIGHBOUR_BEFORE, agent=agent, epoch=epoch, sequence=run["first"])
        behind = self._rows(_NEIGHBOUR_BEHIND, agent=agent, epoch=epoch, sequence=run["last"])
        place = (before or behind or [None])[0]
        if place is None:
            return False
        rows = self._rows(
            "SELECT sum(least(x.2, {high:Int64}) - greatest(x.1, {low:Int64}) + 1) "
            "FROM (SELECT DISTINCT * FROM batch) ARRAY JOIN exclusions AS x "
            "WHERE topic = {topic:String} AND topic_epoch = unhex({topic_epoch:String}) "
            "AND kafka_partition = {partition:Int32} AND x.2 >= {low:Int64} AND x.1 <= {high:Int64}",
            topic=STREAMS[0].topic.name,
            topic_epoch=place[0],
            partition=place[1],
            low=before[0][2] if before else 0,
            high=behind[0][2] if behind else 2**62,
        )
        return bool(rows[0][0] >= run["count"])

    def _rows(self, query: str, **parameters: Any) -> list[Any]:
        return list(self._client.query(query, parameters=parameters).result_rows)
