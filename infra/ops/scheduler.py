"""THE WAY of the jobs: which one, how often, under what lock.

    job               every                            does
    retention         ops.retention_check_minutes      drops due days, with records before and after (retention.py)
    clock             minute                           compares clocks, writes the agreed time, stops TTL merges when
                                                       they disagree (clock_guard.py)

APScheduler 3.x must run in exactly one process: a file lock sees to that on this host, and a second scheduler ends with
exit 2. A job never overlaps itself; missed runs become one; a run that fails is logged, counted and tried at its
next time. State of all jobs is in <ops.state_dir>/jobs.json.
"""

import fcntl
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from apscheduler.schedulers.background import BackgroundScheduler

from infra.ops import clock_guard
from infra.ops.errors import LockHeldError
from infra.ops.retention import Retention, clock_difference
from infra.platform import logging, metrics
from infra.platform.clickhouse import ClickHouseError, connect, neutral
from infra.platform.clock import SECOND, Clock, to_datetime
from infra.platform.errors import LiucunError, SettingsError
from infra.platform.settings import Settings

MISFIRE_GRACE_SECONDS: Final = 3600
CLOCK_SECONDS: Final = 60
_LOG = logging.get("scheduler")


class Scheduler:
    """All jobs of one installation."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Take the lock. LockHeldError when another scheduler has it."""
        self._settings = settings
        self._clock = clock
        self._folder = settings.ops.state_dir
        self._lock = lock(self._folder)
        self._states: dict[str, dict[str, Any]] = {}
        self._ttl_stopped = False

    def run(self, stop: threading.Event) -> None:
        """Run every job once now, then at its times, until told to stop; a running job is let finish."""
        jobs: dict[str, tuple[Callable[[], str], float]] = {
            "clock": (self.clock, CLOCK_SECONDS),
            "retention": (self.retention, self._settings.ops.retention_check_minutes * 60),
        }
        scheduler = BackgroundScheduler(timezone="UTC")
        for name, (work, seconds) in jobs.items():
            self._run(name, work)
            scheduler.add_job(
                self._run,
                "interval",
                (name, work),
                seconds=seconds,
                id=name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=MISFIRE_GRACE_SECONDS,
            )
        scheduler.start()
        try:
            stop.wait()
        finally:
            scheduler.shutdown(wait=True)
            self._lock.close()

    def retention(self) -> str:
        """Drop due days."""
        retention = Retention(self._settings, self._clock)
        try:
            return f"{len(retention.enforce(execute=True))} days dropped"
        finally:
            retention.close()

    def clock(self) -> str:
        """Agree on the time with the store, or stop its TTL merges: they obey its clock, right or wrong."""
        store = self._settings.clickhouse
        client = connect(store, store.ops)
        try:
            difference = clock_difference(client)
            agree = abs(difference) <= self._settings.ops.clock_difference_seconds_max
            if agree:
                clock_guard.check(self._folder, self._clock)
                clock_guard.write_agreed_time(self._folder, self._clock.now())
            if agree == self._ttl_stopped:
                client.command(f"SYSTEM {'START' if agree else 'STOP'} TTL MERGES envelope")
                self._ttl_stopped = not agree
        except ClickHouseError as error:
            raise neutral(error, store) from None
        finally:
            client.close()
        if not agree:
            _LOG.error("clocks disagree; TTL merges are stopped", difference_seconds=round(difference))
        return f"difference {difference:.3f} s"

    def _run(self, name: str, work: Callable[[], str]) -> None:
        begun = self._clock.now()
        try:
            result, ok = work(), True
        except LiucunError as error:
            result, ok = str(error), False
            metrics.JOB_FAILURES.labels(name).inc()
            _LOG.error("job failed", job=name, reason=error.reason)
        now = self._clock.now()
        if ok:
            metrics.JOB_LAST_SUCCESS.labels(name).set(now / SECOND)
        self._states[name] = {
            "last_run": f"{to_datetime(begun):%Y-%m-%dT%H:%M:%SZ}",
            "seconds": round((now - begun) / SECOND, 3),
            "ok": ok,
            "result": result,
        }
        temporary = self._folder / "jobs.json.new"
        temporary.write_text(json.dumps(self._states, indent=2), encoding="utf-8")
        temporary.rename(self._folder / "jobs.json")


def lock(folder: Path) -> TextIO:
    """The scheduler's lock, held until closed. LockHeldError, or SettingsError when the folder cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "scheduler.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} cannot be used ({error.strerror}).", "Check ops.state_dir and its owner."
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise LockHeldError(
            f"Another scheduler runs with {folder}.", "One is enough: end this one or the other."
        ) from None
    return file
