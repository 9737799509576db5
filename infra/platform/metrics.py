"""The metric catalogue: every series that Liucun exposes, typed, with unit, labels and when to worry.

Labels are closed sets (source and job names, partitions, reasons); never an address, an id, an agency or a case.
docs/reference/metrics.md is made from this file and a test compares them.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server

from infra.platform.errors import SettingsError
from infra.platform.settings import Metrics

CATALOGUE: Final[list[Counter | Gauge | Histogram]] = []
_Buckets = Sequence[float]


def _counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    metric = Counter(name, text, labels)
    CATALOGUE.append(metric)
    return metric


def _gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    metric = Gauge(name, text, labels)
    CATALOGUE.append(metric)
    return metric


def _histogram(name: str, text: str, buckets: _Buckets, labels: Sequence[str] = ()) -> Histogram:
    metric = Histogram(name, text, labels, buckets=buckets)
    CATALOGUE.append(metric)
    return metric


# The agent.
LINES_READ = _counter("liucun_producer_lines_read", "Log lines read.", ["source"])
LINES_NOT_UNDERSTOOD = _counter(
    "liucun_producer_lines_not_understood",
    "Lines that no rule knows; look when it grows after an upgrade of the MTA.",
    ["source", "reason"],
)
RECORDS = _counter("liucun_producer_records", "Envelope records written to the outbox.", ["source"])
OPEN_TRANSACTIONS = _gauge("liucun_producer_open_transactions", "Messages seen and not yet ended.")
OUTBOX_BYTES = _gauge("liucun_producer_outbox_bytes", "Bytes in the outbox; grows while Kafka is away.")
OUTBOX_UNPUBLISHED_BYTES = _gauge(
    "liucun_producer_outbox_unpublished_bytes", "Bytes not yet in Kafka; worry when it does not fall."
)
BEHIND_BYTES = _gauge("liucun_producer_behind_bytes", "Bytes of log not yet read.", ["source"])
NEWEST_EVENT = _gauge("liucun_producer_newest_event_timestamp_seconds", "Time of the newest log line read.", ["source"])
PUBLISHED = _counter("liucun_producer_published_records", "Envelope records committed to Kafka.")
PUBLISH_FAILURES = _counter("liucun_producer_publish_failures", "Transactions that did not commit.", ["reason"])

# The loader.
INSERTED = _counter("liucun_consumer_records_inserted", "Rows inserted.", ["topic"])
BATCH_RECORDS = _histogram(
    "liucun_consumer_batch_records", "Messages in a batch.", (1, 10, 100, 1e3, 1e4, 1e5, 1e6), ["topic"]
)
INSERT_SECONDS = _histogram(
    "liucun_consumer_insert_seconds",
    "Time of one insert, retries included.",
    (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    ["topic"],
)
END_TO_END_SECONDS = _histogram(
    "liucun_consumer_end_to_end_delay_seconds",
    "From event_time to the inserted row, of the batch's last record.",
    (0.5, 1, 2, 5, 10, 60, 600, 3600),
)
LAG_RECORDS = _gauge(
    "liucun_consumer_lag_records", "Offsets between the committed one and the end.", ["topic", "partition"]
)
LAG_SECONDS = _gauge(
    "liucun_consumer_lag_seconds", "Age of the oldest message not yet loaded; worry above 300.", ["topic", "partition"]
)
DEAD_LETTERS = _counter("liucun_consumer_dead_letters", "Messages that could not be loaded.", ["reason"])
PAST_RETENTION = _counter(
    "liucun_consumer_past_retention", "Messages older than the law lets us keep; counted, kept nowhere."
)

# The store and its jobs.
DAYS_OVERDUE = _gauge(
    "liucun_retention_days_overdue", "Days that should have been dropped and are still there; page when above 0."
)
RETENTION_VERIFIED = _gauge("liucun_retention_last_verified_timestamp_seconds", "When the days were last checked.")
JOB_LAST_SUCCESS = _gauge("liucun_job_last_success_timestamp_seconds", "When a job last ended well.", ["job"])
JOB_FAILURES = _counter("liucun_job_failures", "Runs of a job that failed.", ["job"])
CLOCK_DIFFERENCE = _gauge("liucun_store_clock_difference_seconds", "Store's clock less ours; worry above 1.")
BUILD_INFO = _gauge("liucun_build_info", "1; the version is the label.", ["version"])


def serve(metrics: Metrics) -> None:
    """Open /metrics in a background thread, if a port is set. SettingsError when the port cannot be had."""
    BUILD_INFO.labels(version("liucun")).set(1)
    if metrics.port == 0:
        return
    try:
        start_http_server(metrics.port, metrics.host, REGISTRY)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no host name"
        raise SettingsError(
            f"/metrics cannot listen on {metrics.host}:{metrics.port} ({reason}).",
            "Set metrics.port to a free port, or to 0 for no page.",
        ) from None
