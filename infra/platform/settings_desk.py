"""Settings of the lawful query desk: the ledger, the query service, and their clients."""

from pathlib import Path

from pydantic import Field

from infra.platform.section import Section


class Ledger(Section):
    """The query log: its one writer, and where its clients find it."""

    folder: Path = Field(
        Path("/var/lib/liucun/ledger"),
        description="Folder of leaves, payloads, tiles and checkpoint; back it up whole.",
    )
    append_socket: Path = Field(Path("/run/liucun/ledger-append.sock"), description="Unix socket that takes entries.")
    read_socket: Path = Field(
        Path("/run/liucun/ledger-read.sock"), description="Unix socket that gives entries, decrypted."
    )
    keys_dir: Path = Field(
        Path("/etc/liucun/ledger"),
        description="Folder of the signing key and the wrapping key, for the ledger's user alone; back it up apart.",
    )
    origin: str = Field(
        "liucun.example/ledger",
        pattern=r"^[a-z0-9][a-z0-9./_-]{0,127}$",
        description="Name of the log, first line of every checkpoint; never change it.",
    )
    query_uids: list[int] = Field(
        default_factory=list,
        description="The query service's user, by number: appends what it decides, and reads.",
    )
    ops_uids: list[int] = Field(
        default_factory=list, description="Users that may append deletions: the scheduler's, and who runs `retention`."
    )
    read_uids: list[int] = Field(
        default_factory=list, description="People who may read payloads; the ledger itself writes down that they do."
    )
    reveal_uids: list[int] = Field(
        default_factory=list, description="People who may append that they have revealed a dead letter."
    )
    request_timeout_seconds: float = Field(
        10, gt=0, le=300, description="Longest wait for an answer, and for a request that has begun to arrive."
    )
    erase_after_days_min: int = Field(
        1096, ge=0, le=36_600, description="No payload is erased before it is so old; the genesis may say longer."
    )


class Server(Section):
    """The query service: where lawful questions are asked, and how much of it at once."""

    host: str = Field("127.0.0.1", description="Address that the service listens on.")
    port: int = Field(8443, ge=1, le=65535, description="Port of the service (gRPC over TLS).")
    certificate_file: Path | None = Field(None, description="PEM certificate of the service. Required by `server run`.")
    key_file: Path | None = Field(None, description="PEM key of that certificate.")
    client_ca_file: Path | None = Field(
        None, description="PEM authority whose client certificates are let in: agencies and provider people."
    )
    trust_domain: str = Field(
        "liucun.example",
        pattern=r"^[a-z0-9][a-z0-9.-]{0,253}$",
        description="SPIFFE trust domain of client certificates, spiffe://<trust_domain>/agency/...",
    )
    state_dir: Path = Field(
        Path("/var/lib/liucun/query"), description="Folder of segments and documents, each with its key."
    )
    segment_days: int = Field(
        30, ge=1, le=366, description="Days after which the records of a lookup can no longer be read."
    )
    workers: int = Field(32, ge=2, le=1024, description="Threads that answer calls; an open stream holds one.")
    calls_max: int = Field(64, ge=2, le=4096, description="Calls at once; more are refused as RESOURCE_EXHAUSTED.")
    calls_running_max: int = Field(
        8, ge=1, le=1024, description="Calls of one agency at once, streams apart: none takes all workers."
    )
    streams_max: int = Field(16, ge=1, le=1024, description="Open streams of one agency at once.")
    calls_per_second_max: float = Field(50, gt=0, le=10_000, description="Calls of one agency, on average ...")
    calls_burst_max: int = Field(100, ge=1, le=10_000, description="... and so many at once after a pause.")
    message_bytes_max: int = Field(
        4 * 1024**2, ge=64 * 1024, le=64 * 1024**2, description="Bytes of one message, in and out."
    )
    deadline_seconds_max: float = Field(
        120, gt=0, le=3600, description="Longest time for one call that is not a stream, whatever its deadline says."
    )
    page_size_standard: int = Field(100, ge=1, le=1000, description="Records of a page when the caller says 0.")
    page_size_max: int = Field(1000, ge=1, le=10_000, description="Records of a page at most.")
    stream_batch_records_max: int = Field(500, ge=1, le=10_000, description="Records of one message of a stream.")
    stream_batch_bytes_max: int = Field(
        1024**2, ge=1024, le=32 * 1024**2, description="Bytes of records in one message of a stream."
    )
    stream_idle_seconds_max: float = Field(
        60, gt=0, le=3600, description="A stream whose reader takes nothing for so long is ended."
    )
    lookup_records_max: int = Field(1_000_000, ge=1, le=10_000_000, description="Records of one lookup at most.")
    queue_life_days: int = Field(
        7, ge=1, le=60, description="Longest time that mail waits in a queue: so far behind its window a lookup reads."
    )
    own_servers: list[str] = Field(
        [],
        description="Addresses or networks of the provider's own mail servers, and of nothing else: lookups follow "
        "mail that was handed over to them.",
    )
    store_memory_bytes_max: int = Field(
        2 * 1024**3, ge=64 * 1024**2, description="Memory of one query in the store at most."
    )
    store_bytes_read_max: int = Field(
        256 * 1024**3, ge=1024**2, description="Bytes that one query reads in the store at most."
    )
    refusals_per_minute_max: int = Field(
        60, ge=1, le=10_000, description="Refusals of one caller with an entry each in the ledger; more are counted."
    )
    reflection: bool = Field(False, description="Tell callers the whole interface (gRPC reflection). Development only.")


class Client(Section):
    """Whom `liucun agency|person|authorization|lookup` speak for, and to which service."""

    target: str = Field("127.0.0.1:8443", description="The query service, `host:port`.")
    ca_file: Path | None = Field(None, description="PEM authority of the service's certificate.")
    certificate_file: Path | None = Field(None, description="PEM client certificate: the agency's, or the person's.")
    key_file: Path | None = Field(None, description="PEM key of the client certificate.")
    name: str = Field(
        "", description="Who acts: agencies/.../officers/... or persons/...; empty = the person of the certificate."
    )
    signing_key_file: Path | None = Field(
        None, description="PEM Ed25519 key of that officer or person; signs tokens and approvals."
    )
    deadline_seconds: float = Field(60, gt=0, le=3600, description="Longest wait for one answer.")
