"""Reads of records: the only SQL of this service, by the only account that may see contents.

Every value travels as a parameter of the server ({name:Type}); the texts below are a closed list. A query's id comes
from its intent, so that the store's own log can be matched with the ledger, and so that a cancelled call kills it.
"""

import ipaddress
import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from infra.platform.clickhouse import ClickHouseError, Client, code_of, connect
from infra.platform.clock import DAY, Clock
from infra.platform.errors import LiucunError, SettingsError
from infra.platform.retention import readable_since
from infra.platform.settings import Settings
from query_service.errors import DeskError
from query_service.selectors import Selector, lower
from schemas.envelope import TIME_FIELDS

ROWS_A_BLOCK: Final = 8192
THREADS_MAX: Final = 2  # of one query; many agencies share the store
KILL_SECONDS_MAX: Final = 5
PROBE_SECONDS_MAX: Final = 3.0
_TOO_LARGE: Final = frozenset({158, 241, 307, 396})  # too many rows, memory, too many bytes, result too large
_TOO_SLOW: Final = frozenset({159, 160})
_KILLED: Final = frozenset({394, 734})

_SENDER: Final = "lower(ifNull(sender, '')) = {value:String}"
_RECIPIENT: Final = "(lower(ifNull(recipient, '')) = {value:String} OR lower(original_recipient) = {value:String})"
_SENDER_IP: Final = "(sender_ip BETWEEN {low:IPv6} AND {high:IPv6})"
_RECIPIENT_IP: Final = "(recipient_ip BETWEEN {low:IPv6} AND {high:IPv6})"
_MATCH: Final[dict[str, str]] = {
    "SENDER": _SENDER,
    "RECIPIENT": _RECIPIENT,
    "ADDRESS": f"({_SENDER} OR {_RECIPIENT})",
    "DOMAIN": "(endsWith(lower(ifNull(sender, '')), {at_domain:String}) "
    "OR endsWith(lower(ifNull(recipient, '')), {at_domain:String}) "
    "OR endsWith(lower(ifNull(original_recipient, '')), {at_domain:String}))",
    "IP": f"({_SENDER_IP} OR {_RECIPIENT_IP})",
    "SENDER_IP": _SENDER_IP,
    "RECIPIENT_IP": _RECIPIENT_IP,
    "MESSAGE_ID": "message_id IN ({value:String}, {bare:String})",
    "QUEUE_ID": "queue_id = {value:String} AND ({host:String} = '' OR lower(host) = {host:String})",
    "USER": "lower(ifNull(authenticated_user, '')) = {value:String}",
}
# Partitions are read to the window's end and the longest queue life: mail that was taken in within the window may have
# been decided so much later. The cut-off is asked of the application's clock at every read.
_RANGE: Final = (
    "event_time >= {begin:DateTime64(6, 'UTC')} AND event_time < {end_of_queue:DateTime64(6, 'UTC')} "
    "AND event_time > {cut_off:DateTime64(6, 'UTC')}"
)
_WINDOW: Final = (
    "(event_time < {end:DateTime64(6, 'UTC')} "
    "OR (accept_time >= {begin:DateTime64(6, 'UTC')} AND accept_time < {end:DateTime64(6, 'UTC')}))"
)
_UNDECIDED_HIDDEN: Final = (
    "(is_final OR (message_key, ifNull(recipient, '')) NOT IN "
    "(SELECT message_key, ifNull(recipient, '') FROM envelope WHERE is_final AND $RANGE AND message_key IN "
    "(SELECT message_key FROM envelope WHERE NOT is_final AND $RANGE AND $MATCH)))"
)
_QUERY: Final = (
    "SELECT $COLUMNS FROM envelope WHERE $RANGE AND $WINDOW AND $MATCH AND $UNDECIDED "
    "ORDER BY event_time, record_id LIMIT 1 BY record_id LIMIT {limit:UInt64}"
)
# A message that another server of ours handed over, or took over, around the window.
_HOPS: Final = (
    "SELECT $COLUMNS FROM envelope WHERE event_time >= {queue_before:DateTime64(6, 'UTC')} "
    "AND event_time < {end_of_queue:DateTime64(6, 'UTC')} AND event_time > {cut_off:DateTime64(6, 'UTC')} "
    "AND (lower(recipient) IN {recipients:Array(String)} OR lower(original_recipient) IN {recipients:Array(String)}) "
    "AND (queue_id IN {on:Array(String)} OR (next_queue_id IN {back:Array(String)} AND (recipient_ip IN "
    "{servers:Array(IPv6)} OR arrayExists((low, high) -> assumeNotNull(recipient_ip) BETWEEN low AND high, "
    "{own_low:Array(IPv6)}, {own_high:Array(IPv6)})))) "
    "ORDER BY event_time, record_id LIMIT 1 BY record_id LIMIT {limit:UInt64}"
)
Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
HOP_ROWS_MAX: Final = 100_000  # that share a queue id with those in hand; beyond it the answer is too large
_KILL: Final = "KILL QUERY WHERE query_id = {id:String} OR startsWith(query_id, {hops:String}) ASYNC"


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where hops of some records may be: queue ids on and back, their recipients, their servers' own addresses."""

    on: Sequence[str]
    back: Sequence[str]
    recipients: Sequence[str]
    servers: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]


@dataclass(frozen=True, slots=True)
class Question:
    """What is read. Times in microseconds; `limit` rows at most; `fields` in the record's order."""

    selector: Selector
    begin: int
    end: int
    fields: tuple[str, ...]
    limit: int
    include_non_final: bool


class Store:
    """Thread-safe: a connection for each running query. STORE_UNAVAILABLE, RESULT_TOO_LARGE, DEADLINE_EXCEEDED."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Connects at each query."""
        self._settings = settings
        self._clock = clock
        self.own_servers = _networks(settings.server.own_servers)
        self._idle: list[Client] = []
        self._probing: Client | None = None
        self._lock = threading.Lock()

    def cut_off(self) -> int:
        """Records up to and including this moment must not be read any more (microseconds)."""
        return readable_since(self._clock.now(), self._settings.legal)

    def rows(self, question: Question, query_id: str, seconds: float) -> Generator[Sequence[Any]]:
        """Rows in order; times as microseconds. To be closed (contextlib.closing) if it is not read to its end."""
        yield from self._stream(
            statement(_columns(question), question), self._parameters(question), self._limits(query_id, seconds)
        )

    def hop_rows(self, question: Question, near: Neighbours, query_id: str, seconds: float) -> Generator[Sequence[Any]]:
        """Rows, with the question's fields, that may be next to others: rules 1, 2 and, back, 4 of hops."""
        networks = [*LOOPBACK, *self.own_servers]
        parameters = self._parameters(question) | {
            "queue_before": _time(question.begin - self._settings.server.queue_life_days * DAY),
            "on": list(near.on),
            "back": list(near.back),
            "recipients": list(near.recipients),
            "servers": [_ipv6(address) for address in near.servers],
            "own_low": [_ipv6(network.network_address) for network in networks],
            "own_high": [_ipv6(network.broadcast_address) for network in networks],
            "limit": HOP_ROWS_MAX + 1,
        }
        text = _HOPS.replace("$COLUMNS", _columns(question))
        with closing(self._stream(text, parameters, self._limits(query_id, seconds))) as rows:
            for number, row in enumerate(rows):
                if number == HOP_ROWS_MAX:
                    raise DeskError("RESULT_TOO_LARGE")
                yield row

    def answers(self) -> bool:
        """Whether the store lets this account in, and has its table. Asked by one thread, over its own connection."""
        store = self._settings.clickhouse
        try:
            if self._probing is None:
                seconds = min(PROBE_SECONDS_MAX, store.request_timeout_seconds)
                self._probing = connect(
                    store.model_copy(update={"request_timeout_seconds": seconds, "connect_timeout_seconds": seconds}),
                    store.reader,
                )
            self._probing.query("SELECT 1 FROM envelope LIMIT 0")
        except (ClickHouseError, LiucunError, OSError):
            if self._probing is not None:
                self._probing.close()
                self._probing = None
            return False
        return True

    def kill(self, query_id: str) -> None:
        """End a running query by its id; silent when there is none, or the store is away and it ends by its time."""
        try:
            client = connect(self._settings.clickhouse, self._settings.clickhouse.reader)
            client.command(
                _KILL,
                parameters={"id": query_id, "hops": f"{query_id}-hop"},
                settings={"max_execution_time": KILL_SECONDS_MAX},
            )
            client.close()
        except (ClickHouseError, LiucunError, OSError):
            return

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            for client in self._idle:
                client.close()
            self._idle.clear()

    def _stream(self, text: str, parameters: dict[str, Any], settings: dict[str, Any]) -> Generator[Sequence[Any]]:
        """Rows of one query, over a connection of its own."""
        client: Client | None = None
        good = False
        try:
            client = self._take()
            with client.query_row_block_stream(text, parameters=parameters, settings=settings) as blocks:
                for block in blocks:
                    yield from block
            good = True
        except (ClickHouseError, LiucunError, OSError) as error:
            raise refusal(error) from None
        finally:
            if client is not None:
                self._give_back(client) if good else client.close()

    def _take(self) -> Client:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return connect(self._settings.clickhouse, self._settings.clickhouse.reader)

    def _give_back(self, client: Client) -> None:
        with self._lock:
            self._idle.append(client)

    def _parameters(self, question: Question) -> dict[str, Any]:
        queue_life = self._settings.server.queue_life_days * DAY
        return {
            "begin": _time(question.begin),
            "end": _time(question.end),
            "end_of_queue": _time(question.end + queue_life),
            "cut_off": _time(self.cut_off()),
            "limit": question.limit,
            **_values(question.selector),
        }

    def _limits(self, query_id: str, seconds: float) -> dict[str, Any]:
        server = self._settings.server
        return {
            "query_id": query_id,
            "max_execution_time": max(1, round(seconds)),
            "timeout_before_checking_execution_speed": 0,
            "max_memory_usage": server.store_memory_bytes_max,
            "max_bytes_to_read": server.store_bytes_read_max,
            "read_overflow_mode": "throw",
            "max_block_size": ROWS_A_BLOCK,
            "max_threads": THREADS_MAX,
            # Projection indexes are silently ignored on small parts without these (decisions.md 24).
            "min_table_rows_to_use_projection_index": 0,
            "max_projection_rows_to_use_projection_index": 10**12,
            "cancel_http_readonly_queries_on_client_close": 1,
        }


def statement(columns: str, question: Question) -> str:
    """The query's text: from the closed list above, and column names of schemas/envelope.py."""
    match = _MATCH[question.selector.kind]
    parts = {
        "$UNDECIDED": "1" if question.include_non_final else _UNDECIDED_HIDDEN,
        "$COLUMNS": columns,
        "$RANGE": _RANGE,
        "$WINDOW": _WINDOW,
        "$MATCH": match,
    }
    text = _QUERY
    for name, value in parts.items():
        text = text.replace(name, value)
    return text


def _columns(question: Question) -> str:
    """Times leave the store as microseconds."""
    return ", ".join(f"toUnixTimestamp64Micro({field})" if field in TIME_FIELDS else field for field in question.fields)


def refusal(error: Exception) -> DeskError:
    """A driver's error in our words; its text may hold values and goes no further."""
    code = code_of(error)
    if code in _TOO_LARGE:
        return DeskError("RESULT_TOO_LARGE")
    if code in _TOO_SLOW:
        return DeskError("DEADLINE_EXCEEDED")
    if code in _KILLED:
        return DeskError("LOOKUP_CANCELLED")
    return DeskError("STORE_UNAVAILABLE")


def _values(selector: Selector) -> dict[str, str]:
    value = selector.value
    match selector.kind:
        case "IP" | "SENDER_IP" | "RECIPIENT_IP":
            network = selector.network
            return {"low": _ipv6(network.network_address), "high": _ipv6(network.broadcast_address)}
        case "DOMAIN":
            return {"at_domain": f"@{value}"}
        case "MESSAGE_ID":
            return {"value": value, "bare": value.strip("<>")}
        case "QUEUE_ID":
            return {"value": value, "host": lower(selector.host)}
    return {"value": value}


def _networks(texts: Sequence[str]) -> Networks:
    try:
        return [ipaddress.ip_network(text) for text in texts]
    except ValueError:
        raise SettingsError(
            "server.own_servers has what is no address or network.", "Write such as 192.0.2.25 or 2001:db8::/64."
        ) from None


def _ipv6(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As the store has it: IPv4 as ::ffff:a.b.c.d."""
    return f"::ffff:{address}" if address.version == 4 else str(address)


def _time(microseconds: int) -> str:
    """A DateTime64(6) parameter as decimal seconds, which no zone can bend."""
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"
