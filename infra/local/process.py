"""One engine as a process of its own: start, health, stop, kill -9, and the remains of an earlier run."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from infra.local import tether
from infra.platform.errors import LiucunError

STILL_SECONDS_MAX: Final = 30.0  # an engine that neither logs nor computes for so long will not come up
START_SECONDS_MAX: Final = 300.0
GRACE_SECONDS: Final = 15.0
_LOG_TAIL_LINES: Final = 12


class LocalEngineError(LiucunError):
    """An engine did not come up, or ended by itself."""

    reason = "LOCAL_ENGINE"


class EngineProcess:
    """A named engine below `folder`; its output goes to `log_file`. Not for use from several threads."""

    def __init__(self, name: str, folder: Path, log_file: Path) -> None:
        """Nothing is started; what a crashed earlier run left behind is ended."""
        self.name = name
        self.folder = folder
        self.log_file = log_file
        self._pid_file = folder / "engine.pid"
        self._tether: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        log_file.parent.mkdir(parents=True, exist_ok=True)

    def start(self, command: Sequence[str], environment: Mapping[str, str], healthy: Callable[[], bool]) -> None:
        """Start and wait until `healthy` says yes. LocalEngineError, with the log's end, when that will not happen."""
        self.end_remains()
        with self.log_file.open("ab") as log:
            self._tether = subprocess.Popen(
                [sys.executable, "-I", "-S", tether.__file__, str(GRACE_SECONDS), str(self._pid_file), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=dict(environment),
                start_new_session=True,
            )
        self._wait_until(healthy)

    def stop(self) -> None:
        """End it gently, within GRACE_SECONDS, else with SIGKILL. May be repeated."""
        if self._tether is None:
            return
        self._let_go()

    def kill(self) -> None:
        """SIGKILL, as a power cut would; returns when it is gone."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        if self._tether is not None:
            self._tether.wait(10)
            self._let_go()

    @property
    def pid(self) -> int | None:
        """The engine's process id; None when it does not run."""
        try:
            known = json.loads(self._pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        pid: int = known["pid"]
        return pid if tether.start_time(pid) == known["start_time"] else None

    def end_remains(self) -> None:
        """End what an earlier run left: only the process whose id and start time were written down."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while tether.start_time(pid) is not None and time.monotonic() < deadline:
                time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)

    def _let_go(self) -> None:
        """Close the tether's pipe, which ends the engine, and see it end."""
        assert self._tether is not None
        assert self._tether.stdin is not None
        self._tether.stdin.close()
        self._tether.wait(GRACE_SECONDS + 10)
        self._tether = None

    def _wait_until(self, healthy: Callable[[], bool]) -> None:
        """Deadlines by progress: a busy machine may take minutes, a stuck engine is noticed in half of one."""
        assert self._tether is not None
        begun = moved = time.monotonic()
        seen: object = None
        while True:
            if self._tether.poll() is not None:
                self._let_go()
                raise self._failed("ended by itself")
            if healthy():
                return
            now = time.monotonic()
            if (progress := self._progress()) != seen:
                seen, moved = progress, now
            if now - moved > STILL_SECONDS_MAX or now - begun > START_SECONDS_MAX:
                self.kill()
                raise self._failed("did not come up in time")
            time.sleep(0.1)

    def _progress(self) -> object:
        """Something that changes while the engine does: its log's size and its processor time."""
        size = self.log_file.stat().st_size
        pid = self.pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return size
        return size, stat[11], stat[12]

    def _failed(self, what: str) -> LocalEngineError:
        tail = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        text = "\n  ".join(tail) or "(it said nothing)"
        return LocalEngineError(f"{self.name} {what}.", f"The end of {self.log_file}:\n  {text}")


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on now. Another process may take it: callers try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def child_environment(home: Path) -> dict[str, str]:
    """Environment for engines: temporary files below the home, no proxy for loopback."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return environment | {
        "TMPDIR": str(temporary),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "LC_ALL": "C.UTF-8",
    }
