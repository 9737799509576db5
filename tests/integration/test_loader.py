"""The loader on the real broker and the real store: good batches, poison between them, aborted transactions, lost commits."""

import json
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from infra.platform.clock import DAY, HOUR, SystemClock
from infra.platform.settings import Settings
from schemas import avro, topics
from tests.pipeline import Program, count, envelope, exactly_once, publish, rows, run, until, write_settings


@pytest.fixture
def file(fresh: Settings, tmp_path: Path) -> Path:
    """A settings file for the loader."""
    return write_settings(tmp_path / "liucun.toml", fresh)


def test_good_records_of_several_days(fresh: Settings, file: Path) -> None:
    now = SystemClock().now()
    publish(fresh, [envelope(number, now - (number % 50) * DAY) for number in range(5000)])
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 5000)
    until(lambda: sum(row[0] for row in rows(fresh, "SELECT sum(record_count) FROM batch")) >= 5000)
    assert loader.stop() == 0
    exactly_once(fresh, 5000)
    assert rows(fresh, "SELECT uniqExact(_partition_id) FROM envelope")[0][0] in (50, 51)
    stored = rows(
        fresh,
        "SELECT sender, recipient, IPv6NumToString(assumeNotNull(sender_ip)), flags, outcome, event_time, stored_time "
        "FROM envelope WHERE agent_sequence = 7",
    )[0]
    assert stored[:5] == (
        "s@example.net",
        "a@example.org",
        "::ffff:192.0.2.1",
        ["EXPANDED", "PARTIAL_START"],
        "DELIVERED",
    )
    lag = json.loads(run(file, "consumer", "lag", "--json").stdout)
    assert sum(entry["lag_records"] for entry in lag) == 0


def test_poison_between_good_records(fresh: Settings, file: Path) -> None:
    """Each kind of wrong message, first, last and between; neighbours load, the wrong ones are dead letters."""
    now = SystemClock().now()
    good = [envelope(number, now - HOUR) for number in range(10)]
    value = envelope(100, now - HOUR)
    poison = [
        value[:-1],
        value + value[5:],
        value[:40],
        b"\x00\x00\x00\x00\x63" + value[5:],
        b"junk",
        b"",
        envelope(101, now + 2 * DAY),
        envelope(102, now - 70 * DAY),
    ]
    mixed = [value[:-1]]
    for one, other in zip(good, [*poison, b"junk", value + b"\x00"], strict=True):
        mixed += [one, other]
    publish(fresh, mixed)
    loader = Program(file, "consumer", "run")
    until(lambda: sum(row[0] for row in rows(fresh, "SELECT sum(record_count) FROM batch")) >= len(mixed))
    assert loader.stop() == 0
    exactly_once(fresh, 10)
    reasons = {
        json.loads(line)["reason"]
        for line in run(file, "consumer", "dead-letter", "list", "--json").stdout.splitlines()
    }
    assert reasons == {
        "PAYLOAD_TOO_SHORT", "PAYLOAD_TOO_LONG", "UNKNOWN_SCHEMA", "NOT_FRAMED", "EVENT_TIME_IN_FUTURE",
    }  # fmt: skip
    exclusions = rows(fresh, "SELECT x.1, x.2, x.3 FROM batch ARRAY JOIN exclusions AS x")
    assert sum(last - first + 1 for first, last, _ in exclusions) == len(mixed) - 10
    assert "PAST_RETENTION" in {reason for _, _, reason in exclusions}
    shown = run(file, "consumer", "dead-letter", "list", "--json").stdout
    assert "example" not in shown


def test_unknown_dead_letter_is_one_sentence(fresh: Settings, file: Path) -> None:
    answer = run(file, "consumer", "dead-letter", "show", "liucun.envelope", "0", "12345")
    assert answer.returncode == 2
    assert "There is no dead letter" in answer.stderr


def test_aborted_transactions_leave_gaps_that_are_no_losses(fresh: Settings, file: Path) -> None:
    now = SystemClock().now()
    producer = Producer(
        {"bootstrap.servers": fresh.kafka.bootstrap_servers, "transactional.id": "t", "partitioner": "murmur2"}
    )
    producer.init_transactions(30)
    sequence = 0
    for transaction in range(6):
        producer.begin_transaction()
        for _ in range(20):
            number = sequence if transaction % 2 == 0 else 10_000 + sequence
            producer.produce(topics.ENVELOPE.name, envelope(number, now), key="test")
            sequence += transaction % 2 == 0
        producer.flush(30)
        if transaction % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 60)
    until(lambda: sum(row[0] for row in rows(fresh, "SELECT sum(record_count) FROM batch")) >= 60)
    assert loader.stop() == 0
    exactly_once(fresh, 60)
    report = json.loads(run(file, "consumer", "verify", "--json").stdout)
    assert report["ok"], report


def test_commits_that_kafka_forgot(fresh: Settings, file: Path) -> None:
    """The group is deleted: the loader goes on behind the last batch that the store knows, and inserts nothing twice."""
    now = SystemClock().now()
    publish(fresh, [envelope(number, now) for number in range(100)])
    loader = Program(file, "consumer", "run")
    until(lambda: sum(row[0] for row in rows(fresh, "SELECT sum(record_count) FROM batch")) >= 100)
    assert loader.stop() == 0
    admin = AdminClient({"bootstrap.servers": fresh.kafka.bootstrap_servers})
    for done in admin.delete_consumer_groups([fresh.loader.group_id]).values():
        done.result()
    publish(fresh, [envelope(number, now) for number in range(100, 150)])
    again = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 150)
    assert again.stop() == 0
    exactly_once(fresh, 150)


def test_commits_that_kafka_forgot_before_the_batch_was_booked(fresh: Settings, file: Path) -> None:
    """Killed between insert and booking, and the intent is lost too: the table is asked, nothing comes twice."""
    now = SystemClock().now()
    publish(fresh, [envelope(number, now) for number in range(100)])
    killed = Program(file, "consumer", "run", kill_at="loader.inserted")
    assert killed.wait() == -9
    until(lambda: _group_empty(fresh))
    admin = AdminClient({"bootstrap.servers": fresh.kafka.bootstrap_servers})
    for done in admin.delete_consumer_groups([fresh.loader.group_id]).values():
        done.result()
    publish(fresh, [envelope(number, now) for number in range(100, 130)])
    again = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 130)
    assert again.stop() == 0
    exactly_once(fresh, 130)


def _group_empty(settings: Settings) -> bool:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    (described,) = admin.describe_consumer_groups([settings.loader.group_id]).values()
    return not described.result().members


def test_store_that_deduplicates_nothing_is_refused(fresh: Settings, file: Path) -> None:
    from infra.platform.clickhouse import connect

    client = connect(fresh.clickhouse, fresh.clickhouse.migrator)
    client.command("ALTER TABLE envelope MODIFY SETTING non_replicated_deduplication_window = 0")
    client.close()
    answer = run(file, "consumer", "run")
    assert answer.returncode == 1
    assert "does not deduplicate" in answer.stderr


def test_wrong_password_is_one_sentence(fresh: Settings, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    changed = fresh.clickhouse.loader.model_copy(update={"password_file": wrong})
    store = fresh.clickhouse.model_copy(update={"loader": changed})
    file = write_settings(tmp_path / "liucun.toml", fresh.model_copy(update={"clickhouse": store}))
    answer = run(file, "consumer", "run")
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1


def test_coverage_is_loaded(fresh: Settings, file: Path) -> None:
    now = SystemClock().now()
    record = {
        "agent_id": "test", "agent_epoch": 1, "coverage_sequence": 0, "first_sequence": 0, "record_count": 0,
        "event_day": None, "from": now - 5, "to": now, "closed": "TIME",
        "sources": [
            {"source_name": "mail", "from_position": 1, "to_position": 2, "lines_read": 3, "lines_understood": 1,
             "lines_ignored": {"a": 1}, "lines_not_understood": {"b": 1}, "loss_markers": {}, "captured_through": now}
        ],
        "previous_hash": bytes(32), "leaf_hashes": [bytes(32)], "records_root": None, "key_id": "k", "signature": b"s",
    }  # fmt: skip
    publish(fresh, [avro.encode(avro.COVERAGE_V1, record)], topic=topics.COVERAGE.name)
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh, "coverage") == 1)
    loader.stop()
    stored = rows(fresh, "SELECT sources[1].source_name, sources[1].lines_ignored, event_day, closed FROM coverage")
    assert stored == [("mail", {"a": 1}, None, "TIME")]
