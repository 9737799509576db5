"""The scheduler's own promises: one at a time, no job ends another, everything is written down."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.ops import clocks, jobs, scheduler
from infra.ops.errors import LockHeldError, RetentionError
from infra.platform import metrics
from infra.platform.clock import SystemClock
from infra.platform.errors import SettingsError
from infra.platform.settings import Ops, Settings


def states(folder: Path) -> dict[str, dict[str, Any]]:
    """The state file."""
    found: dict[str, dict[str, Any]] = json.loads((folder / jobs.STATE_FILE).read_text())
    return found


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a folder of their own."""
    return Settings(ops=Ops(state_dir=tmp_path / "ops"))


@pytest.fixture
def running(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """A scheduler whose clock job is quick and whose retention job fails; how often each was called."""
    calls = {"clock": 0, "retention": 0}

    def clock(*_: object) -> str:
        calls["clock"] += 1
        return "fine"

    def retention(*_: object) -> str:
        calls["retention"] += 1
        if calls["retention"] == 1:
            raise RetentionError("It will not go.", "Look.")
        raise KeyError("a fault")

    monkeypatch.setattr(clocks, "agree", clock)
    monkeypatch.setattr(scheduler, "enforce", retention)
    monkeypatch.setattr(scheduler, "CLOCK_SECONDS", 0.1)
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=(settings, SystemClock(), stop))
    thread.start()
    until(lambda: calls["clock"] >= 1)
    yield calls
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_jobs_run_at_once_and_again(settings: Settings, running: dict[str, int]) -> None:
    until(lambda: running["clock"] >= 4)
    until(lambda: states(settings.ops.state_dir)["clock"]["runs"] >= 4)
    state = states(settings.ops.state_dir)
    assert state["clock"]["ok"] is True
    assert state["clock"]["result"] == "fine"
    assert state["clock"]["failures"] == 0
    assert state["clock"]["last_success"] is not None
    assert state["clock"]["next_run"] > "2026"
    assert running["retention"] == 1, "every ten minutes, and once at the start"


def test_failed_job_is_written_down_and_ends_nothing(settings: Settings, running: dict[str, int]) -> None:
    until(lambda: "next_run" in states(settings.ops.state_dir).get("retention", {}))
    state = states(settings.ops.state_dir)["retention"]
    assert (state["ok"], state["reason"], state["result"]) == (False, "RETENTION", "It will not go. Look.")
    assert (state["runs"], state["failures"], state["last_success"]) == (1, 1, None)
    until(lambda: running["clock"] >= 3)


def test_second_scheduler_is_refused(settings: Settings, running: dict[str, int]) -> None:
    until((settings.ops.state_dir / "scheduler.lock").exists)
    with pytest.raises(LockHeldError) as caught:
        scheduler.run(settings, SystemClock(), threading.Event())
    assert caught.value.exit_code == 2
    assert running["retention"] <= 1


def test_stopped_scheduler_says_that_nothing_comes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "agree", lambda *_: "fine")
    monkeypatch.setattr(scheduler, "enforce", lambda *_: "fine")
    stop = threading.Event()
    stop.set()
    scheduler.run(settings, SystemClock(), stop)
    assert {name: state["next_run"] for name, state in states(settings.ops.state_dir).items()} == {
        "clock": None,
        "retention": None,
    }
    with jobs.lock(settings.ops.state_dir):
        pass  # it was let go


def test_running_job_is_let_finish(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()
    calls = []

    def slow(*_: object) -> str:
        calls.append(1)
        if len(calls) == 2:
            begun.set()
            time.sleep(0.7)
            ended.set()
        return "fine"

    monkeypatch.setattr(clocks, "agree", slow)
    monkeypatch.setattr(scheduler, "enforce", lambda *_: "fine")
    monkeypatch.setattr(scheduler, "CLOCK_SECONDS", 0.1)
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=(settings, SystemClock(), stop))
    thread.start()
    assert begun.wait(20)
    stop.set()
    thread.join(20)
    assert ended.is_set()
    assert states(settings.ops.state_dir)["clock"]["runs"] == len(calls)
    assert len(calls) == 2, "a job never overlaps itself"


def test_jobs_are_scheduled_as_promised(settings: Settings, tmp_path: Path) -> None:
    book = jobs.JobBook(tmp_path, SystemClock())
    (job,) = _pending(scheduler._schedule({"one": (lambda: "fine", 60)}, book))
    assert (job.max_instances, job.coalesce, job.misfire_grace_time) == (1, True, 3600)


def _pending(made: Any) -> list[Any]:
    made.start(paused=True)
    try:
        found: list[Any] = made.get_jobs()
    finally:
        made.shutdown()
    return found


def test_state_goes_on_over_restarts(tmp_path: Path) -> None:
    for number in (1, 2):
        jobs.JobBook(tmp_path, SystemClock()).run("one", lambda: "fine")
        assert jobs.read(tmp_path)["one"]["runs"] == number


@pytest.mark.parametrize("text", ["", "[]", '{"one": {}}', "{"])
def test_unreadable_state_is_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / jobs.STATE_FILE).write_text(text)
    jobs.JobBook(tmp_path, SystemClock()).run("one", lambda: "fine")
    assert jobs.read(tmp_path)["one"]["runs"] == 1


def test_a_fault_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    def fault() -> str:
        raise ZeroDivisionError

    before = metrics.JOB_FAILURES.labels("fault")._value.get()
    jobs.JobBook(tmp_path, SystemClock()).run("fault", fault)
    assert jobs.read(tmp_path)["fault"]["reason"] == "FAULT"
    assert "ZeroDivisionError" in jobs.read(tmp_path)["fault"]["result"]
    assert metrics.JOB_FAILURES.labels("fault")._value.get() == before + 1


def test_full_disk_does_not_keep_a_job_from_running(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    done = []
    jobs.JobBook(folder, SystemClock()).run("one", lambda: done.append(1) or "fine")
    assert done == [1]


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be used"), jobs.lock(tmp_path / "file" / "ops"):
        pass
