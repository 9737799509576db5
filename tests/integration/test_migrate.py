"""Tables and topics on the real engines: made once, never changed behind their back; and what the doctor sees."""

import json
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from infra.local.stack import LocalStack
from infra.platform.clickhouse import connect
from infra.platform.settings import Settings
from schemas import topics
from tests.pipeline import rows, run, write_settings


@pytest.fixture
def conf(recorded: Settings, tmp_path: Path) -> Path:
    """A settings file for a store and a broker that were migrated, and a ledger that runs."""
    return write_settings(tmp_path / "liucun.toml", recorded)


def _drop(settings: Settings, *tables: str) -> None:
    client = connect(settings.clickhouse, settings.clickhouse.migrator)
    for table in tables:
        client.command(f"DROP TABLE IF EXISTS {table} SYNC")
    client.close()


def test_a_second_migration_has_nothing_to_do(conf: Path) -> None:
    assert json.loads(run(conf, "schema", "migrate", "--execute", "--json").stdout) == []


def test_a_dry_run_makes_nothing(fresh: Settings, conf: Path) -> None:
    _drop(fresh, "envelope", "coverage", "batch", "retention", "migration")
    answer = run(conf, "schema", "migrate")
    assert answer.returncode == 0
    assert "0001_envelope.sql" in answer.stdout
    assert rows(fresh, "SELECT count() FROM system.tables WHERE database = 'liucun'") == [(0,)]


def test_killed_before_the_book_it_goes_on(fresh: Settings, conf: Path) -> None:
    _drop(fresh, "envelope", "coverage", "batch", "retention", "migration")
    killed = run(conf, "schema", "migrate", "--execute", LIUCUN_KILL_AT="migrate.statements:2")
    assert killed.returncode == -9
    assert run(conf, "schema", "migrate", "--execute").returncode == 0
    assert rows(fresh, "SELECT groupArray(number) FROM (SELECT number FROM migration ORDER BY number)") == [
        ([1, 2, 3],)
    ]


def test_another_legal_zone_is_refused_by_every_part(conf: Path) -> None:
    for command in (("schema", "migrate", "--execute"), ("retention", "enforce", "--execute"), ("consumer", "run")):
        answer = run(conf, *command, LIUCUN_LEGAL__ZONE="Europe/Paris")
        assert answer.returncode == 2, (command, answer.stderr)
        assert "Asia/Shanghai" in answer.stderr


def test_a_migration_that_was_changed_is_refused(fresh: Settings, conf: Path) -> None:
    client = connect(fresh.clickhouse, fresh.clickhouse.migrator)
    client.command("DROP TABLE migration SYNC")
    client.command(
        "CREATE TABLE migration (number Int32, name String, sha256 String, parameters Map(String, String), "
        "applied_time DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY number"
    )
    client.insert("migration", [(1, "0001_envelope.sql", "0" * 64, {}, 0)],
                  ["number", "name", "sha256", "parameters", "applied_time"])  # fmt: skip
    client.close()
    answer = run(conf, "schema", "migrate", "--execute")
    assert answer.returncode == 1
    assert "was changed after it was applied" in answer.stderr


def test_a_topic_that_was_changed_is_set_back(stack: LocalStack, conf: Path) -> None:
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topics.ENVELOPE.name, incremental_configs=[entry])
    for done in admin.incremental_alter_configs([resource]).values():
        done.result()
    doctor = run(conf, "doctor", "--json")
    assert doctor.returncode == 3
    assert {check["name"] for check in json.loads(doctor.stdout)["checks"] if not check["ok"]} == {"topics"}
    steps = json.loads(run(conf, "schema", "migrate", "--execute", "--json").stdout)
    assert [step["subject"] for step in steps] == [topics.ENVELOPE.name]
    assert json.loads(run(conf, "doctor", "--json").stdout)["ok"]


def test_the_doctor_finds_a_column_of_another_type(fresh: Settings, conf: Path) -> None:
    assert run(conf, "doctor").returncode == 0
    client = connect(fresh.clickhouse, fresh.clickhouse.migrator)
    client.command("ALTER TABLE envelope MODIFY COLUMN tls Nullable(FixedString(64))")
    client.close()
    doctor = run(conf, "doctor", "--json")
    assert doctor.returncode == 3
    (bad,) = [check for check in json.loads(doctor.stdout)["checks"] if not check["ok"]]
    assert (bad["name"], "tls" in bad["message"]) == ("tables", True)


def test_engines_that_are_away_are_one_sentence(fresh: Settings, tmp_path: Path) -> None:
    """No traceback, no driver's text, exit 1, and what to do."""
    store = fresh.clickhouse.model_copy(update={"port": 9})
    kafka = fresh.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:9"})
    for settings, command in (
        (fresh.model_copy(update={"clickhouse": store}), ("schema", "migrate", "--execute")),
        (fresh.model_copy(update={"clickhouse": store}), ("retention", "status")),
        (fresh.model_copy(update={"kafka": kafka}), ("schema", "migrate", "--execute")),
        (fresh.model_copy(update={"kafka": kafka}), ("consumer", "lag")),
    ):
        answer = run(write_settings(tmp_path / "away.toml", settings), *command)
        assert (answer.returncode, answer.stderr.count("\n")) == (1, 1), answer.stderr
        assert answer.stderr.startswith("error: ")
