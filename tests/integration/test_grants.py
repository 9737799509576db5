"""What each account of the store may see and do, asked of the real store: contents of records are for one of them."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from infra.platform.clickhouse import ClickHouseError, Client, code_of, connect
from infra.platform.clock import SystemClock
from infra.platform.settings import Settings
from tests.pipeline import until

DENIED = 497
READONLY = 164
CONTENTS = ("sender", "recipient", "original_recipient", "sender_ip", "recipient_ip", "message_id", "authenticated_user",
            "sender_logged", "recipient_logged", "helo", "sender_host", "queue_id")  # fmt: skip


@pytest.fixture
def accounts(settings: Settings) -> Iterator[dict[str, Client]]:
    """A client for each role."""
    roles = ("migrator", "loader", "ops", "reader")
    clients = {role: connect(settings.clickhouse, getattr(settings.clickhouse, role)) for role in roles}
    yield clients
    for client in clients.values():
        client.close()


def refusal(client: Client, statement: str, **settings: Any) -> int:
    """The code that a statement is refused with; 0 when it is not."""
    try:
        client.query(statement, settings=settings)
    except ClickHouseError as error:
        return code_of(error)
    return 0


@pytest.mark.parametrize("role", ["migrator", "loader", "ops"])
@pytest.mark.parametrize("column", CONTENTS)
def test_nobody_but_the_reader_can_read_contents(accounts: dict[str, Client], role: str, column: str) -> None:
    assert refusal(accounts[role], f"SELECT {column} FROM envelope LIMIT 1") == DENIED
    assert refusal(accounts[role], f"SELECT count() FROM envelope WHERE {column} = '::1'") == DENIED


@pytest.mark.parametrize("role", ["migrator", "loader", "ops"])
def test_neither_by_a_star_nor_by_the_query_log(accounts: dict[str, Client], role: str) -> None:
    """The log of queries shows the parameters of lookups."""
    assert refusal(accounts[role], "SELECT * FROM envelope LIMIT 1") == DENIED
    assert refusal(accounts[role], "SELECT query FROM system.query_log LIMIT 1") == DENIED
    assert refusal(accounts[role], "SELECT query FROM system.processes LIMIT 1") == DENIED


def test_loader_reads_what_verify_needs(accounts: dict[str, Client]) -> None:
    wanted = "topic_epoch, kafka_partition, kafka_offset, record_id, event_time, agent_id, agent_epoch, agent_sequence"
    assert refusal(accounts["loader"], f"SELECT {wanted}, _partition_id FROM envelope LIMIT 1") == 0
    assert refusal(accounts["loader"], "SELECT count() FROM batch") == 0
    assert refusal(accounts["loader"], "SELECT count() FROM retention") == DENIED
    assert refusal(accounts["loader"], "ALTER TABLE envelope DROP PARTITION '2020-01-01'") == DENIED


def test_ops_counts_and_drops_but_does_not_write(accounts: dict[str, Client]) -> None:
    ops = accounts["ops"]
    assert refusal(ops, "SELECT _partition_value.1, count(), min(event_time) FROM envelope GROUP BY 1") == 0
    assert refusal(ops, "ALTER TABLE envelope DROP PARTITION '2020-01-01'") == 0
    assert refusal(ops, "SELECT agent_id FROM envelope LIMIT 1") == DENIED
    assert refusal(ops, "INSERT INTO envelope (record_id) VALUES ('0123456789abcdef')") == DENIED


def test_migrator_makes_tables_and_writes_in_its_book_only(accounts: dict[str, Client]) -> None:
    migrator = accounts["migrator"]
    assert refusal(migrator, "SELECT number FROM migration LIMIT 1") == 0
    for table in ("envelope", "coverage", "batch", "retention"):
        assert refusal(migrator, f"SELECT count() FROM {table}") == DENIED, table
    assert refusal(migrator, "INSERT INTO envelope (record_id) VALUES ('0123456789abcdef')") == DENIED
    assert (
        refusal(migrator, "CREATE TABLE copy ENGINE = MergeTree ORDER BY tuple() AS SELECT sender FROM envelope")
        == DENIED
    )


def test_reader_reads_and_does_nothing_else(accounts: dict[str, Client]) -> None:
    reader = accounts["reader"]
    assert refusal(reader, "SELECT * FROM envelope LIMIT 1") == 0
    for statement in ("INSERT INTO envelope (record_id) VALUES ('0123456789abcdef')", "TRUNCATE TABLE envelope",
                      "CREATE TABLE x (a Int8) ENGINE = Memory", "SELECT count() FROM retention"):  # fmt: skip
        assert refusal(reader, statement) in (DENIED, READONLY), statement


@pytest.mark.parametrize(
    "setting",
    [
        "log_queries = 0", "log_queries_probability = 0", "log_queries_min_type = 'EXCEPTION_WHILE_PROCESSING'",
        "log_queries_min_query_duration_ms = 100000", "log_queries_cut_to_length = 0", "log_query_settings = 0",
    ],
)  # fmt: skip
def test_reader_cannot_hide_from_the_query_log(accounts: dict[str, Client], setting: str) -> None:
    assert refusal(accounts["reader"], f"SELECT 1 SETTINGS {setting}") == 452


def test_reader_kills_its_own_query_by_id(settings: Settings, accounts: dict[str, Client]) -> None:
    ended: list[int] = []
    begun = time.monotonic()
    statement = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"

    def work() -> None:
        client = connect(settings.clickhouse, settings.clickhouse.reader)
        ended.append(refusal(client, statement, query_id="test-kill", max_execution_time=60))
        client.close()

    thread = threading.Thread(target=work)
    thread.start()
    running = "SELECT count() FROM system.processes WHERE query_id = 'test-kill'"
    until(lambda: bool(accounts["reader"].query(running).result_rows[0][0]), 20)
    accounts["reader"].command("KILL QUERY WHERE query_id = {id:String} ASYNC", parameters={"id": "test-kill"})
    thread.join(20)
    assert ended == [394]  # QUERY_WAS_CANCELLED
    assert time.monotonic() - begun < 30


def test_the_clock_is_the_stores_own(settings: Settings, accounts: dict[str, Client]) -> None:
    """What the ops account is asked at every drop, without any grant on records."""
    ((told,),) = accounts["ops"].query("SELECT toUnixTimestamp64Micro(now64(6))").result_rows
    assert abs(told - SystemClock().now()) < 60_000_000
