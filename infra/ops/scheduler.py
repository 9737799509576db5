"""THE WAY of the jobs: which one, how often, under what lock.

    job          every                          does
    clock        minute                         compares clocks, writes the agreed time, stops the store's TTL merges
                                                when they disagree (clocks.py)
    retention    ops.retention_check_minutes    drops due days, with records before and after (retention.py)

APScheduler 3.x must run in exactly one process: a file lock sees to that on this host, and a second scheduler ends with
exit 2. A job never overlaps itself (max_instances), missed runs become one (coalesce), and a run that is late by up to
an hour is still made. A run that fails is logged, counted and tried at its next time; the others go on.
"""

import logging as standard_logging
import threading
from collections.abc import Callable
from typing import Final

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.background import BackgroundScheduler

from infra.ops import clocks, jobs
from infra.ops.retention import Retention
from infra.platform import logging
from infra.platform.clock import Clock, from_datetime
from infra.platform.settings import Settings

CLOCK_SECONDS: Final = 60
MISFIRE_GRACE_SECONDS: Final = 3600
NOTE_SECONDS: Final = 1.0  # how often the next runs are looked up for the state file
_LOG = logging.get("scheduler")


def run(settings: Settings, clock: Clock, stop: threading.Event) -> None:
    """Run every job once now, then at its times, until told to stop; a running job is let finish.

    LockHeldError when another scheduler runs, SettingsError when ops.state_dir cannot be used.
    """
    steady = clocks.Steady()
    work: dict[str, tuple[Callable[[], str], int]] = {
        "clock": (lambda: clocks.agree(settings, clock, steady), CLOCK_SECONDS),
        "retention": (lambda: enforce(settings, clock), settings.ops.retention_check_minutes * 60),
    }
    with jobs.lock(settings.ops.state_dir):
        book = jobs.JobBook(settings.ops.state_dir, clock)
        scheduler = _schedule(work, book)
        for name, (job, _) in work.items():
            if not stop.is_set():
                book.run(name, job)
        scheduler.start()
        _LOG.info("scheduler runs", jobs=", ".join(work))
        try:
            # Looked up from here and not from a listener: `shutdown` waits for jobs under the lock that it needs.
            _note_next_runs(scheduler, book)
            while not stop.wait(NOTE_SECONDS):
                _note_next_runs(scheduler, book)
        finally:
            scheduler.shutdown(wait=True)
            for name in work:
                book.next_run(name, None)
            _LOG.info("scheduler stopped")


def enforce(settings: Settings, clock: Clock) -> str:
    """The retention job."""
    retention = Retention(settings, clock)
    try:
        days = retention.enforce(execute=True)
    finally:
        retention.close()
    return "dropped: " + ", ".join(day.day.isoformat() for day in days) if days else "no day is due"


def _schedule(work: dict[str, tuple[Callable[[], str], int]], book: jobs.JobBook) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(timezone="UTC")
    for name, (job, seconds) in work.items():
        scheduler.add_job(
            book.run,
            "interval",
            (name, job),
            seconds=seconds,
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=MISFIRE_GRACE_SECONDS,
        )

    def missed(event: JobEvent) -> None:
        _LOG.error("job missed its time", job=event.job_id)

    scheduler.add_listener(missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
    standard_logging.getLogger("apscheduler").addHandler(standard_logging.NullHandler())  # our own logs say it
    return scheduler


def _note_next_runs(scheduler: BackgroundScheduler, book: jobs.JobBook) -> None:
    for job in scheduler.get_jobs():
        book.next_run(job.id, None if job.next_run_time is None else from_datetime(job.next_run_time))
