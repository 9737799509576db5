"""Arguments, exit codes and JSON of `schema`, `retention`, `ops` and `doctor`, as far as they need no engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.process import free_port
from infra.ops import clock_guard
from infra.platform.clock import DAY, SystemClock

LIUCUN = str(Path(sys.executable).with_name("liucun"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Settings that lead nowhere."""
    path = tmp_path / "liucun.toml"
    path.write_text(f"""
[kafka]
bootstrap_servers = "127.0.0.1:{free_port()}"
request_timeout_seconds = 0.3
[clickhouse]
port = {free_port()}
[ops]
state_dir = "{tmp_path}/ops"
""")
    return path


def run(file: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command."""
    return subprocess.run(
        [LIUCUN, *arguments, "--settings", str(file)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_schema_check_and_show(file: Path) -> None:
    done = run(file, "schema", "check", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"ok": True, "problems": []})
    shown = json.loads(run(file, "schema", "show", "--json").stdout)
    assert shown["schemas"]["1"] == "liucun.envelope-value version 1"
    assert next(iter(shown["migrations"])) == "0001_envelope.sql"
    assert shown["topics"]["liucun.envelope"] == "12 partitions"


@pytest.mark.parametrize(
    "command",
    [("schema", "migrate"), ("retention", "status"), ("retention", "enforce", "--execute")],
    ids=" ".join,
)
def test_store_that_is_not_there_is_one_sentence(file: Path, command: tuple[str, ...]) -> None:
    done = run(file, *command)
    assert done.returncode == 1
    assert done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: The store at 127.0.0.1:")
    assert line.endswith(".")
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_exit_2(file: Path) -> None:
    file.write_text("[legal]\nzone = 'Mars/Olympus'\n")
    done = run(file, "retention", "enforce", "--json")
    assert done.returncode == 2
    assert "legal.zone" in done.stderr


def test_moved_clock_must_be_a_number(file: Path) -> None:
    done = run(file, "retention", "confirm-clock", LIUCUN_CLOCK_OFFSET_SECONDS="tomorrow")
    assert done.returncode == 2
    assert "LIUCUN_CLOCK_OFFSET_SECONDS is not a number" in done.stderr


def test_doctor_says_3(file: Path) -> None:
    done = run(file, "doctor", "--json")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert {check["name"] for check in report["checks"]} >= {"settings", "kafka", "store-ops", "clock"}
    assert "BAD kafka: " in run(file, "doctor").stdout


def test_clock_guard_and_confirmation(file: Path, tmp_path: Path) -> None:
    """Far from the agreed time it refuses, until a person has looked; a dry run says nothing to it."""
    now = SystemClock().now()
    clock_guard.write_agreed_time(tmp_path / "ops", now - 3 * DAY)
    refused = run(file, "ops", "clock-guard", "--json")
    assert refused.returncode == 1
    assert "confirm-clock --execute" in refused.stderr
    looked = run(file, "retention", "confirm-clock", "--json")
    assert (looked.returncode, json.loads(looked.stdout)["executed"]) == (0, False)
    assert clock_guard.agreed_time(tmp_path / "ops") == now - 3 * DAY
    assert run(file, "ops", "clock-guard").returncode == 1
    assert json.loads(run(file, "retention", "confirm-clock", "--json", "--execute").stdout)["executed"] is True
    done = run(file, "ops", "clock-guard", "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)
