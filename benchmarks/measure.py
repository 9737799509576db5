"""One contender as a process of its own, measured by the kernel's accounting."""

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, its children included. Memory is not less than that of the process that started it."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_mib_at_most: float


def run(command: Sequence[str]) -> Run:
    """Run to its end, output thrown away. CalledProcessError when it fails."""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def median(runs: Sequence[Run]) -> dict[str, Any]:
    """Each figure's median, and the spread of the CPU time."""
    rows = [asdict(one) for one in runs]
    out: dict[str, Any] = {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}
    out["cpu_seconds_min_max"] = [round(edge(row["cpu_seconds"] for row in rows), 3) for edge in (min, max)]
    return out
