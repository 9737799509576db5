"""THE WAY of the agent: follow -> capture -> outbox -> publish.

    Follower (files)  ─Chunk─>  Capture (lines, records, frames)  ─Frame─>  Outbox (fdatasync)  ─>  Publisher (Kafka)

One thread reads and writes the outbox; the publisher has its own, so Kafka may be away for hours. Kill the process at
any instruction: what is durable is published once, what is not is read again.
"""

import shutil
import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol

from infra.platform import logging, metrics
from infra.platform.clock import SECOND, Clock
from infra.platform.settings import Agent
from infra.platform.steps import reached
from producers import recover
from producers.capture import Capture
from producers.errors import OutboxFullError
from producers.follow import Chunk, Event, Lost
from producers.outbox import Frame, Outbox
from producers.publish import Publisher

SYNC_SECONDS: Final = 0.2
SYNC_BYTES: Final = 1024**2
IDLE_SECONDS: Final = 0.1
# At the end of all files log time follows the wall clock at this distance: syslog daemons write within it.
LOG_TIME_BEHIND: Final = 2 * SECOND
TICK_MICROSECONDS: Final = 2 * SECOND
DRAIN_SECONDS: Final = 10.0
_LOG = logging.get("agent")


class Stream(Protocol):
    """What the agent reads: a followed log (`follow.Follower`) or the files of a backfill."""

    name: str
    readable: bool  # False while something keeps it from being read to its end

    def poll(self, now: int) -> Event | None:
        """The next event, or None when there is nothing to read at present."""
        ...

    def behind_bytes(self) -> int:
        """Bytes not yet read."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class Shipper:
    """One running agent. `run` is its main loop; everything it does is in the outbox before it has an effect."""

    def __init__(
        self,
        agent: Agent,
        clock: Clock,
        *,
        outbox: Outbox,
        capture: Capture,
        streams: Sequence[Stream],
        publisher: Publisher,
    ) -> None:
        """All parts are given; `capture` stands at the end of `outbox`."""
        self.agent = agent
        self.outbox = outbox
        self.capture = capture
        self.streams = streams
        self.publisher = publisher
        self.clock = clock
        self._synced = time.monotonic()
        self._ticked = 0
        self._snapshot_end = 0
        self._snapshot_time = 0
        self._log_bytes = 0
        self._lines_read = self._lines_understood = 0
        self._stop = threading.Event()

    def run(self, stop: threading.Event, *, once: bool = False) -> None:
        """Ship until `stop`, or with `once` until every stream is read and published.

        Ends with a closed coverage and a snapshot. Raises what made the publisher give up.
        """
        self._stop = stop
        self.publisher.start()
        try:
            while not stop.is_set() and self.publisher.failure is None:
                if not self._step(once=once):
                    break
            self._write(self.capture.close_coverage("STOP", self.clock.now()))
            self._sync(force=True)
            self._snapshot(self.clock.now(), force=True)
            self._drain(forever=once)
        finally:
            self.publisher.end()
            self.outbox.close()
            for stream in self.streams:
                stream.close()
        if self.publisher.failure is not None:
            raise self.publisher.failure

    def _step(self, *, once: bool) -> bool:
        """One round; False when a backfill has read everything."""
        now = self.clock.now()
        room = self._has_room()
        moved = room and self._read_all(now)
        at_end = room and not moved and all(stream.readable for stream in self.streams)
        if at_end and once:
            self._write(self.capture.finish(now))
            if self._lines_read and not self._lines_understood:
                _LOG.warning("no line was understood; is it a mail system's log?", lines_read=self._lines_read)
            return False
        if at_end:  # and only then: with lines unread, log time stands
            self._follow_the_clock(now)
        if self.capture.book.due(now):
            self._write(self.capture.close_coverage("TIME", now))
        self._sync(force=not moved)
        self._snapshot(now)
        if not moved:
            self._stop.wait(IDLE_SECONDS)
        return True

    def _read_all(self, now: int) -> bool:
        """One event of each stream, in turn; False when none had one."""
        moved = False
        for stream in self.streams:
            event = stream.poll(now)
            if event is None:
                continue
            moved = True
            if isinstance(event, Chunk):
                self._write(self.capture.chunk(event, now))
                self._log_bytes += len(event.data)
            elif isinstance(event, Lost):
                _LOG.warning("lines of a stream are gone", source=stream.name, marker=event.marker)
                self._write(self.capture.lost(stream.name, event.marker, now))
            else:
                self._write(self.capture.close_coverage("ROTATION", now))
        return moved

    def _follow_the_clock(self, now: int) -> None:
        """At the end of all streams timers go on, when there is something for them to act on."""
        waiting = self.capture.assembler.open_transactions > 0 or self.capture.book.due(now)
        if waiting and not self._ticked <= now < self._ticked + TICK_MICROSECONDS:
            self._ticked = now
            self._write(self.capture.tick(now - LOG_TIME_BEHIND, now))

    def _write(self, frame: Frame) -> None:
        """Append one frame. While the disk is full: wait, say so, lose nothing; `capture` has already gone on."""
        while True:
            try:
                self.outbox.append(frame)
                break
            except OutboxFullError as error:
                if self._stop.is_set():
                    raise  # the frame was never durable: its lines are read again at the next start
                _LOG.error("the outbox is full; reading waits", reason=error.reason)
                self._forget()
                self._stop.wait(1)
        self._count(frame)
        if self.outbox.bytes_unsynced >= SYNC_BYTES:
            self._sync(force=True)

    def _sync(self, *, force: bool) -> None:
        """Group commit: one fdatasync for all frames of SYNC_SECONDS or SYNC_BYTES."""
        if not self.outbox.bytes_unsynced or not (force or time.monotonic() - self._synced >= SYNC_SECONDS):
            return
        reached("agent.appended")
        self.outbox.sync()
        reached("agent.synced")
        self._synced = time.monotonic()
        self.publisher.wake()

    def _snapshot(self, now: int, *, force: bool = False) -> None:
        """At most every minute or 64 MiB of log: write the joining state and forget what no one needs any more."""
        due = (
            not self._snapshot_time <= now < self._snapshot_time + recover.SNAPSHOT_MICROSECONDS
            or self._log_bytes >= recover.SNAPSHOT_LOG_BYTES
        )
        if not (due or force) or self.outbox.end == self._snapshot_end:
            return
        self._sync(force=True)
        self._snapshot_time = now
        try:
            recover.save(self.outbox, self.capture)
        except OSError as error:  # the frames are durable: after a crash only more lines are run again
            _LOG.error("no snapshot could be written; trying later", reason=error.strerror)
            return
        reached("agent.snapshot")
        self._snapshot_end, self._log_bytes = self.outbox.end, 0
        self._forget()

    def _forget(self) -> None:
        """Delete segments that are published and behind the snapshot.

        The frame that ends at the published position stays: it proves at the next start that the position is ours.
        """
        self.outbox.forget(min(self.publisher.published_end, self._snapshot_end) - 1)
        metrics.OUTBOX_BYTES.set(self.outbox.size_bytes)
        metrics.OPEN_TRANSACTIONS.set(self.capture.assembler.open_transactions)
        for stream in self.streams:
            metrics.BEHIND_BYTES.labels(stream.name).set(stream.behind_bytes())

    def _has_room(self) -> bool:
        """Rule of the spool: at its bound, or on a nearly full disk, reading waits; nothing is dropped."""
        if self.outbox.size_bytes >= self.agent.outbox_bytes_max:
            return self._no_room("agent.outbox_bytes_max is reached")
        if shutil.disk_usage(self.outbox.folder).free < self.agent.disk_free_bytes_min:
            return self._no_room("the disk has less than agent.disk_free_bytes_min")
        return True

    def _no_room(self, why: str) -> bool:
        _LOG.error("reading waits", why=why)
        self._forget()
        self._stop.wait(1)
        return False

    def _drain(self, *, forever: bool) -> None:
        """Let the publisher finish: for a backfill until all is in Kafka or it is told to stop, else a bounded time."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while not self.publisher.drained() and self.publisher.failure is None:
            if self._stop.is_set() if forever else time.monotonic() > deadline:
                return
            time.sleep(0.05)

    def _count(self, frame: Frame) -> None:
        """Metrics of one frame; the addresses in it stay in it."""
        if frame["source_name"]:
            metrics.RECORDS.labels(frame["source_name"]).inc(len(frame["records"]))
        for name, tally in self.capture.lines_of_frame.items():
            self._lines_read += tally.lines_read
            self._lines_understood += tally.lines_understood
            metrics.LINES_READ.labels(name).inc(tally.lines_read)
            for reason, count in tally.lines_not_understood.items():
                metrics.LINES_NOT_UNDERSTOOD.labels(name, reason).inc(count)
            if tally.newest_time is not None:
                metrics.NEWEST_EVENT.labels(name).set(tally.newest_time / SECOND)
        if frame["kind"] == "COVERAGE":
            metrics.OUTBOX_BYTES.set(self.outbox.size_bytes)
            metrics.OPEN_TRANSACTIONS.set(self.capture.assembler.open_transactions)
            for stream in self.streams:
                metrics.BEHIND_BYTES.labels(stream.name).set(stream.behind_bytes())
