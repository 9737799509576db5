"""Kafka to the store on the real engines: ours with everything on, against decoding and inserting columns.

    python -m benchmarks.load --json [--rows N]

Records are those of a made-up Postfix log, so their addresses, ids and times have a log's shape; the whole log is first
written to Kafka, then each contender empties a topic that is full. Bytes a row are asked of the store.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from confluent_kafka import Producer

from benchmarks import postfix_log
from infra.local.process import child_environment
from infra.local.runtime import home_from_environment, kafka_jars
from infra.local.stack import LocalStack
from infra.ops.migrate import migrate_store, migrate_topics
from infra.platform.clickhouse import connect
from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import replay
from schemas import avro, topics

RUNS: Final = 3
TICKS: Final = os.sysconf("SC_CLK_TCK")


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--rows", default=200_000, show_default=True, help="Records in the topic, about.")
def main(as_json: bool, rows: int) -> None:
    """Measure."""
    home = home_from_environment() / "bench"
    for name in ("kafka", "clickhouse"):
        shutil.rmtree(home / name, ignore_errors=True)
    (home / "kafka").mkdir(parents=True)
    (home / "kafka" / "libs").symlink_to(kafka_jars(home_from_environment()))
    with LocalStack(home) as stack:
        settings = stack.settings()
        migrate_store(settings, SystemClock(), execute=True)
        migrate_topics(settings, execute=True)
        count = _publish(stack, home, rows)
        ours = [_ours(stack, home, f"ours-{number}", count) for number in range(RUNS)]
        naive = [_naive(stack, count) for _ in range(RUNS)]
        bytes_a_row = _bytes_a_row(stack)
    result = {"rows": count, "runs": RUNS, "ours": _median(ours), "naive": _median(naive)}
    result["cpu_ratio_naive_to_ours"] = round(result["naive"]["cpu_seconds"] / result["ours"]["cpu_seconds"], 1)
    result |= {"bytes_a_row": bytes_a_row}
    click.echo(json.dumps(result) if as_json else json.dumps(result, indent=2))


def _publish(stack: LocalStack, home: Path, rows: int) -> int:
    """The records of a made-up log into the topic, their times moved to just now."""
    log = home / "load.log"
    postfix_log.write(log, rows * 5 // 8)
    producer = Producer(
        {"bootstrap.servers": stack.kafka.bootstrap_servers, "compression.type": "zstd", "linger.ms": 50}
    )
    now, count = SystemClock().now(), 0
    year = datetime.now(UTC).year
    for record in replay([log], Source(name="mail", path=log), Site(), year, SystemClock()):
        record["event_time"] = now - count * 1000
        while True:
            try:
                producer.produce(topics.ENVELOPE.name, avro.encode(avro.ENVELOPE_V1, record), key=str(count % 64))
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
    producer.flush(60)
    return count


def _ours(stack: LocalStack, home: Path, group: str, count: int) -> dict[str, float]:
    """`liucun consumer run` until all is booked; its own CPU time, threads included."""
    _empty(stack)
    conf = home / f"{group}.toml"
    conf.write_text(
        f'[kafka]\nbootstrap_servers = "{stack.kafka.bootstrap_servers}"\nreplication_factor = 1\n'
        f'[clickhouse]\nhost = "127.0.0.1"\nport = {stack.store.http_port}\n'
        f'[clickhouse.loader]\nuser = "liucun_loader"\npassword_file = "{stack.store.password_file("liucun_loader")}"\n'
        f'[loader]\ngroup_id = "{group}"\n'
    )
    command = [str(Path(sys.executable).with_name("liucun")), "consumer", "run", "--settings", str(conf)]
    begun = time.monotonic()
    process = subprocess.Popen(command, env=child_environment(home), stderr=subprocess.DEVNULL)
    _wait(lambda: _count(stack, "SELECT sum(loaded_count) FROM batch") >= count)
    wall = time.monotonic() - begun
    cpu = _cpu_seconds(process.pid)
    process.terminate()
    process.wait(60)
    return {"wall_seconds": wall, "cpu_seconds": cpu}


def _naive(stack: LocalStack, count: int) -> dict[str, float]:
    """What most would write: decode each message, insert columns, commit nothing."""
    _empty(stack)
    store = stack.settings().clickhouse
    arguments = [stack.kafka.bootstrap_servers, str(store.port), store.loader.secret(), str(count)]
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.naive_loader", *arguments])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert _count(stack, "SELECT count() FROM envelope") == count
    return {"wall_seconds": time.monotonic() - begun, "cpu_seconds": used.ru_utime + used.ru_stime}


def _empty(stack: LocalStack) -> None:
    client = connect(stack.settings().clickhouse, stack.settings().clickhouse.migrator)
    for table in ("envelope", "batch", "migration", "coverage", "retention"):
        client.command(f"DROP TABLE {table} SYNC")
    client.close()
    migrate_store(stack.settings(), SystemClock(), execute=True)


def _bytes_a_row(stack: LocalStack) -> float:
    """Compressed bytes of all columns a row, in the parts as the last contender left them."""
    settings = stack.settings().clickhouse
    client = connect(settings, settings.migrator)
    size, rows = client.query(
        "SELECT sum(data_compressed_bytes), sum(rows) FROM system.parts WHERE active AND table = 'envelope'"
    ).result_rows[0]
    client.close()
    return round(size / rows, 1)


def _count(stack: LocalStack, query: str) -> int:
    client = connect(stack.settings().clickhouse, stack.settings().clickhouse.loader)
    try:
        return int(client.query(query).result_rows[0][0] or 0)
    finally:
        client.close()


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


if __name__ == "__main__":
    main()
