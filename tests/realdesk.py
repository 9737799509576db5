"""A desk of real parts: `liucun ledger run`, `liucun server run`, the stack's ClickHouse, TLS; and rows put into it."""

import itertools
import socket
import time
from pathlib import Path
from typing import Any

from consumers import insert
from consumers.batch import Message
from consumers.splice import column_names, file
from infra.platform.clickhouse import connect
from infra.platform.clock import SystemClock
from infra.platform.settings import Settings
from schemas import avro
from tests import desk as kit
from tests.desk import RunningDesk, World
from tests.ledgers import RunningLedger
from tests.pipeline import Program, envelope, write_settings

_offsets = itertools.count()


def put(settings: Settings, values: list[bytes]) -> None:
    """Framed envelopes into the table, as the loader's account does it."""
    client = connect(settings.clickhouse, settings.clickhouse.loader)
    messages = [Message(next(_offsets), value) for value in values]
    data = file(
        messages,
        topic_epoch=b"test-desk-epoch!",
        schema_id=avro.ENVELOPE_V1,
        partition=0,
        stored_time=SystemClock().now(),
    )
    client.raw_insert("liucun.envelope", column_names(avro.ENVELOPE_V1), data, settings=insert.SETTINGS, fmt="Avro")
    client.close()


def record(number: int, event_time: int, **changes: Any) -> bytes:
    """One envelope with a sequence of its own."""
    return envelope(number, event_time, **changes)


class RealDesk:
    """Ledger and service as processes, below one short folder."""

    def __init__(self, folder: Path, stack: Settings, world: World, ledger: RunningLedger, **server: Any) -> None:
        """Nothing is started."""
        self.folder = folder
        self.world = world
        self.ledger = ledger
        self.settings = Settings(
            clickhouse=stack.clickhouse,
            ledger=ledger.settings,
            server=kit.server_settings(folder, world, **server),
        )
        self.file = write_settings(folder / "desk.toml", self.settings.model_copy(update={"kafka": stack.kafka}))
        with self.file.open("a") as out:
            out.write(_server_section(self.settings))
        self.program: Program | None = None

    @property
    def desk(self) -> RunningDesk:
        """What clients speak to."""
        return RunningDesk(self.world, self.settings, SystemClock())

    def start(self, kill_at: str = "") -> Program:
        """Start the service; return when it listens, or has ended."""
        self.program = Program(self.file, "server", "run", kill_at=kill_at)
        deadline = time.monotonic() + 60
        while self.program.process.poll() is None:
            assert time.monotonic() < deadline, self.program.said()
            try:
                socket.create_connection(("127.0.0.1", self.settings.server.port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        return self.program

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.program is not None
        return self.program.stop()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.program is not None
        self.program.kill()


def _server_section(settings: Settings) -> str:
    """The section for a settings file."""
    lines = ["[server]"]
    for name, value in settings.server.model_dump(mode="json", exclude_defaults=True).items():
        lines.append(f"{name} = {value!r}".replace("'", '"'))
    return "\n".join(lines) + "\n"
