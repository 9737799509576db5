"""Reading a Postfix log: ours stage by stage, against pflogsumm and a plain regex parser, on the same files.

    python -m benchmarks.ship [--json] [--rows MESSAGES] [--runs N] [--log NAME ...] [--kafka] [--memory]

Every contender is a process; its CPU time is the kernel's, its start included (`ours: start` says how much of it that
is, and ratios are also given behind it). All run in turn, several times, so that a slow minute is everybody's.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from benchmarks import measure, postfix_log
from infra.local import unpack
from infra.local.broker import LocalKafka
from infra.local.runtime import REPOSITORY, home_from_environment, kafka_jars
from infra.ops.migrate import migrate_topics
from infra.platform.settings import Kafka, Settings

TRACE: Final = REPOSITORY / "tests" / "golden" / "postfix" / "demo.log"
LOGS: Final = {
    "ordinary": postfix_log.write,
    "talkative": partial(postfix_log.write, talk=2),
    "lists": partial(postfix_log.write, recipients=postfix_log.LISTS),
    "rfc3339": partial(postfix_log.write, year=2025),
}
STAGES: Final = ("start", "parse", "encode", "outbox")
OPEN_MESSAGES: Final = 100_000


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--rows", "messages", default=20_000, show_default=True, help="Messages in each log.")
@click.option("--runs", default=5, show_default=True)
@click.option("--log", "logs", multiple=True, type=click.Choice([*LOGS, "trace"]), default=["ordinary"])
@click.option("--kafka", is_flag=True, help="Also publish to a real broker.")
@click.option("--memory", is_flag=True, help="Only: memory with 100,000 open messages.")
def main(as_json: bool, messages: int, runs: int, logs: tuple[str, ...], kafka: bool, memory: bool) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(dir=_work()) as folder, _broker(wanted=kafka) as servers:
        if memory:
            result = _memory(Path(folder))
        else:
            result = {name: _measure(Path(folder), name, messages, runs, servers) for name in logs}
    click.echo(json.dumps(result) if as_json else json.dumps(result, indent=2))


def _measure(folder: Path, name: str, messages: int, runs: int, servers: str | None) -> dict[str, Any]:
    log = folder / f"{name}.log"
    lines = _trace(log, messages) if name == "trace" else LOGS[name](log, messages)
    found: dict[str, list[measure.Run]] = {}
    for number in range(runs):
        for contender, command in _contenders(log, servers, number).items():
            found.setdefault(contender, []).append(measure.run(command))
    out = {contender: measure.median(of_one) for contender, of_one in found.items()}
    start = out["ours: start"]["cpu_seconds"]
    reference = "pflogsumm" if "pflogsumm" in out else "plain regex"
    reference_seconds = out[reference]["cpu_seconds"]
    for contender, figures in out.items():
        figures["lines_per_cpu_second"] = round(lines / figures["cpu_seconds"])
        figures["ratio"] = round(reference_seconds / figures["cpu_seconds"], 2)
        if contender.startswith("ours") and figures["cpu_seconds"] > start:
            figures["ratio_behind_start"] = round(reference_seconds / (figures["cpu_seconds"] - start), 2)
    return {"lines": lines, "log_bytes": log.stat().st_size, "runs": runs, "reference": reference, "contenders": out}


def _trace(log: Path, messages: int) -> int:
    """The committed trace of a real Postfix, again and again."""
    data = TRACE.read_bytes()
    times = max(1, messages * 8 // data.count(b"\n"))
    log.write_bytes(data * times)
    return data.count(b"\n") * times


def _memory(folder: Path) -> dict[str, Any]:
    """With so many messages queued; and with so many of which each was also deferred once."""
    made, queued, deferred = folder / "made.log", folder / "queued.log", folder / "deferred.log"
    postfix_log.write(made, OPEN_MESSAGES, recipients=(1,))
    with made.open("rb") as lines, queued.open("wb") as first, deferred.open("wb") as second:
        for line in lines:
            if line.endswith(b": removed\n") or b"NOQUEUE" in line or b"status=deferred" in line:
                continue
            if b"status=" not in line:
                first.write(line)
            second.write(line.replace(b"status=sent (250 2.0.0 Ok: queued", b"status=deferred (host said: 450"))
    return {"queued": _open(queued), "deferred": _open(deferred)}


def _open(log: Path) -> dict[str, int]:
    """Resident memory with the messages of the log open, and the peak when a snapshot of them is written."""
    process = subprocess.Popen(_stage("open", log), stdout=subprocess.PIPE)
    assert process.stdout is not None
    open_messages, resident = map(int, process.stdout.read().split())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    peak = used.ru_maxrss // 1024
    return {"open_messages": open_messages, "resident_mib": resident, "peak_mib_with_snapshot": peak}


@contextmanager
def _broker(*, wanted: bool) -> Iterator[str | None]:
    """A broker with our topics, when one is wanted."""
    if not wanted:
        yield None
        return
    home = _work() / "ship"
    shutil.rmtree(home, ignore_errors=True)
    (home / "kafka").mkdir(parents=True)
    (home / "kafka" / "libs").symlink_to(kafka_jars(home_from_environment()))
    broker = LocalKafka(home)
    broker.start()
    try:
        kafka = Kafka(bootstrap_servers=broker.bootstrap_servers, replication_factor=1)
        migrate_topics(Settings(kafka=kafka), execute=True)
        yield broker.bootstrap_servers
    finally:
        broker.stop()


def _work() -> Path:
    folder = home_from_environment() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _stage(stage: str, log: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.ship_stages", stage, str(log)]


def _contenders(log: Path, servers: str | None, number: int) -> dict[str, list[str]]:
    liucun = [sys.executable, "-c", "from infra.cli import main; main()", "producer"]
    found = {f"ours: {stage}": _stage(stage, log) for stage in STAGES}
    found["ours: replay"] = [*liucun, "replay", str(log), "--json"]
    if servers is not None:
        conf = log.with_name(f"agent-{number}.toml")
        conf.write_text(
            f'[kafka]\nbootstrap_servers = "{servers}"\nreplication_factor = 1\n[agent]\n'
            f'agent_id = "{log.stem}{number}"\n'
            f'outbox_dir = "{log.parent}/box-{log.stem}-{number}"\n'
            f'[[agent.sources]]\nname = "mail"\npath = "{log.parent}/mail.log"\n'
        )
        found["ours: published"] = [*liucun, "run", "--settings", str(conf), "--once", str(log)]
    found["plain regex"] = [sys.executable, "-m", "benchmarks.plain_regex", str(log)]
    if (summary := _pflogsumm()) is not None:
        found["pflogsumm"] = ["perl", *summary, str(log)]
    return found


def _pflogsumm() -> list[str] | None:
    """Debian's pflogsumm, unpacked below var (never installed); None where it cannot be had."""
    if unpack.unavailable() is not None or shutil.which("perl") is None:
        return None
    root = _work() / "pflogsumm"
    unpack.unpack(["pflogsumm"], root, _work() / "pflogsumm.unpacked")
    scripts = [path for path in root.rglob("pflogsumm*") if path.is_file() and os.access(path, os.X_OK)]
    libraries = [option for folder in root.glob("usr/**/perl5*") for option in ("-I", str(folder))]
    return [*libraries, str(scripts[0])] if scripts else None


if __name__ == "__main__":
    main()
