"""What the jobs share: one lock, one state file, and a run that cannot take the others down.

<ops.state_dir>/scheduler.lock   held while a scheduler runs
<ops.state_dir>/jobs.json        each job's last run, result, last success, runs and failures so far, next run
"""

import fcntl
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infra.ops.errors import LockHeldError
from infra.platform import logging, metrics
from infra.platform.clock import SECOND, Clock, to_datetime
from infra.platform.errors import LiucunError, SettingsError

STATE_FILE: Final = "jobs.json"
_LOG = logging.get("scheduler")


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the scheduler's lock. LockHeldError when another process does, SettingsError when the folder is no good."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "scheduler.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} cannot be used ({error.strerror}).", "Check ops.state_dir and its owner."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeldError(
                f"Another scheduler runs with {folder}.", "One is enough: end this one or the other."
            ) from None
        yield


class JobBook:
    """The state file. May be used from several threads."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Go on with what an earlier scheduler wrote; a file that cannot be read is begun anew."""
        self._file = folder / STATE_FILE
        self._clock = clock
        self._guard = threading.Lock()
        self._states = read(folder)

    def run(self, name: str, work: Callable[[], str]) -> None:
        """Do one job and write down how it went; never raises for what the job does."""
        begun = self._clock.now()
        ok, reason = True, ""
        try:
            result = work()
        except LiucunError as error:
            ok, result, reason = False, str(error), error.reason
        except Exception as error:  # a fault in one job must not end the others
            ok, result, reason = False, f"a fault in Liucun itself ({type(error).__name__})", "FAULT"
        ended = self._clock.now()
        if ok:
            metrics.JOB_LAST_SUCCESS.labels(name).set(ended / SECOND)
        else:
            metrics.JOB_FAILURES.labels(name).inc()
            _LOG.error("job failed", job=name, reason=reason)
        with self._guard:
            state = self._states.setdefault(name, {"runs": 0, "failures": 0, "last_success": None})
            state |= {
                "last_run": _text(begun),
                "seconds": round((ended - begun) / SECOND, 3),
                "ok": ok,
                "reason": reason,
                "result": result,
                "runs": state["runs"] + 1,
                "failures": state["failures"] + (not ok),
            }
            if ok:
                state["last_success"] = _text(ended)
            self._write()

    def next_run(self, name: str, moment: int | None) -> None:
        """Write down when a job runs next; None = not any more."""
        text = None if moment is None else _text(moment)
        with self._guard:
            state = self._states.setdefault(name, {"runs": 0, "failures": 0, "last_success": None})
            if state.get("next_run", "") != text:
                state["next_run"] = text
                self._write()

    def _write(self) -> None:
        """A full disk must not keep the retention job from making room."""
        temporary = self._file.with_suffix(".json.new")
        try:
            temporary.write_text(json.dumps(self._states, indent=2) + "\n", encoding="utf-8")
            temporary.rename(self._file)
        except OSError as error:
            _LOG.error("job states cannot be written", file=str(self._file), errno=error.errno)


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The state of all jobs by name; empty when there is none."""
    try:
        states = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = {"runs", "failures", "last_success"}
    entries = states.items() if isinstance(states, dict) else ()
    return {name: state for name, state in entries if isinstance(state, dict) and known <= state.keys()}


def _text(moment: int) -> str:
    return f"{to_datetime(moment):%Y-%m-%dT%H:%M:%SZ}"
