"""Runs one engine and ends it when the process that asked for it is gone. Standard library only; run by path.

    python tether.py GRACE_SECONDS PID_FILE COMMAND...

Standard input is a pipe from the parent: when it closes (the parent stopped, crashed or was killed), the engine's
process group gets SIGTERM, and after the grace SIGKILL. The engine in turn dies with this process
(PR_SET_PDEATHSIG), should this one be killed. Exit code: the engine's.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def start_time(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot, which tells it from a later one with its id; None = gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C reaches all; the parent decides what it means


def _in_engine() -> None:
    """Between fork and exec: die with the tether, and obey signals again (ignored ones are inherited)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)


def main() -> int:
    """Run the engine to its end."""
    grace_seconds, pid_file, *command = sys.argv[1:]
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    engine = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_in_engine,  # noqa: PLW1509  (one thread)
    )
    temporary = Path(pid_file + ".new")
    temporary.write_text(json.dumps({"pid": engine.pid, "start_time": start_time(engine.pid)}), encoding="ascii")
    temporary.rename(pid_file)
    while engine.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.1)
        if readable and not os.read(sys.stdin.fileno(), 1):
            _end(engine, float(grace_seconds))
    Path(pid_file).unlink(missing_ok=True)
    return engine.returncode if engine.returncode >= 0 else 128 - engine.returncode


def _end(engine: subprocess.Popen[bytes], grace_seconds: float) -> None:
    deadline = time.monotonic() + grace_seconds
    os.killpg(engine.pid, signal.SIGTERM)
    while engine.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        os.killpg(engine.pid, signal.SIGKILL)  # also what the engine left behind in its group
    except ProcessLookupError:
        return
    engine.wait()


if __name__ == "__main__":
    sys.exit(main())
