"""A real Kafka broker: one KRaft node from Apache's own jars, on loopback."""

import base64
import subprocess
import uuid
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local.process import EngineProcess, LocalEngineError, child_environment, free_port
from infra.local.runtime import java, kafka_jars
from infra.platform.kafka import LIBRARY_LOG

_HEAP: Final = "512m"
_TRIES: Final = 3


class LocalKafka:
    """One broker below `home`. Stopped and started again it keeps its data and its port."""

    def __init__(self, home: Path) -> None:
        """Nothing is started."""
        self.folder = home / "kafka"
        self._home = home
        self._process = EngineProcess("Kafka", self.folder, home / "log" / "kafka.log")
        self._ports: tuple[int, int] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`127.0.0.1:<port>`, once started."""
        assert self._ports is not None
        return f"127.0.0.1:{self._ports[0]}"

    def start(self) -> None:
        """Start, and return when the broker answers. LocalEngineError with its log's end when it does not."""
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

    def _start_on(self, port: int, controller_port: int) -> None:
        properties = self.folder / "server.properties"
        properties.write_text(_PROPERTIES.format(port=port, controller_port=controller_port, data=self.folder / "data"))
        (self.folder / "log4j2.properties").write_text(_LOG4J)
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(properties)
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "socket.timeout.ms": 2000}, logger=LIBRARY_LOG)
        command = [*self._java(), "kafka.Kafka", str(properties)]
        self._process.start(command, child_environment(self._home), lambda: _answers(admin))

    def _format(self, properties: Path) -> None:
        """Make the data directory, once."""
        # One id in 64 begins with a dash, which the tool takes for an option; Kafka itself never makes such a one.
        cluster_id = "-"
        while cluster_id.startswith("-"):
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
        done = subprocess.run(
            command,
            env=child_environment(self._home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalEngineError(
                "Kafka's data directory could not be made.", done.stderr.strip() or done.stdout.strip()
            )

    def _java(self) -> list[str]:
        """The Java command line up to the class name; temporary and native files stay below the home."""
        temporary = self._home / "tmp"
        return [
            str(java()),
            f"-Xms{_HEAP}",
            f"-Xmx{_HEAP}",
            f"-Djava.io.tmpdir={temporary}",
            f"-Dorg.xerial.snappy.tempdir={temporary}",
            f"-DZstdTempFolder={temporary}",
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
            "-cp",
            f"{kafka_jars(self._home)}/*",
        ]


def _answers(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""

_LOG4J: Final = """\
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=OUT
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
"""
