"""What an operator installs: the example settings load, the units start commands that exist and may do little else."""

import configparser
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from infra.cli import liucun
from infra.platform import settings
from tests.contract.test_size import REPOSITORY

DEPLOY = REPOSITORY / "infra" / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
GUARD = DEPLOY / "systemd" / "clickhouse-server.service.d" / "liucun-clock-guard.conf"
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "LockPersonality": "yes",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
}


def unit(path: Path) -> configparser.ConfigParser:
    """A unit file; a key given twice would be an error here."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, encoding="utf-8")
    return parser


def command(line: str) -> click.Command:
    """The command that an ExecStart line runs, with its options parsed."""
    program, *words = line.lstrip("+").split()
    assert program == "/opt/liucun/bin/liucun"
    context = click.Context(liucun)
    found: click.Command = liucun
    while isinstance(found, click.Group):
        inner = found.get_command(context, words.pop(0))
        assert inner is not None
        found = inner
    assert Path("/etc/liucun/liucun.toml") in found.make_context(line, list(words)).params.values()
    return found


def test_example_settings_load() -> None:
    loaded = settings.load(DEPLOY / "liucun.toml")
    assert loaded.agent.agent_id == "mx1"
    assert loaded.clickhouse.loader.user == "liucun_loader"
    assert loaded.legal == settings.Legal()


def test_example_has_every_section_and_only_defaults_where_it_matters() -> None:
    """What nobody should change stands there as it is by default."""
    document = tomllib.loads((DEPLOY / "liucun.toml").read_text(encoding="utf-8"))
    assert set(document) == set(settings.Settings.model_fields)
    for section in ("legal", "loader", "ops", "metrics", "log"):
        standard: BaseModel = settings.Settings.model_fields[section].default
        known: dict[str, Any] = standard.model_dump(mode="json")
        assert document[section].items() <= known.items()
    assert sum(len(line) > 120 for line in (DEPLOY / "liucun.toml").read_text().splitlines()) == 0


def test_there_is_a_unit_for_each_part() -> None:
    assert [path.name for path in UNITS] == [
        "liucun-agent.service", "liucun-ledger.service", "liucun-loader.service", "liucun-ops.service",
    ]  # fmt: skip


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_runs_a_command_and_may_do_little_else(path: Path) -> None:
    service = unit(path)["Service"]
    assert command(service["ExecStart"]).name == "run"
    assert {key: service.get(key) for key in HARDENING} == HARDENING
    assert service["User"] == path.stem
    assert service["RestartPreventExitStatus"] == "2"
    assert service["KillSignal"] == "SIGTERM"
    assert "ReadWritePaths" not in service


def test_only_one_user_owns_a_state_folder() -> None:
    folders = [unit(path)["Service"].get("StateDirectory") for path in UNITS]
    assert folders == ["liucun/outbox", "liucun/ledger", None, "liucun/ops"]
    assert str(settings.Agent().outbox_dir) == "/var/lib/liucun/outbox"
    assert str(settings.Ledger().folder) == "/var/lib/liucun/ledger"
    assert settings.Ledger().append_socket.parent == Path("/run") / unit(UNITS[1])["Service"]["RuntimeDirectory"]
    assert str(settings.Ops().state_dir) == "/var/lib/liucun/ops"


def test_guard_stands_before_the_store() -> None:
    line = unit(GUARD)["Service"]["ExecStartPre"]
    assert line.startswith("+")
    assert command(line).name == "clock-guard"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_it(path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not here; it is only a second opinion")
    told = subprocess.run([tool, "verify", str(path)], capture_output=True, text=True, check=False).stderr
    ours = [line for line in told.splitlines() if path.name in line and "is not executable" not in line]
    assert ours == []
