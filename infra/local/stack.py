"""The two engines together, one user at a time.

with LocalStack(home) as stack:
    stack.kafka.bootstrap_servers ... stack.store.http_port
"""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from infra.local.broker import LocalKafka
from infra.local.store import LocalClickHouse
from infra.platform.errors import SettingsError
from infra.platform.settings import ClickHouse, Kafka, Settings, StoreUser


class LocalStack:
    """Kafka and ClickHouse below one home, which is locked while they run."""

    def __init__(self, home: Path) -> None:
        """Take the home. SettingsError when another process uses it or it cannot be written."""
        self.home = home
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._lock = (home / "lock").open("w")
        except OSError as error:
            raise SettingsError(
                f"{home} cannot be written ({error.strerror}).", "Set LIUCUN_HOME to a folder of your own."
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise SettingsError(
                f"Another demo or test is using {home}.", "Wait for it to end, or set LIUCUN_HOME to another folder."
            ) from None
        self.kafka = LocalKafka(home)
        self.store = LocalClickHouse(home)

    def start(self) -> None:
        """Start both, at once; when one fails, none is left running."""
        try:
            with ThreadPoolExecutor(2) as both:
                for started in [both.submit(self.kafka.start), both.submit(self.store.start)]:
                    started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both gently and let go of the home."""
        with ThreadPoolExecutor(2) as both:
            for stopped in [both.submit(self.kafka.stop), both.submit(self.store.stop)]:
                stopped.result()
        self._lock.close()

    def settings(self, **sections: Any) -> Settings:
        """Settings that lead to these engines; other sections as given."""
        users = {
            role: StoreUser(user=f"liucun_{role}", password_file=self.store.password_file(f"liucun_{role}"))
            for role in ("migrator", "loader", "ops", "reader")
        }
        return Settings(
            kafka=Kafka(bootstrap_servers=self.kafka.bootstrap_servers, replication_factor=1),
            clickhouse=ClickHouse(host=self.store.host, port=self.store.http_port, **users),
            **sections,
        )

    def __enter__(self) -> "LocalStack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
