"""The local engines: refused, crashed, killed, and with their ports taken."""

import os
import signal
import socket
from pathlib import Path

import pytest

from infra.local import broker
from infra.local.broker import LocalKafka
from infra.local.process import EngineProcess, LocalEngineError, child_environment
from infra.local.runtime import home_from_environment, kafka_jars
from infra.local.stack import LocalStack
from infra.platform.errors import SettingsError
from tests.pipeline import until
from tests.processes import below

SLEEPER = ["/bin/sh", "-c", "echo up; exec sleep 300"]


def test_a_home_has_one_user(stack: LocalStack) -> None:
    with pytest.raises(SettingsError, match="Another demo or test"):
        LocalStack(stack.home)


def test_an_engine_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    engine = EngineProcess("Engine", tmp_path / "engine", tmp_path / "engine.log")
    with pytest.raises(LocalEngineError, match="ended by itself") as caught:
        engine.start(["/bin/sh", "-c", "echo no such luck; exit 3"], child_environment(tmp_path), lambda: False)
    assert "no such luck" in str(caught.value)


def test_what_a_crashed_run_left_is_ended_before_a_new_start(tmp_path: Path) -> None:
    """Only the process whose id and start time were written down."""
    first = EngineProcess("Engine", tmp_path / "engine", tmp_path / "engine.log")
    first.start(SLEEPER, child_environment(tmp_path), lambda: first.pid is not None)
    left = first.pid
    second = EngineProcess("Engine", tmp_path / "engine", tmp_path / "engine.log")
    second.start(SLEEPER, child_environment(tmp_path), lambda: second.pid is not None)
    assert second.pid != left
    until(lambda: not Path(f"/proc/{left}").exists() or second.pid != left, 10)
    second.stop()
    first.stop()
    assert second.pid is None


def test_an_engine_whose_tether_is_killed_ends_too(tmp_path: Path) -> None:
    engine = EngineProcess("Engine", tmp_path / "engine", tmp_path / "engine.log")
    engine.start(SLEEPER, child_environment(tmp_path), lambda: engine.pid is not None)
    pid = engine.pid
    (tether,) = [found for found, command in below(tmp_path).items() if "tether.py" in command]
    os.kill(tether, signal.SIGKILL)
    until(lambda: engine.pid is None, 10)
    assert pid is not None
    engine.stop()


def test_a_port_that_is_taken_is_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may take a free port between the look and the start: the broker tries others."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1]]
        free = broker.free_port
        monkeypatch.setattr(broker, "free_port", lambda: ports.pop() if ports else free())
        (tmp_path / "kafka").mkdir()
        (tmp_path / "kafka" / "libs").symlink_to(kafka_jars(home_from_environment()))
        kafka = LocalKafka(tmp_path)
        kafka.start()
        assert not kafka.bootstrap_servers.endswith(f":{taken.getsockname()[1]}")
        kafka.stop()
    assert below(tmp_path) == {}
