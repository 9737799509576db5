"""The doctor says everything that is wrong, and is never silenced by the first of it."""

from pathlib import Path

import pytest

from infra.local.process import free_port
from infra.ops import doctor
from infra.platform.clock import SystemClock

EXPECTED = [
    "settings", "kafka", "topics", "topic-copies", "store-migrator", "store-loader", "store-ops", "store-reader",
    "store-version", "legal", "migrations", "tables", "deduplication", "clock", "ledger", "retention",
]  # fmt: skip


@pytest.fixture
def nothing_runs(tmp_path: Path) -> Path:
    """Settings that lead nowhere, for an agent whose log is not there."""
    file = tmp_path / "liucun.toml"
    file.write_text(f"""
[kafka]
bootstrap_servers = "127.0.0.1:{free_port()}"
request_timeout_seconds = 0.3
[clickhouse]
host = "127.0.0.1"
port = {free_port()}
connect_timeout_seconds = 1
[agent]
agent_id = "mx1"
outbox_dir = "{tmp_path}/outbox"
[[agent.sources]]
name = "mail"
path = "{tmp_path}/mail.log"
[ops]
state_dir = "{tmp_path}/ops"
[ledger]
append_socket = "{tmp_path}/a.sock"
""")
    return file


def test_every_check_is_made_and_explained(nothing_runs: Path) -> None:
    results = {result["name"]: result for result in doctor.examine(nothing_runs, SystemClock())}
    assert list(results) == [*EXPECTED, "outbox", "source-mail"]
    assert {name for name, result in results.items() if result["ok"]} == {"settings", "outbox"}
    for result in results.values():
        assert set(result) == {"name", "ok", "message", "advice"}
        assert result["message"].endswith(".")
        assert result["ok"] or result["advice"].endswith((".", "!")), result
        assert "Traceback" not in result["message"]
        assert "itself failed" not in result["message"]
    assert "No broker answers" in results["kafka"]["message"]
    assert "does not answer" in results["store-ops"]["message"]


def test_wrong_settings_are_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "liucun.toml"
    file.write_text("[legal]\nretention_days = 30\n")
    (result,) = doctor.examine(file, SystemClock())
    assert (result["name"], result["ok"]) == ("settings", False)
    assert "legal.retention_days" in result["message"]


def test_agent_checks(nothing_runs: Path, tmp_path: Path) -> None:
    def results() -> dict[str, dict[str, object]]:
        from infra.platform import settings

        loaded = settings.load(nothing_runs)
        checks = dict(doctor._checks(loaded, SystemClock()))
        return {name: doctor._result(name, checks[name]) for name in ("outbox", "source-mail")}

    assert not results()["source-mail"]["ok"]
    (tmp_path / "mail.log").write_text("")
    assert results()["source-mail"]["ok"]
    assert not (tmp_path / "outbox").exists(), "it only looks"
    (tmp_path / "outbox").write_text("a file")
    assert "cannot be written" in str(results()["outbox"]["message"])
    (tmp_path / "outbox").unlink()
    nothing_runs.write_text(nothing_runs.read_text().replace("[agent]", f"[agent]\ndisk_free_bytes_min = {10**18}"))
    assert "MiB free, less than" in str(results()["outbox"]["message"])


def test_broken_check_hides_no_other() -> None:
    def broken() -> str:
        raise KeyError("something")

    result = doctor._result("broken", broken)
    assert result == {
        "name": "broken",
        "ok": False,
        "message": "The check itself failed (KeyError).",
        "advice": "Please report this.",
    }
