"""A desk to test with: certificates, people, a ledger in memory, a service on a free port, an instrument's fields."""

import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp
from liucun.authorization.v1 import authorization_pb2, scope_pb2
from liucun.lookup.v1 import lookup_pb2
from liucun.registry.v1 import registry_pb2

from infra.local.process import free_port
from infra.platform import tls
from infra.platform.clock import DAY, Clock, SystemClock
from infra.platform.errors import LiucunError
from infra.platform.settings import ClickHouse, Server, Settings
from infra.platform.times import text_of
from infra.proof import canonical, leaf, merkle, requests, statements
from infra.proof.checkpoint import Checkpoint
from infra.proof.kinds import KINDS
from query_service.client import Client, Identity
from query_service.errors import DeskError
from query_service.members import agency_document
from query_service.server import Service
from query_service.store import Neighbours, Question, Store
from schemas.envelope import IP_FIELDS, TIME_FIELDS
from tests.ledgers import KEYS, PERSONS
from tests.pipeline import envelope_values

TRUST_DOMAIN = "liucun.test"
AGENCY = "agencies/gongan-hz"
OFFICER = f"{AGENCY}/officers/zhang"
DOCUMENT = b"%PDF-1.7 a scan"
PEOPLE = {f"persons/{name}": list(roles) for name, roles in PERSONS.items()}


@dataclass(frozen=True)
class Entry:
    """As infra.ledger.client.Entry."""

    index: int
    kind: str
    leaf: bytes
    payload: dict[str, Any] | None


class MemoryLedger:
    """The ledger's contract without its disk. `broken` = it commits nothing and answers nothing."""

    def __init__(self, genesis: dict[str, Any], clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.entries: list[Entry] = []
        self.broken = False
        self.full = False
        self.append("GENESIS", "services/ledger", **genesis)

    def append(self, kind: str, actor: str, **members: Any) -> int:
        """Canonical like the real one, so that what has no canonical form fails here too."""
        if self.broken or self.full:
            raise LiucunError("The ledger does not commit.")
        assert kind in KINDS
        payload = {"kind": kind, "time": text_of(self._clock.now()), "actor": actor, **members}
        encoded = canonical.encode(payload)
        assert len(encoded) <= 60_000
        with self._lock:
            one = leaf.encode(KINDS[kind], sha256(encoded).digest())
            self.entries.append(Entry(len(self.entries), kind, one, canonical.decode(encoded)))
            return len(self.entries) - 1

    def read(self, start: int, limit: int = 1000) -> list[Entry]:
        """Entries from `start` on."""
        if self.broken:
            raise LiucunError("The ledger does not answer.")
        return self.entries[start : start + limit]

    def size(self) -> int:
        """Entries."""
        if self.broken:
            raise LiucunError("The ledger does not answer.")
        return len(self.entries)

    def within(self, _seconds: float) -> "MemoryLedger":
        """It answers at once."""
        return self

    def checkpoint(self) -> str:
        """Not signed here."""
        if self.broken:
            raise LiucunError("The ledger does not answer.")
        with self._lock:
            return head_of(self.entries)


def head_of(entries: list[Entry]) -> str:
    """A checkpoint over these, not signed."""
    root = merkle.root(merkle.leaf_hash(entry.leaf) for entry in entries)
    return f"{Checkpoint('memory', len(entries), root).text}\n"


@dataclass
class World:
    """People with keys and certificates."""

    authority: tls.Issued = field(default_factory=lambda: tls.authority("Liucun tests", now()))
    keys: dict[str, Ed25519PrivateKey] = field(
        default_factory=lambda: {f"persons/{name}": key for name, key in KEYS.items()}
    )
    certificates: dict[str, tls.Issued] = field(default_factory=dict)

    def key(self, name: str) -> Ed25519PrivateKey:
        """Somebody's signing key."""
        return self.keys.setdefault(name, Ed25519PrivateKey.generate())

    def identity(self, name: str) -> Identity:
        """Somebody with the certificate that is theirs."""
        owner = name.partition("/officers/")[0]
        kind, _, identifier = owner.partition("/")
        path = f"{'agency' if kind == 'agencies' else 'person'}/{identifier}"
        if owner not in self.certificates:
            self.certificates[owner] = tls.client(self.authority, [f"spiffe://{TRUST_DOMAIN}/{path}"], now())
        issued = self.certificates[owner]
        return Identity(name, self.key(name), issued.certificate_pem, issued.key_pem)

    def genesis(self, log_key: str = "liucun.test/ledger+00000000+AA==") -> dict[str, Any]:
        """The three, signed by all three."""
        persons = [
            {
                "name": name,
                "display_name": name[8:].title(),
                "roles": roles,
                "public_key": tls.public_key_hex(self.key(name)),
            }
            for name, roles in PEOPLE.items()
        ]
        statement = {"type": "liucun-genesis-v1", "persons": persons, "log_key": log_key}
        signatures = {name: statements.sign(self.key(name), statement).hex() for name in PEOPLE}
        return {"statement": statement, "signatures": signatures}

    def agency(self, name: str = AGENCY, officers: tuple[str, ...] = ("zhang",)) -> registry_pb2.Agency:
        """An agency's document."""
        full = [f"{name}/officers/{one}" for one in officers]
        return registry_pb2.Agency(
            name=name,
            display_name="杭州市公安局",
            agency_class="AGENCY_CLASS_PUBLIC_SECURITY",
            officers=[
                registry_pb2.Officer(name=one, display_name="张", public_key=tls.public_key_hex(self.key(one)))
                for one in full
            ],
        )

    def enrol(self, desk: "RunningDesk", agency: registry_pb2.Agency) -> None:
        """Entered by one, approved by another."""
        document_hash = requests.registry_hash(agency_document(agency))
        with desk.client("persons/li") as li, desk.client("persons/wang") as wang:
            li.call(
                li.registry.CreateAgency,
                registry_pb2.CreateAgencyRequest(
                    agency=agency, signed_statement=li.registration("ENTER", agency.name, document_hash)
                ),
            )
            wang.call(
                wang.registry.ApproveAgency,
                registry_pb2.ApproveAgencyRequest(
                    name=agency.name, signed_statement=wang.registration("APPROVE", agency.name, document_hash)
                ),
            )


@dataclass
class RunningDesk:
    """A service that listens."""

    world: World
    settings: Settings
    clock: Clock

    def client(self, name: str, *, seconds: float = 20, slow_reader: bool = False) -> Client:
        """A client for somebody; a slow reader's connection holds 64 KiB and no more."""
        target = f"127.0.0.1:{self.settings.server.port}"
        small = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)) if slow_reader else ()
        return Client(
            target,
            self.world.authority.certificate_pem,
            self.world.identity(name),
            seconds=seconds,
            clock=self.clock,
            options=small,
        )


def now() -> datetime:
    """Aware."""
    return datetime.now(UTC)


class FakeStore(Store):
    """A store that answers at once, with rows of a made-up record, as many as `count`; or refuses as told."""

    def __init__(self, count: int = 3) -> None:
        self.count = count
        self.own_servers = []
        self.error: Exception | None = None
        self.error_at = 0
        self.questions: list[Question] = []
        self.killed: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.before_first_row: list[str] = []
        self.ledger: MemoryLedger | None = None

    def cut_off(self) -> int:
        """Sixty days."""
        return SystemClock().now() - 60 * DAY

    def rows(self, question: Question, query_id: str, seconds: float) -> Generator[Sequence[Any]]:
        """Remembers what the ledger held at the first row."""
        self.questions.append(question)
        if self.ledger is not None:
            self.before_first_row = [entry.kind for entry in self.ledger.entries]
        while not self.hold.wait(0.02):
            if query_id in self.killed:
                raise DeskError("LOOKUP_CANCELLED")
        for number in range(min(self.count, question.limit)):
            if self.error is not None and number == self.error_at:
                raise self.error
            yield tuple(_value(field, number, question.begin) for field in question.fields)

    def hop_rows(self, question: Question, near: Neighbours, query_id: str, seconds: float) -> Generator[Sequence[Any]]:
        """None."""
        yield from ()

    def answers(self) -> bool:
        """Always."""
        return True

    def kill(self, query_id: str) -> None:
        """Remembers."""
        self.killed.append(query_id)

    def close(self) -> None:
        """Nothing is open."""


def _value(field: str, number: int, begin: int) -> Any:
    """A field of the made-up record."""
    value = envelope_values()[field]
    if field in TIME_FIELDS:
        return None if value is None else begin + number
    if field == "record_id":
        return number.to_bytes(16, "big")
    if field in IP_FIELDS:
        return None if value is None else IPv6Address(value)
    return value


def server_settings(folder: Path, world: World, **changes: Any) -> Server:
    """With certificates in `folder`."""
    issued = tls.server(world.authority, ["127.0.0.1"], now())
    for name, data in (
        ("server.pem", issued.certificate_pem),
        ("server.key", issued.key_pem),
        ("ca.pem", world.authority.certificate_pem),
    ):
        (folder / name).write_bytes(data)
    values = {
        "port": free_port(),
        "certificate_file": folder / "server.pem",
        "key_file": folder / "server.key",
        "client_ca_file": folder / "ca.pem",
        "trust_domain": TRUST_DOMAIN,
        "state_dir": folder / "query",
        "calls_per_second_max": 1000,
        "calls_burst_max": 1000,
    }
    return Server(**(values | changes))


@contextmanager
def running(
    folder: Path,
    world: World,
    ledger: Any,
    *,
    clickhouse: ClickHouse | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    **server: Any,
) -> Iterator[RunningDesk]:
    """A service in this process, in a thread of its own."""
    used = clock or SystemClock()
    settings = Settings(clickhouse=clickhouse or ClickHouse(port=1), server=server_settings(folder, world, **server))
    service = Service(settings, used, ledger, store)
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        yield RunningDesk(world, settings, used)
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def stamp(moment: datetime) -> Timestamp:
    """As a message."""
    found = Timestamp()
    found.FromDatetime(moment)
    return found


def window(begin: datetime, end: datetime) -> scope_pb2.TimeWindow:
    """As a message."""
    return scope_pb2.TimeWindow(start_time=stamp(begin), end_time=stamp(end))


def selector(kind: str, value: str, host: str = "") -> scope_pb2.Selector:
    """As a message."""
    return scope_pb2.Selector(kind=f"KIND_{kind}", value=value, host=host)


def instrument(*selectors: scope_pb2.Selector, **changes: Any) -> authorization_pb2.Authorization:
    """A 调取证据通知书 of an hour ago over the last three days."""
    issued = now() - timedelta(hours=1)
    named = {
        "approver": authorization_pb2.NamedPerson(display_name="陈局", role="局长"),
        "handlers": [
            authorization_pb2.NamedPerson(display_name="张三", identity="330001"),
            authorization_pb2.NamedPerson(display_name="李四", identity="330002"),
        ],
        "issuer": authorization_pb2.NamedPerson(display_name="王五"),
    }
    values: dict[str, Any] = {
        "authorization_reference": "HZ-2026-1",
        "legal_type": "LEGAL_TYPE_EVIDENCE_RETRIEVAL_NOTICE",
        "timespan": window(issued, now() + timedelta(days=7)),
        "instrument": authorization_pb2.Instrument(
            document_number="杭公(网)调证字[2026]1号",
            case_name="某某案",
            case_number="A3301000000002026110001",
            unit="杭州市公安局网安支队",
            issue_time=stamp(issued),
            **named,
        ),
        "document": authorization_pb2.Document(
            sha256=sha256(DOCUMENT).hexdigest(), media_type="application/pdf", body=DOCUMENT
        ),
        "scope": scope_pb2.Scope(
            selectors=list(selectors) or [selector("ADDRESS", "alice@example.org")],
            window=window(issued - timedelta(days=3), issued),
            field_groups=["FIELD_GROUP_CORE", "FIELD_GROUP_SENDER_SIDE"],
            max_hits=1000,
        ),
    }
    return authorization_pb2.Authorization(**(values | changes))


def enter(
    client: Client, one: authorization_pb2.Authorization, agency: str = AGENCY
) -> authorization_pb2.Authorization:
    """Enter an instrument."""
    request = authorization_pb2.CreateAuthorizationRequest(
        parent=agency, authorization=one, request_id=str(uuid.uuid4())
    )
    answer: authorization_pb2.CreateAuthorizationResponse = client.call(
        client.authorizations.CreateAuthorization, request
    )
    return answer.authorization


def fetched(client: Client, name: str) -> authorization_pb2.Authorization:
    """As it stands."""
    request = authorization_pb2.GetAuthorizationRequest(name=name)
    answer: authorization_pb2.GetAuthorizationResponse = client.call(client.authorizations.GetAuthorization, request)
    return answer.authorization


def approved(desk: RunningDesk, *selectors: scope_pb2.Selector, **changes: Any) -> authorization_pb2.Authorization:
    """An instrument entered by the officer and signed by two."""
    with desk.client(OFFICER) as officer:
        one = enter(officer, instrument(*selectors, **changes))
    for person in ("persons/wang", "persons/zhao"):
        with desk.client(person) as signer:
            one = signer.approve(fetched(signer, one.name))
    return one


def question(one: authorization_pb2.Authorization, asked: scope_pb2.Selector, **changes: Any) -> lookup_pb2.Lookup:
    """A lookup over the whole window."""
    values: dict[str, Any] = {"authorization": one.name, "selector": asked, "window": one.scope.window}
    return lookup_pb2.Lookup(**(values | changes))
