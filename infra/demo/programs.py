"""`liucun` as its users run it: processes of their own, with a settings file."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from infra.local.process import EngineProcess, LocalEngineError, child_environment, free_port
from infra.local.stack import LocalStack

COMMAND_SECONDS_MAX: Final = 120
SOCKET_FOLDER_BYTES_MAX: Final = 85


class Programs:
    """The pipeline's programs below one home."""

    def __init__(self, home: Path, stack: LocalStack, log_path: Path) -> None:
        """Write the settings file; `log_path` is the mail log that the agent follows."""
        self._home = home
        self._server_port = free_port()
        self.settings_file = home / "demo" / "liucun.toml"
        self.certs = home / "demo" / "certs"
        self.settings_file.parent.mkdir(parents=True, exist_ok=True)
        self.settings_file.write_text(_settings(home, stack, log_path, self._server_port), encoding="utf-8")
        self._running: dict[str, EngineProcess] = {}

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """One command to its end; what it printed. LocalEngineError with its own words for another exit code."""
        return self.run_bare(*arguments, "--settings", str(self.settings_file), codes=codes)

    def run_bare(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """One command that takes no settings."""
        return self._done(arguments, codes).stdout

    def run_as(self, person: str, *arguments: str) -> str:
        """One command of a person, with the certificate and key that `certs init` made for them."""
        return self._done(self._as(person, arguments), (0,)).stdout

    def refused_as(self, person: str, *arguments: str) -> str:
        """The reason, a word of docs/reference/errors.md, for which the service refuses a person's command."""
        return self._done(self._as(person, arguments), (1,)).stderr.removeprefix("error: ").partition(":")[0]

    def run_json(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Any:
        """One command with --json."""
        return json.loads(self.run(*arguments, "--json", codes=codes))

    def start(
        self,
        name: str,
        *arguments: str,
        clock_offset_seconds: int = 0,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """A command that goes on until `stop`, once it is `ready`; its log is in <home>/log/<name>.log."""
        process = EngineProcess(name, self._home / "demo" / "run" / name, self._home / "log" / f"{name}.log")
        command = [*_LIUCUN, *arguments, "--settings", str(self.settings_file)]
        process.start(command, self._environment(clock_offset_seconds), ready)
        self._running[name] = process

    def start_server(self) -> None:
        """The query service; it listens when this returns."""
        self.start("server", "server", "run", ready=lambda: _listens(self._server_port))

    def stop(self, name: str) -> None:
        """End one gently."""
        self._running.pop(name).stop()

    def stop_all(self) -> None:
        """End all that still run."""
        for name in list(self._running):
            self.stop(name)

    def _as(self, person: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
        return (*arguments, "--settings", str(self.certs / f"{person}.toml"))

    def _done(self, arguments: tuple[str, ...], codes: tuple[int, ...]) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*_LIUCUN, *arguments],
            env=self._environment(0),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
        )
        if done.returncode not in codes:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise LocalEngineError(
                f"`liucun {' '.join(arguments[:2])}` ended with {done.returncode}.", said[-1] if said else ""
            )
        return done

    def _environment(self, clock_offset_seconds: int) -> dict[str, str]:
        environment = child_environment(self._home)
        for name in [name for name in environment if name.startswith("LIUCUN_") and "__" in name]:
            del environment[name]
        if clock_offset_seconds:
            environment["LIUCUN_CLOCK_OFFSET_SECONDS"] = str(clock_offset_seconds)
        return environment


_LIUCUN: Final = (str(Path(sys.executable).with_name("liucun")),)


def _sockets(home: Path) -> Path:
    """A folder for sockets, whose paths have at most 107 bytes: below the home if that is not too deep."""
    below = home / "demo"
    return below if len(os.fsencode(below)) <= SOCKET_FOLDER_BYTES_MAX else Path(tempfile.mkdtemp(prefix="liucun-"))


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _settings(home: Path, stack: LocalStack, log_path: Path, server_port: int) -> str:
    sockets = _sockets(home)
    users = "".join(
        f'[clickhouse.{role}]\nuser = "liucun_{role}"\n'
        f'password_file = "{stack.store.password_file(f"liucun_{role}")}"\n\n'
        for role in ("migrator", "loader", "ops", "reader")
    )
    return f"""\
# Written by `liucun demo up`. A commented example for production: infra/deploy/liucun.toml.
[kafka]
bootstrap_servers = "{stack.kafka.bootstrap_servers}"
replication_factor = 1

[clickhouse]
host = "{stack.store.host}"
port = {stack.store.http_port}

{users}[agent]
agent_id = "mx1"
outbox_dir = "{home}/demo/outbox"

[agent.site]
own_domains = ["example.org", "mx1.example.org"]
own_networks = ["192.0.2.0/24"]

[[agent.sources]]
name = "mail"
path = "{log_path}"

[ops]
state_dir = "{home}/demo/ops"

[ledger]
folder = "{home}/demo/ledger"
keys_dir = "{home}/demo/ledger-keys"
append_socket = "{sockets}/ledger-append.sock"
read_socket = "{sockets}/ledger-read.sock"

[server]
port = {server_port}
certificate_file = "{home}/demo/certs/server.pem"
key_file = "{home}/demo/certs/server.key"
client_ca_file = "{home}/demo/certs/ca.pem"
state_dir = "{home}/demo/query"
"""
