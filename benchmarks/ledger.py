"""How fast the ledger commits: one client against bare fdatasync, and many clients at once.

All contenders write to the same disk in the same run, in turn; the median of the runs is given.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.ledger.client import LedgerClient
from infra.local.runtime import home_from_environment
from infra.platform.settings import Ledger
from tests.ledgers import RunningLedger

RECORD_BYTES = 400  # about what an entry has on disk, encrypted
CLIENTS = 32
PROCESSES = 2  # the clients of one process share a core
MEMBERS = {"authorization": "authorizations/0123456789abcdef", "sql_fingerprint": "ab" * 32, "request_hash": "cd" * 32}


def percentile(seconds: list[float], share: float) -> float:
    """In milliseconds."""
    return round(sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000, 3)


def timed(work: Callable[[], Any], count: int) -> list[float]:
    """Seconds of each call."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return found


def latencies(seconds: list[float]) -> dict[str, float]:
    """What is told of one contender."""
    return {"work": len(seconds), "wall_seconds": round(sum(seconds), 3), "p50_ms": percentile(seconds, 0.5),
            "p99_ms": percentile(seconds, 0.99), "per_second": round(len(seconds) / sum(seconds), 1)}  # fmt: skip


def bare(folder: Path, count: int) -> dict[str, float]:
    """The least that any durable append costs: write and fdatasync of one growing file."""
    path = folder / "bare"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append() -> None:
        os.write(descriptor, bytes(RECORD_BYTES))
        os.fdatasync(descriptor)

    try:
        return latencies(timed(append, count))
    finally:
        os.close(descriptor)
        path.unlink()


def alone(settings: Ledger, count: int) -> dict[str, float]:
    """One client, one entry after the other."""
    client = LedgerClient(settings)
    try:
        client.append("LOOKUP_INTENT", "services/query", **MEMBERS)
        return latencies(timed(lambda: client.append("LOOKUP_INTENT", "services/query", **MEMBERS), count))
    finally:
        client.close()


def _crowd(settings: Ledger, threads: int, each: int, results: Any) -> None:
    client = LedgerClient(settings)
    found: list[float] = []

    def appends() -> None:
        found.extend(timed(lambda: client.append("LOOKUP_INTENT", "services/query", **MEMBERS), each))

    crowd = [threading.Thread(target=appends) for _ in range(threads)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    client.close()
    results.put(found)


def together(settings: Ledger, each: int) -> dict[str, float]:
    """CLIENTS clients at once."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (settings, CLIENTS // PROCESSES, each, results)
    crowd = [context.Process(target=_crowd, args=arguments) for _ in range(PROCESSES)]
    before = LedgerClient(settings)
    size = before.size()
    for one in crowd:
        one.start()
    while before.size() == size:  # the processes' own start does not count
        time.sleep(0.005)
    begun = time.perf_counter()
    seconds = [second for _ in crowd for second in results.get()]
    wall = time.perf_counter() - begun
    for one in crowd:
        one.join()
    before.close()
    return {"work": len(seconds), "wall_seconds": round(wall, 3), "p50_ms": percentile(seconds, 0.5),
            "p99_ms": percentile(seconds, 0.99), "per_second": round(len(seconds) / wall, 1)}  # fmt: skip


def process_costs(pid: int) -> dict[str, float]:
    """Processor time and peak memory of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"cpu_seconds": ticks, "peak_mib": round(int(peak.split()[1]) / 1024, 1)}


def measure(runs: int, count: int, each: int) -> dict[str, Any]:
    """All contenders, in turn, `runs` times."""
    home = home_from_environment() / "bench"
    home.mkdir(parents=True, exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="ledger-", dir=home))
    sockets = Path(tempfile.mkdtemp(prefix="liucun-"))
    ledger = RunningLedger(
        data, append_socket=sockets / "a.sock", read_socket=sockets / "r.sock", request_timeout_seconds=60
    )
    try:
        program = ledger.start()
        rounds: list[dict[str, dict[str, float]]] = []
        for _ in range(runs):
            one = {"fdatasync": bare(data, count), "one_client": alone(ledger.settings, count)}
            before = process_costs(program.process.pid)["cpu_seconds"]
            one[f"clients_{CLIENTS}"] = together(ledger.settings, each)
            costs = process_costs(program.process.pid)
            one[f"clients_{CLIENTS}"] |= costs | {"cpu_seconds": round(costs["cpu_seconds"] - before, 2)}
            rounds.append(one)
        entries = ledger.client().size()
        ledger.stop()
    finally:
        ledger.end()
        for folder in (data, sockets):
            shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Any] = {
        name: {fact: statistics.median(one[name][fact] for one in rounds) for fact in rounds[0][name]}
        for name in rounds[0]
    }
    found["ratios"] = {
        f"{fact}_to_fdatasync": round(found["one_client"][fact] / found["fdatasync"][fact], 2)
        for fact in ("p50_ms", "p99_ms")
    }
    return found | {"runs": runs, "entries": entries, "cores": os.cpu_count()}


def main() -> None:
    """Measure and say it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--rows", type=int, default=1000, help="entries of one client in a run; the many write 8 times that"
    )
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    found = measure(given.runs, given.rows, given.rows * 8 // CLIENTS)
    sys.stdout.write(json.dumps(found, indent=None if given.json else 2) + "\n")


if __name__ == "__main__":
    main()
