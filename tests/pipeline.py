"""The pipeline's programs as tests run them: `liucun` processes with a settings file, killed and watched."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import Producer

from infra.local.process import child_environment
from infra.platform.clickhouse import connect
from infra.platform.settings import Ledger, Settings
from producers.identity import record_id
from schemas import avro, topics

LIUCUN = str(Path(sys.executable).with_name("liucun"))


def write_settings(path: Path, settings: Settings, **agent: Any) -> Path:
    """A settings file for programs; `agent` = agent_id, outbox_dir, log (path)."""
    users = "".join(
        f'[clickhouse.{role}]\nuser = "{user.user}"\npassword_file = "{user.password_file}"\n'
        for role in ("migrator", "loader", "ops", "reader")
        if (user := getattr(settings.clickhouse, role))
    )
    text = f"""\
[kafka]
bootstrap_servers = "{settings.kafka.bootstrap_servers}"
replication_factor = 1
request_timeout_seconds = 5
[clickhouse]
host = "127.0.0.1"
port = {settings.clickhouse.port}
{users}
[loader]
group_id = "{settings.loader.group_id}"
batch_age_seconds_max = 0.3
session_timeout_seconds = 4
[ops]
state_dir = "{path.parent}/ops"
"""
    if agent:
        text += f"""\
[agent]
agent_id = "{agent["agent_id"]}"
outbox_dir = "{agent["outbox_dir"]}"
[[agent.sources]]
name = "mail"
path = "{agent["log"]}"
"""
    if settings.ledger != Ledger():
        text += ledger_section(settings.ledger)
    path.write_text(text)
    return path


def ledger_section(settings: Ledger) -> str:
    """The section for a settings file."""
    return f"""\
[ledger]
folder = "{settings.folder}"
keys_dir = "{settings.keys_dir}"
append_socket = "{settings.append_socket}"
read_socket = "{settings.read_socket}"
origin = "{settings.origin}"
query_uids = {settings.query_uids}
ops_uids = {settings.ops_uids}
read_uids = {settings.read_uids}
reveal_uids = {settings.reveal_uids}
request_timeout_seconds = {settings.request_timeout_seconds}
erase_after_days_min = {settings.erase_after_days_min}
"""


class Program:
    """A running `liucun` command. What a failed test leaves running is ended behind it (conftest)."""

    running: ClassVar[list["Program"]] = []

    def __init__(
        self,
        settings_file: Path,
        *arguments: str,
        kill_at: str = "",
        log: Path | None = None,
        command: tuple[str, ...] = (),
        **more: str,
    ) -> None:
        """`more`: environment; `command`: what is run instead of `liucun`."""
        environment = child_environment(settings_file.parent) | more
        if kill_at:
            environment["LIUCUN_KILL_AT"] = kill_at
        self.log_path = log or settings_file.with_suffix(f".{arguments[0]}.log")
        self._log = self.log_path.open("ab")
        command = (*(command or (LIUCUN,)), *arguments, "--settings", str(settings_file))
        self.process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)
        self.running.append(self)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its own end; the exit code (-9: killed at its step)."""
        code = self.process.wait(seconds)
        self._log.close()
        if self in self.running:
            self.running.remove(self)
        return code

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def said(self) -> str:
        """What it wrote so far."""
        return self.log_path.read_text()


def run(settings_file: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    return subprocess.run(
        [LIUCUN, *arguments, "--settings", str(settings_file)],
        env=child_environment(settings_file.parent) | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition; AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.1)


def rows(settings: Settings, query: str, **parameters: Any) -> list[Any]:
    """Rows of a query, asked by the one account that may: no account sees all tables."""
    table = re.search(r"\bFROM (envelope|coverage|batch|retention|migration|system\.\w+)\b", query)
    assert table is not None, query
    client = connect(settings.clickhouse, getattr(settings.clickhouse, _READERS.get(table[1], "migrator")))
    try:
        return list(client.query(query, parameters=parameters).result_rows)
    finally:
        client.close()


_READERS = {"envelope": "reader", "coverage": "loader", "batch": "loader", "retention": "ops"}


def count(settings: Settings, table: str = "envelope") -> int:
    """Rows of a table."""
    found: int = rows(settings, f"SELECT count() FROM {table}")[0][0]
    return found


def exactly_once(settings: Settings, expected: int) -> None:
    """Every record is in the store, and none twice."""
    found = rows(
        settings,
        "SELECT count(), uniqExact(record_id), uniqExact(topic_epoch, kafka_partition, kafka_offset), "
        "uniqExact(agent_id, agent_epoch, agent_sequence) FROM envelope",
    )[0]
    assert found == (expected, expected, expected, expected)


def publish(settings: Settings, values: list[bytes], key: str = "test", topic: str = topics.ENVELOPE.name) -> None:
    """Put messages into Kafka, outside any transaction."""
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 5, "partitioner": "murmur2"}
    )
    for value in values:
        producer.produce(topic, value, key=key)
    assert producer.flush(30) == 0


def envelope(sequence: int, event_time: int, **changes: Any) -> bytes:
    """A framed envelope with ids of its own."""
    record = {
        **_BASE,
        "record_id": record_id("mx1", "postfix", "DELIVERY", b"line %d" % sequence, None, 0),
        "event_time": event_time,
        "observed_time": event_time,
        "agent_sequence": sequence,
        **changes,
    }
    return avro.encode(avro.ENVELOPE_V1, record)


def envelope_values() -> dict[str, Any]:
    """The values of a record that is none in particular."""
    return dict(_BASE)


_BASE: dict[str, Any] = {
    "record_id": bytes(16), "event_time": 0, "accept_time": None, "observed_time": 0, "time_quality": "EXACT",
    "alternative_event_time": None, "mta": "POSTFIX", "host": "mx1", "instance": "postfix", "queue_id": "3F2A1C0D4E",
    "message_key": bytes(16), "parent_message_key": None, "parent_queue_id": None, "next_queue_id": None,
    "message_id": "<m@example.net>", "event": "DELIVERY", "kind": "MESSAGE", "direction": "INBOUND",
    "sender": "s@example.net", "recipient": "a@example.org", "original_recipient": None, "sender_logged": None,
    "recipient_logged": None, "authenticated_user": None, "local_uid": None,
    "sender_ip": bytes(10) + b"\xff\xff\xc0\x00\x02\x01", "sender_port": 40022, "sender_ip_origin": "CONNECTION",
    "sender_host": None, "helo": None, "recipient_ip": None, "recipient_port": None,
    "recipient_ip_origin": "LOCAL_DELIVERY", "recipient_host": None, "server_ip": None, "outcome": "DELIVERED",
    "is_final": True, "attempts": 1, "dsn": "2.0.0", "smtp_code": 250, "size_bytes": 370, "recipient_count": 1, "tls": None,
    "access_protocol": None, "session_id": None, "flags": ["EXPANDED", "PARTIAL_START"], "agent_id": "test",
    "agent_epoch": 1, "agent_sequence": 0, "source_name": "mail", "source_offset": 0,
}  # fmt: skip
