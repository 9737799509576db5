"""Kafka client configuration, spelled out in full: no client here relies on a library default that matters."""

import logging
from typing import Any, Final

from infra.platform.errors import SettingsError
from infra.platform.settings import Kafka, why

# librdkafka writes its own lines to standard error unless it is given a logger. What matters of them comes back as
# error codes, which our own logs name; the rest stays silent.
LIBRARY_LOG: Final = logging.getLogger("liucun.librdkafka")
LIBRARY_LOG.addHandler(logging.NullHandler())
LIBRARY_LOG.propagate = False


def client_config(kafka: Kafka, client_id: str) -> dict[str, Any]:
    """What every client of ours shares: brokers, security, time-outs."""
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": client_id,
        "security.protocol": kafka.security_protocol,
        "socket.timeout.ms": round(kafka.request_timeout_seconds * 1000),
        "socket.keepalive.enable": True,
        "broker.address.family": "any",
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 5000,
        "allow.auto.create.topics": False,
        "log.connection.close": False,
    }
    if kafka.ca_file:
        config["ssl.ca.location"] = str(kafka.ca_file)
    if kafka.certificate_file and kafka.key_file:
        config["ssl.certificate.location"] = str(kafka.certificate_file)
        config["ssl.key.location"] = str(kafka.key_file)
    if kafka.security_protocol == "SASL_SSL":
        config |= {"sasl.mechanism": kafka.sasl_mechanism, "sasl.username": kafka.sasl_username or ""}
        config["sasl.password"] = _password(kafka)
    return config


def producer_config(kafka: Kafka, client_id: str) -> dict[str, Any]:
    """An idempotent producer with all acknowledgements; the caller adds its transactional id."""
    return client_config(kafka, client_id) | {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "zstd",
        "linger.ms": 20,
        "batch.num.messages": 10_000,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 64 * 1024,
        "message.max.bytes": 1_048_576,
        "partitioner": "murmur2",
        "delivery.timeout.ms": 60_000,
    }


def consumer_config(kafka: Kafka, client_id: str, group_id: str) -> dict[str, Any]:
    """A consumer that reads committed records only, commits by hand and never guesses an offset."""
    return client_config(kafka, client_id) | {
        "group.id": group_id,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": False,
        "check.crcs": True,
        "fetch.wait.max.ms": 100,
        "fetch.min.bytes": 1,
        "queued.max.messages.kbytes": 64 * 1024,
    }


def _password(kafka: Kafka) -> str:
    if kafka.sasl_password_file is None:
        raise SettingsError("kafka.security_protocol is SASL_SSL without a password.", "Set kafka.sasl_password_file.")
    try:
        return kafka.sasl_password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"kafka.sasl_password_file cannot be read ({why(error)}).", "Check the path and its permissions."
        ) from None
