"""A real ClickHouse server on loopback, with the users and grants that production runs with."""

import hashlib
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from infra.local import chdb_server
from infra.local.process import EngineProcess, LocalEngineError, child_environment, free_port
from infra.local.runtime import REPOSITORY

_TRIES: Final = 3
_USERS_FILE: Final = REPOSITORY / "infra" / "deploy" / "clickhouse" / "users.d" / "liucun.xml"
USERS: Final = ("liucun_migrator", "liucun_loader", "liucun_ops", "liucun_reader")


class LocalClickHouse:
    """One server below `home`. Stopped and started again it keeps its data, its passwords and its ports."""

    host: Final = "127.0.0.1"

    def __init__(self, home: Path) -> None:
        """Nothing is started."""
        self.folder = home / "clickhouse"
        self._home = home
        self._process = EngineProcess("ClickHouse", self.folder, home / "log" / "clickhouse.log")
        self._ports: tuple[int, int] | None = None
        self._passwords: dict[str, str] = {}

    @property
    def http_port(self) -> int:
        """Port of the HTTP interface, once started."""
        assert self._ports is not None
        return self._ports[0]

    @property
    def tcp_port(self) -> int:
        """Port of the native protocol, once started."""
        assert self._ports is not None
        return self._ports[1]

    def password(self, user: str) -> str:
        """The password of one of USERS, once started."""
        return self._passwords[user]

    def password_file(self, user: str) -> Path:
        """A file, readable by its owner only, that holds that password."""
        return self.folder / "secrets" / user

    def start(self) -> None:
        """Start, and return when the server answers. LocalEngineError with its log's end when it does not."""
        self._passwords = {user: self._password(user) for user in USERS}
        if self._ports is not None:
            self._start_on(*self._ports)
            return
        for last in range(1 - _TRIES, 1):
            ports = free_port(), free_port()
            try:
                self._start_on(*ports)
            except LocalEngineError as error:
                if last == 0 or "Address already in use" not in error.advice:
                    raise
            else:
                self._ports = ports
                return

    def stop(self) -> None:
        """End it gently."""
        self._process.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid

    def _start_on(self, http_port: int, tcp_port: int) -> None:
        (self.folder / "config.xml").write_text(
            _CONFIG.format(
                http_port=http_port,
                tcp_port=tcp_port,
                folder=escape(str(self.folder)),
                log=escape(str(self._home / "log" / "clickhouse-server.log")),
            )
        )
        (self.folder / "backups").mkdir(exist_ok=True)
        (self.folder / "users.d").mkdir(exist_ok=True)
        (self.folder / "users.xml").write_text(_ENGINE_USER)
        (self.folder / "users.d" / "liucun.xml").write_text(_USERS_FILE.read_text(encoding="utf-8"), encoding="utf-8")
        environment = child_environment(self._home)
        for user, password in self._passwords.items():
            environment[f"{user.upper()}_PASSWORD_SHA256"] = hashlib.sha256(password.encode()).hexdigest()
        command = [sys.executable, str(chdb_server.__file__), str(self.folder / "data")]
        self._process.start(command, environment, lambda: _answers(http_port))

    def _password(self, user: str) -> str:
        """The user's password, made once."""
        file = self.password_file(user)
        if not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        return file.read_text()


def _answers(port: int) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/ping", timeout=2
        ) as reply:
            return bool(reply.read() == b"Ok.\n")
    except (urllib.error.URLError, OSError):
        return False


_CONFIG: Final = """\
<clickhouse>
    <logger><level>warning</level><log>{log}</log></logger>
    <log_level>warning</log_level>
    <listen_host>127.0.0.1</listen_host>
    <http_port>{http_port}</http_port>
    <tcp_port>{tcp_port}</tcp_port>
    <users_config>users.xml</users_config>
    <timezone>UTC</timezone>
    <mark_cache_size>268435456</mark_cache_size>
    <backups><allowed_path>{folder}/backups</allowed_path></backups>
    <query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>500</flush_interval_milliseconds></query_log>
    <part_log><database>system</database><table>part_log</table><flush_interval_milliseconds>500</flush_interval_milliseconds></part_log>
</clickhouse>
"""

# The statement that makes the engine listen runs as `default`. Nobody else can be it: the server listens on
# 127.0.0.1 only, and this account accepts ::1 only.
_ENGINE_USER: Final = """\
<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <no_password/>
            <networks><ip>::1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
        </default>
    </users>
</clickhouse>
"""
