"""One settings tree for all parts, from one TOML file and the environment.

Order: environment (`LIUCUN_AGENT__AGENT_ID=...`) over file over default. The file is `--settings FILE`, else
$LIUCUN_SETTINGS, else /etc/liucun/liucun.toml if it is there. Every setting has a unit in its name, a
default and a sentence; docs/reference/settings.md is made from this file and a test compares them.
A secret is given as a file (`..._file`) or in the environment, and never printed.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as LibrarySettingsError

from infra.platform.errors import SettingsError
from infra.platform.section import Section, Zone, why
from infra.platform.settings_desk import Client, Ledger, Server

__all__ = ["Client", "Ledger", "Section", "Server", "Zone", "why"]
DEFAULT_FILE = Path("/etc/liucun/liucun.toml")


class Legal(Section):
    """What the law sets. Written into the store at its first start; a later difference stops every part."""

    zone: Zone = Field("Asia/Shanghai", description="Time zone of the legal day.")
    retention_days: int = Field(60, ge=60, le=366, description="Days of 24 hours that a record stays readable.")
    ttl_margin_days: int = Field(
        3, ge=2, le=30, description="Days after which the table's own TTL drops what the job did not."
    )

    @cached_property
    def zone_info(self) -> ZoneInfo:
        """The zone as an object."""
        return ZoneInfo(self.zone)


class Kafka(Section):
    """The brokers."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Brokers, `host:port`, separated by commas.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to. PLAINTEXT only on loopback or a private wire."
    )
    ca_file: Path | None = Field(None, description="PEM certificate authority of the brokers.")
    certificate_file: Path | None = Field(None, description="PEM client certificate.")
    key_file: Path | None = Field(None, description="PEM key of the client certificate.")
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256"] = Field(
        "SCRAM-SHA-512", description="With SASL_SSL: the mechanism."
    )
    sasl_username: str | None = Field(None, description="With SASL_SSL: the user.")
    sasl_password_file: Path | None = Field(None, description="With SASL_SSL: file that holds the password.")
    replication_factor: int = Field(3, ge=1, le=7, description="Copies of each topic; 1 for a site with one broker.")
    request_timeout_seconds: float = Field(10, gt=0, le=300, description="Longest wait for one answer of a broker.")


class StoreUser(Section):
    """One role's account in the store."""

    user: str = Field(description="ClickHouse user.")
    password: SecretStr | None = Field(None, description="Its password (environment only; prefer the file).")
    password_file: Path | None = Field(None, description="File that holds its password.")

    def secret(self) -> str:
        """The password; empty when none is set. SettingsError when the file cannot be read."""
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is None:
            return ""
        try:
            return self.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise SettingsError(
                f"The password file of store user {self.user} cannot be read ({why(error)}).",
                "Check the path in clickhouse.*.password_file and its permissions.",
            ) from None


class ClickHouse(Section):
    """The store. One account a role; grants are in infra/deploy/clickhouse/users.d."""

    host: str = Field("127.0.0.1", description="Host of the HTTP interface.")
    port: int = Field(8123, ge=1, le=65535, description="Port of the HTTP interface.")
    tls: bool = Field(False, description="Speak HTTPS.")
    ca_file: Path | None = Field(None, description="PEM certificate authority of the store.")
    database: str = Field("liucun", pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Database of all tables.")
    connect_timeout_seconds: float = Field(5, gt=0, le=60, description="Longest wait for a connection.")
    request_timeout_seconds: float = Field(60, gt=0, le=600, description="Longest wait for one answer.")
    migrator: StoreUser = Field(StoreUser(user="liucun_migrator"), description="Makes and changes tables.")
    loader: StoreUser = Field(StoreUser(user="liucun_loader"), description="Inserts rows.")
    ops: StoreUser = Field(StoreUser(user="liucun_ops"), description="Drops days, reads counts.")
    reader: StoreUser = Field(StoreUser(user="liucun_reader"), description="Reads records for lookups.")


MtaName = Literal["auto", "postfix", "exim", "sendmail", "opensmtpd", "exchange", "dovecot"]


class Source(Section):
    """One log stream that the agent follows."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Name of the stream in records; never change it, never use a path.",
    )
    path: Path | None = Field(
        None, description="The live file. Its rotated forms are looked for in the same folder. This, or `journal`."
    )
    journal: list[str] | None = Field(
        None,
        description="Instead of a file: the systemd journal, live; matches of journalctl, `[]` for all of it.",
    )
    mta: MtaName = Field("auto", description="The mail system that writes it; `auto` decides by line.")
    time_zone: Zone = Field("UTC", description="Zone of time stamps that carry none (the server's local time).")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.journal is None):
            raise ValueError("a stream has either a path or journal")
        if any("=" not in match or match.startswith("-") for match in self.journal or ()):
            raise ValueError("a match of journalctl is FIELD=value, such as SYSLOG_FACILITY=2")
        return self


class Site(Section):
    """What an operator knows and a log does not say."""

    own_domains: list[str] = Field(default_factory=list, description="Domains whose mailboxes are here.")
    own_networks: list[str] = Field(default_factory=list, description="Networks of the operator's own clients, CIDR.")
    filters: list[str] = Field(
        default_factory=list,
        description="Relays that are content filters (host, address, host:port): a hop, not a delivery.",
    )
    added_recipients: list[str] = Field(
        default_factory=list,
        description="Addresses that the server itself adds (always_bcc, bcc maps, milters); the log does not tell.",
    )
    host: str | None = Field(
        None, description="Server name to record where the log has none, and instead of a short one."
    )
    server_ip: str | None = Field(None, description="The server's own address, where the log does not say it.")
    undecided_after_seconds: int = Field(
        3600, ge=60, description="A recipient undecided for longer gets one DEFERRED record before its final one."
    )


class Agent(Section):
    """The agent beside the mail server."""

    agent_id: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
        description="Unique name of this agent in the whole installation. Required by `producer run`.",
    )
    outbox_dir: Path = Field(Path("/var/lib/liucun/outbox"), description="Folder of the outbox (the durable spool).")
    sources: list[Source] = Field(default_factory=list, description="The streams to follow.")
    site: Site = Field(Site(), description="What the operator knows.")
    outbox_bytes_max: int = Field(
        16 * 1024**3,
        ge=64 * 1024**2,
        description="Bound of the spool; at the bound reading stops and nothing is dropped.",
    )
    disk_free_bytes_min: int = Field(
        512 * 1024**2, ge=0, description="Reading stops while the outbox's disk has less free space."
    )


class Loader(Section):
    """Kafka to ClickHouse."""

    group_id: str = Field("liucun-loader", pattern=r"^[A-Za-z0-9._-]{1,128}$", description="Consumer group.")
    batch_records_max: int = Field(200_000, ge=1, le=1_000_000, description="A batch closes at this many records ...")
    batch_bytes_max: int = Field(64 * 1024**2, ge=1024, le=512 * 1024**2, description="... or this many bytes ...")
    batch_age_seconds_max: float = Field(1.0, gt=0, le=60, description="... or when its first record is this old.")
    retry_seconds_max: float = Field(30, gt=0, le=600, description="Longest pause between two tries of one insert.")
    session_timeout_seconds: int = Field(
        15, ge=1, le=1800, description="A loader that is not heard of for so long loses its partitions to the others."
    )
    dead_letter_ratio_max: float = Field(
        0.01,
        gt=0,
        le=1,
        description="The loader stops when more than this share of the last 10,000 messages of a partition is dead.",
    )
    dead_letter_run_max: int = Field(
        1000, ge=1, description="The loader stops when this many messages of a partition are dead one after another."
    )


class Ops(Section):
    """The scheduler and its jobs."""

    state_dir: Path = Field(
        Path("/var/lib/liucun/ops"), description="Folder of the scheduler's lock, job states and agreed time."
    )
    retention_check_minutes: int = Field(
        10, ge=1, le=1440, description="How often days past their limit are looked for."
    )
    clock_difference_seconds_max: float = Field(
        60, gt=0, description="No day is dropped while the store's clock differs by more."
    )


class Metrics(Section):
    """The /metrics page."""

    host: str = Field("127.0.0.1", description="Address that /metrics listens on.")
    port: int = Field(0, ge=0, le=65535, description="Port; 0 = no page.")


class Log(Section):
    """What the parts say of themselves. Never addresses, never secrets."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is written.")
    form: Literal["json", "text"] = Field("json", description="One JSON object a line, or text for people.")


class Settings(BaseSettings):
    """The tree."""

    model_config = SettingsConfigDict(
        env_prefix="LIUCUN_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    legal: Legal = Legal()
    kafka: Kafka = Kafka()
    clickhouse: ClickHouse = ClickHouse()
    agent: Agent = Agent()
    loader: Loader = Loader()
    ops: Ops = Ops()
    ledger: Ledger = Ledger()
    server: Server = Server()
    client: Client = Client()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (the library's signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the file (given as initial values by `load`) over defaults."""
        return env_settings, init_settings


def load(file: Path | None = None) -> Settings:
    """The settings of this process. SettingsError, naming the setting and what it must be, when they are wrong."""
    path = file or (Path(given) if (given := os.environ.get("LIUCUN_SETTINGS")) else None)
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    values = _read(path) if path else {}
    _check_names(values, path)
    try:
        return Settings(**values)
    except LibrarySettingsError:
        raise SettingsError(
            "A setting in the environment is not valid JSON.", "Look at the names that begin with LIUCUN_ in it."
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        where = f"{path} or the environment" if path else "the environment"
        raise SettingsError(
            f"Setting {name} is wrong: {_words(first)}.",
            f"Correct it in {where}; docs/reference/settings.md lists all.",
        ) from None


def _words(error: Any) -> str:
    """What the library says of one wrong value, for people."""
    if error["type"] == "extra_forbidden":
        return "there is no such setting"
    text: str = error["msg"]
    return text.removeprefix("Value error, ")


def _check_names(values: dict[str, Any], path: Path | None) -> None:
    """Sections that nobody knows, which the library would take for its own arguments, or pass over in silence."""
    known = Settings.model_fields.keys()
    for name in values:
        if name not in known:
            raise SettingsError(f"Setting {name} is wrong: there is no such section.", f"Correct it in {path}.")
    for name in os.environ:
        prefix, mark, _ = name.removeprefix("LIUCUN_").partition("__")
        if name.startswith("LIUCUN_") and mark and prefix.lower() not in known:
            raise SettingsError(
                f"The environment sets {name}, and there is no section {prefix.lower()}.", "Correct or unset it."
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb"):
            pass
        return TomlConfigSettingsSource(Settings, toml_file=path).toml_data
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read ({error.strerror}).", "Check the path.") from None
    except ValueError as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.", "Correct that line.") from None
