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
OFFSETS_GONE = _counter(
    "liucun_consumer_offsets_gone",
    "Offsets that Kafka deleted unloaded; markers are among them.",
    ["topic"],
)
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

# The ledger.
LEDGER_ENTRIES = _counter("liucun_ledger_entries", "Entries committed, by the leaf's coarse type.", ["type"])
LEDGER_GROUP_ENTRIES = _histogram(
    "liucun_ledger_group_entries", "Entries made durable by one group commit.", (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
LEDGER_COMMIT_SECONDS = _histogram(
    "liucun_ledger_commit_seconds",
    "Time of one group commit; worry when most are above 0.1.",
    (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
)
LEDGER_FAILURES = _counter(
    "liucun_ledger_failures", "Groups that were not committed, so nothing was answered; page when it grows.", ["reason"]
)
LEDGER_REFUSED = _counter("liucun_ledger_refused_requests", "Connections and requests that were refused.", ["reason"])
LEDGER_UNPUBLISHED = _gauge(
    "liucun_ledger_unpublished_entries", "Entries committed and not yet in tiles; worry above some thousands."
)
LEDGER_PUBLISHED = _gauge("liucun_ledger_published_timestamp_seconds", "When the checkpoint was last published.")
LEDGER_DISCARDED = _counter(
    "liucun_ledger_discarded_payloads", "Payloads without a leaf that a start has discarded: never committed."
)
BUILD_INFO = _gauge("liucun_build_info", "1; the version is the label.", ["version"])


# The query service.
DESK_CALL_SECONDS = _histogram(
    "liucun_query_call_seconds", "Time of one call, streams included.", (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30), ["method"]
)
DESK_REFUSALS = _counter(
    "liucun_query_refusals", "Calls that were not answered; reasons are those of errors.md.", ["method", "reason"]
)
DESK_AUDIT_FAILURES = _counter(
    "liucun_query_audit_failures", "Entries that the ledger did not commit: nothing is answered; always look."
)
DESK_ENTRIES_IGNORED = _counter(
    "liucun_query_ignored_entries",
    "Entries that have not the shape of their kind, and change nothing; look who may append, when it grows.",
)
DESK_LEDGER_CHANGED = _counter(
    "liucun_query_ledger_changes",
    "Times that the ledger was not the one read before (a backup?); nothing is answered until it is read anew; page.",
)
DESK_STREAMS = _gauge("liucun_query_open_streams", "Streams of records that are open.")


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
