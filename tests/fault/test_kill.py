"""Kill -9 of agent and loader between every two steps, engines that go away: nothing lost, nothing twice."""

import random
import time
from pathlib import Path

import pytest

from infra.local.stack import LocalStack
from infra.platform.clock import HOUR, SystemClock
from infra.platform.settings import Settings
from tests.pipeline import Program, count, envelope, exactly_once, publish, rows, run, until, write_settings
from tests.unit.producers.lines import log, message, sent

LOADER_STEPS = ("fetched", "intent", "spliced", "inserted", "batch_row", "committed")
AGENT_STEPS = ("appended", "synced", "produced", "committed", "snapshot")


@pytest.fixture
def file(fresh: Settings, tmp_path: Path) -> Path:
    """Settings for agent and loader."""
    return write_settings(
        tmp_path / "liucun.toml", fresh, agent_id="mx1", outbox_dir=tmp_path / "outbox", log=tmp_path / "mail.log"
    )


def _mail(first: int, number: int) -> bytes:
    """Lines of messages, each with one recipient, times now (RFC 3339)."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime())
    lines = []
    for at in range(first, first + number):
        data = log(
            *message(sent(f"r{at}@example.com"), queue_id=f"{0xABCDE00000 + at:X}", message_id=f"<{at}@example.net>")
        )
        lines += [stamp.encode() + line[27:] for line in data.splitlines(keepends=True)]
    return b"".join(lines)


def _write(file: Path, data: bytes) -> None:
    with (file.parent / "mail.log").open("ab") as mail_log:
        mail_log.write(data)


@pytest.mark.parametrize("step", LOADER_STEPS)
def test_loader_killed_at_each_step_twice(fresh: Settings, file: Path, step: str) -> None:
    """In its first and in its second batch; then a third one finishes."""
    now = SystemClock().now()
    for round_number in range(2):
        publish(fresh, [envelope(round_number * 500 + at, now - at * 2 * HOUR) for at in range(500)])
        killed = Program(file, "consumer", "run", kill_at=f"loader.{step}")
        assert killed.wait() == -9, killed.said()
    publish(fresh, [envelope(1000 + at, now) for at in range(10)])
    last = Program(file, "consumer", "run")
    until(
        lambda: (
            sum(row[0] for row in rows(fresh, "SELECT sum(record_count) FROM (SELECT DISTINCT * FROM batch)")) >= 1010
        )
    )
    assert last.stop() == 0
    exactly_once(fresh, 1010)


@pytest.mark.parametrize("step", AGENT_STEPS)
def test_agent_killed_at_each_step_twice(fresh: Settings, file: Path, step: str) -> None:
    """Killed with mail half read, twice; then it ends well. Everything arrives once and verify agrees."""
    loader = Program(file, "consumer", "run")
    for round_number in range(2):
        data = _mail(round_number * 50, 50)
        _write(file, data[: len(data) * 2 // 3])
        killed = Program(file, "producer", "run", kill_at=f"agent.{step}")
        assert killed.wait() == -9, killed.said()
        _write(file, data[len(data) * 2 // 3 :])
    last = Program(file, "producer", "run")
    until(lambda: count(fresh) >= 100)
    assert last.stop() == 0, last.said()
    _verified(file, 100)
    assert loader.stop() == 0
    exactly_once(fresh, 100)


def _verified(file: Path, sequences: int) -> None:
    """`consumer verify` finds every sequence covered and loaded once."""
    import json

    def agrees() -> bool:
        report = json.loads(run(file, "consumer", "verify", "--json").stdout)
        assert report["ok"], report
        return bool(report["counts"].get("sequences", 0) == sequences and not report["counts"].get("pending"))

    until(agrees)


@pytest.mark.long
def test_twenty_kills_at_random_points(fresh: Settings, file: Path) -> None:
    """Agent and loader are killed at random moments while mail flows, twenty times each."""
    seed = 20261124
    moments = random.Random(seed)
    written = 0
    for _ in range(20):
        loader, agent = Program(file, "consumer", "run"), Program(file, "producer", "run")
        for _ in range(5):
            _write(file, _mail(written, 40))
            written += 40
            time.sleep(moments.uniform(0.05, 0.6))
        agent.kill()
        time.sleep(moments.uniform(0, 1))
        loader.kill()
    loader, agent = Program(file, "consumer", "run"), Program(file, "producer", "run")
    until(lambda: count(fresh) >= written, 180)
    assert agent.stop() == 0
    _verified(file, written)
    assert loader.stop() == 0
    exactly_once(fresh, written)


def test_kafka_stopped_while_mail_flows(stack: LocalStack, fresh: Settings, file: Path) -> None:
    loader, agent = Program(file, "consumer", "run"), Program(file, "producer", "run")
    _write(file, _mail(0, 50))
    until(lambda: count(fresh) >= 50)
    stack.kafka.kill()
    _write(file, _mail(50, 50))
    time.sleep(3)
    stack.kafka.start()
    _write(file, _mail(100, 50))
    until(lambda: count(fresh) >= 150, 120)
    assert agent.stop() == 0, agent.said()
    _verified(file, 150)
    assert loader.stop() == 0
    exactly_once(fresh, 150)


def test_store_killed_while_records_flow(stack: LocalStack, fresh: Settings, file: Path) -> None:
    now = SystemClock().now()
    loader = Program(file, "consumer", "run")
    publish(fresh, [envelope(at, now) for at in range(200)])
    until(lambda: count(fresh) >= 200)
    stack.store.kill()
    publish(fresh, [envelope(200 + at, now) for at in range(200)])
    time.sleep(2)
    stack.store.start()
    until(lambda: count(fresh) >= 400, 120)
    assert loader.stop() == 0, loader.said()
    exactly_once(fresh, 400)


def test_second_agent_with_the_same_name_is_refused(fresh: Settings, file: Path, tmp_path: Path) -> None:
    """Its outbox is another one: exit 2, naming both; the first goes on."""
    agent = Program(file, "producer", "run")
    _write(file, _mail(0, 5))
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 5)
    other = write_settings(
        tmp_path / "other.toml", fresh, agent_id="mx1", outbox_dir=tmp_path / "other", log=tmp_path / "mail.log"
    )
    answer = run(other, "producer", "run")
    assert answer.returncode == 2
    assert "has published from outbox" in answer.stderr
    _write(file, _mail(5, 5))
    until(lambda: count(fresh) >= 10)
    assert agent.stop() == 0, agent.said()
    assert loader.stop() == 0
    exactly_once(fresh, 10)


def test_second_agent_on_the_same_outbox_is_refused(fresh: Settings, file: Path) -> None:
    agent = Program(file, "producer", "run")
    until(lambda: "publishing" in agent.said())
    answer = run(file, "producer", "run")
    assert answer.returncode == 2
    assert "Another agent is running" in answer.stderr
    assert agent.stop() == 0


def test_lost_outbox_needs_a_word_and_loses_nothing(fresh: Settings, file: Path, tmp_path: Path) -> None:
    loader = Program(file, "consumer", "run")
    agent = Program(file, "producer", "run")
    _write(file, _mail(0, 20))
    until(lambda: count(fresh) >= 20)
    assert agent.stop() == 0
    (tmp_path / "outbox").rename(tmp_path / "lost")
    answer = run(file, "producer", "run")
    assert answer.returncode == 2
    assert "--new-outbox" in answer.stderr
    _write(file, _mail(20, 20))
    agent = Program(file, "producer", "run", "--new-outbox")
    until(lambda: count(fresh) >= 40)
    assert agent.stop() == 0, agent.said()
    again = Program(file, "producer", "run")
    _write(file, _mail(40, 1))
    until(lambda: count(fresh) >= 41)
    assert again.stop() == 0
    assert loader.stop() == 0
    exactly_once(fresh, 41)
    assert rows(fresh, "SELECT DISTINCT agent_epoch FROM envelope ORDER BY 1") == [(1,), (2,)]


def test_rotation_and_restart(fresh: Settings, file: Path, tmp_path: Path) -> None:
    """Renamed while the agent runs, and again while it is away."""
    loader = Program(file, "consumer", "run")
    agent = Program(file, "producer", "run")
    data = _mail(0, 30)
    until(lambda: "publishing" in agent.said())
    cut = data.index(b"\n", 1000) + 1
    _write(file, data[:cut])
    until(lambda: count(fresh) >= 1)
    (tmp_path / "mail.log").rename(tmp_path / "mail.log.1")
    _write(file, data[cut:])
    until(lambda: count(fresh) >= 30)
    assert agent.stop() == 0
    _write(file, _mail(30, 10))
    (tmp_path / "mail.log").rename(tmp_path / "mail.log.0")
    _write(file, _mail(40, 10))
    agent = Program(file, "producer", "run")
    until(lambda: count(fresh) >= 50)
    assert agent.stop() == 0, agent.said()
    _verified(file, 50)
    assert loader.stop() == 0
    exactly_once(fresh, 50)


def test_backfill_beside_the_live_agent(fresh: Settings, file: Path, tmp_path: Path) -> None:
    """What the live agent has read is skipped; run again, a backfill finds all done."""
    old = tmp_path / "mail.log.1"
    old.write_bytes(_mail(0, 30))
    _write(file, _mail(30, 10))
    loader = Program(file, "consumer", "run")
    agent = Program(file, "producer", "run")
    until(lambda: count(fresh) >= 10)
    for _ in range(2):
        answer = run(file, "producer", "run", "--once", str(old), str(tmp_path / "mail.log"))
        assert answer.returncode == 0, answer.stderr
        assert "skipped" in answer.stderr
    until(lambda: count(fresh) >= 40)
    assert agent.stop() == 0
    assert loader.stop() == 0
    exactly_once(fresh, 40)
