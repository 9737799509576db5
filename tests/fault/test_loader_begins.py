"""The loader's failure cases by number, what it finds when it begins: other bounds, other offsets, poison, another store.

See test_loader_cases.py, which has the others and the rule for all.
"""

import json
import shutil
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from infra.local.stack import LocalStack
from infra.ops.migrate import migrate_topics
from infra.platform.clickhouse import connect
from infra.platform.clock import DAY, HOUR, day_of
from infra.platform.settings import Legal, Settings
from schemas import topics
from tests.conftest import LONG
from tests.loading import NOW, Profile, as_migrator, booked, forget_group, long, put, settled
from tests.pipeline import Program, count, envelope, exactly_once, publish, rows, run, until, write_settings


@pytest.fixture
def file(fresh: Settings, tmp_path: Path) -> Path:
    """Settings of a loader that speaks to the store itself."""
    return write_settings(tmp_path / "liucun.toml", fresh)


def test_case_15_other_bounds_after_a_restart(fresh: Settings, file: Path) -> None:
    text = file.read_text()
    put(fresh, 0, 1000)
    for step, bound in (("intent", 70), ("inserted", 333)):
        put(fresh, 1000 if step == "intent" else 1500, 500)
        assert Program(file, "consumer", "run", kill_at=f"loader.{step}").wait() == -9
        file.write_text(text.replace("[loader]\n", f"[loader]\nbatch_records_max = {bound}\n", 1))
    settled(fresh, file, 2000)


def test_case_18_the_topic_is_made_anew(fresh: Settings, file: Path) -> None:
    """Its offsets begin at 0 again: a new epoch, whose records are not those of the old one, however many there are."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    _make_topic_anew(fresh)
    put(fresh, 100, 150)
    settled(fresh, file, 250)


@pytest.mark.long
def test_case_18_the_topic_is_made_anew_behind_an_intent(fresh: Settings, file: Path) -> None:
    """What the intent names is gone: the loader stops and says so, and touches nothing."""
    put(fresh, 0, 100)
    assert Program(file, "consumer", "run", kill_at="loader.intent").wait() == -9
    _make_topic_anew(fresh)
    put(fresh, 0, 100)
    loader = Program(file, "consumer", "run")
    until(lambda: loader.process.poll() is not None or booked(fresh) >= 100, 60)
    if loader.process.poll() is None:  # Kafka forgets the commits of a topic that is gone: then nothing is in the way
        settled(fresh, file, 100, loader)
    else:
        assert "was made anew" in loader.said()
        assert count(fresh) == 0


def _make_topic_anew(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for done in admin.delete_topics([topics.ENVELOPE.name], operation_timeout=30).values():
        done.result()
    until(lambda: topics.ENVELOPE.name not in admin.list_topics(timeout=10).topics, 30)
    time.sleep(1)
    migrate_topics(settings, execute=True)


@pytest.mark.parametrize("offset", [long(0), long(30), long(100), 175])
def test_case_19_offsets_are_reset_on_purpose(fresh: Settings, file: Path, offset: int) -> None:
    """Backwards nothing comes twice; forwards nothing is passed over: the book is the truth."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    put(fresh, 100, 100)
    forget_group(fresh, move_to=offset)
    settled(fresh, file, 200)


def test_kafka_deleted_what_was_not_loaded(fresh: Settings, file: Path) -> None:
    """It is said, counted and found by verify where sequences are missing; what is left is loaded."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    put(fresh, 100, 50)
    admin = AdminClient({"bootstrap.servers": fresh.kafka.bootstrap_servers})
    places = [TopicPartition(topics.ENVELOPE.name, number, 130) for number in range(12)]
    for place, done in admin.delete_records(places).items():
        if done.exception() is None:
            assert done.result().low_watermark == 130, place
    loader = Program(file, "consumer", "run")
    until(lambda: booked(fresh) >= 120)
    assert loader.stop() == 0
    exactly_once(fresh, 120)
    assert loader.said().count("Kafka has deleted offsets that were not loaded") == 1
    assert '"first": 100, "last": 129' in loader.said()


def test_case_20_poison_in_a_batch_that_is_repeated(fresh: Settings, file: Path) -> None:
    """Killed at each step of a batch with wrong messages, of kinds that are seen at once and of kinds that are not."""
    good = [envelope(at, NOW - HOUR) for at in range(20)]
    wrong = _unreadable(envelope(100, NOW - HOUR))
    values = [good[0][:-1], *good[:10], wrong, good[0] + b"\x00", *good[10:], good[0] + good[0][5:], wrong]
    publish(fresh, values)
    steps = ("fetched", "intent", "spliced", "spliced:2", "inserted", "batch_row")
    for step in steps if LONG else steps[3:5]:
        assert Program(file, "consumer", "run", kill_at=f"loader.{step}").wait() == -9, step
    settled(fresh, file, len(values), rows_expected=20)
    letters = [json.loads(line) for line in run(file, "consumer", "dead-letter", "list", "--json").stdout.splitlines()]
    assert {letter["offset"]: letter["reason"] for letter in letters} == {
        0: "PAYLOAD_TOO_SHORT", 11: "REFUSED_BY_STORE", 12: "PAYLOAD_TOO_LONG", 23: "PAYLOAD_TOO_LONG",
        24: "REFUSED_BY_STORE",
    }  # fmt: skip


def _unreadable(value: bytes) -> bytes:
    """A payload that Python's Avro reader takes and the store's does not: a boolean that is 2."""
    other = envelope(100, NOW - HOUR, is_final=False)
    place = next(at for at in range(len(value)) if value[at] != other[at])
    assert (value[place], other[place]) == (1, 0)
    return value[:place] + b"\x02" + value[place + 1 :]


def test_case_22_the_state_is_lost(fresh: Settings, file: Path) -> None:
    """Intents live in Kafka's commits: they are deleted at each place where one was."""
    total = 0
    for step in ("intent", "inserted", "batch_row", "committed") if LONG else ("intent", "batch_row"):
        put(fresh, total, 100)
        total += 100
        assert Program(file, "consumer", "run", kill_at=f"loader.{step}").wait() == -9
        forget_group(fresh)
    settled(fresh, file, total)


@pytest.mark.parametrize("in_hand", [long(False), True], ids=["at rest", "with an intent"])
def test_case_24_the_store_is_restored_from_a_backup(
    stack: LocalStack,
    fresh: Settings,
    file: Path,
    tmp_path: Path,
    in_hand: bool,
) -> None:
    """A cold copy of its data, older than Kafka's commits: the loader goes back to where the book ends."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    data = stack.store.folder / "data"
    stack.store.stop()
    shutil.copytree(data, tmp_path / "backup", symlinks=True)
    stack.store.start()
    put(fresh, 100, 100)
    settled(fresh, file, 200)
    if in_hand:
        put(fresh, 200, 50)
        assert Program(file, "consumer", "run", kill_at="loader.intent").wait() == -9
    stack.store.stop()
    shutil.rmtree(data)
    shutil.move(tmp_path / "backup", data)
    stack.store.start()
    settled(fresh, file, 250 if in_hand else 200)


@pytest.mark.long
def test_case_24_the_store_is_newer_than_the_commits(fresh: Settings, file: Path) -> None:
    """Kafka's commits are the ones that are old: they were restored, and an intent of long ago with them."""
    put(fresh, 0, 100)
    assert Program(file, "consumer", "run", kill_at="loader.intent").wait() == -9
    group = {"bootstrap.servers": fresh.kafka.bootstrap_servers, "group.id": fresh.loader.group_id}
    places = [TopicPartition(topics.ENVELOPE.name, number) for number in range(12)]
    with_intent = Consumer(group)
    old = [place for place in with_intent.committed(places, timeout=10) if place.metadata]
    with_intent.close()
    assert len(old) == 1
    put(fresh, 100, 100)
    settled(fresh, file, 200)
    restoring = Consumer(group)
    restoring.commit(offsets=old, asynchronous=False)
    restoring.close()
    put(fresh, 200, 10)
    settled(fresh, file, 210)


@pytest.mark.parametrize("step", [long("spliced"), "inserted"])
def test_case_25_a_day_is_dropped_before_a_replay(fresh: Settings, file: Path, step: str) -> None:
    """Dropping a day drops its tokens too. Neither what was inserted nor what was not comes into a day that is gone."""
    values = [envelope(at, NOW - (61 if at % 2 else 40) * DAY) for at in range(60)]
    publish(fresh, values)
    ago = str(-2 * 86_400)
    killed = Program(file, "consumer", "run", kill_at=f"loader.{step}", LIUCUN_CLOCK_OFFSET_SECONDS=ago)
    assert killed.wait() == -9
    assert count(fresh) == (60 if step == "inserted" else 0)
    day = day_of(NOW - 61 * DAY, Legal().zone_info)
    client = connect(fresh.clickhouse, fresh.clickhouse.ops)
    client.command(f"ALTER TABLE envelope DROP PARTITION '{day}'")
    client.close()
    settled(fresh, file, 60, rows_expected=30)


def test_case_26_there_is_no_second_table_to_differ(fresh: Settings) -> None:
    """Lookups read the table that the loader writes: no view, no copy."""
    engines = rows(fresh, "SELECT name, engine FROM system.tables WHERE database = 'liucun' ORDER BY name")
    assert dict(engines) == dict.fromkeys(("batch", "coverage", "envelope", "migration", "retention"), "MergeTree")


def test_case_27_the_server_turned_asynchronous_inserts_on(fresh: Settings, file: Path) -> None:
    with Profile(fresh, "<async_insert>1</async_insert><wait_for_async_insert>0</wait_for_async_insert>"):
        put(fresh, 0, 300, days=5)
        for step in ("spliced", "inserted", "batch_row"):
            assert Program(file, "consumer", "run", kill_at=f"loader.{step}").wait() == -9
        settled(fresh, file, 300)


def test_case_29_too_many_parts_and_no_memory(fresh: Settings, file: Path) -> None:
    """Refusals that pass: the loader waits, says so, and loads."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    as_migrator(fresh, "ALTER TABLE envelope MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1")
    put(fresh, 100, 100)
    loader = Program(file, "consumer", "run")
    until(lambda: "busy or away" in loader.said(), 60)
    as_migrator(fresh, "ALTER TABLE envelope RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
    until(lambda: booked(fresh) >= 200, 60)
    with Profile(fresh, "<max_memory_usage>1000000</max_memory_usage>"):
        put(fresh, 200, 5000, days=50)
        time.sleep(5)
    settled(fresh, file, 5200, loader)


def test_case_30_more_partitions(fresh: Settings, file: Path) -> None:
    """New ones are loaded from their beginning, whatever came before the loader heard of them."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    admin = AdminClient({"bootstrap.servers": fresh.kafka.bootstrap_servers})
    now = len(admin.list_topics(topics.ENVELOPE.name, timeout=10).topics[topics.ENVELOPE.name].partitions)
    for done in admin.create_partitions([NewPartitions(topics.ENVELOPE.name, 2 * now)]).values():
        done.result()
    until(
        lambda: (
            len(admin.list_topics(topics.ENVELOPE.name, timeout=10).topics[topics.ENVELOPE.name].partitions) == 2 * now
        )
    )
    for number in range(20):
        put(fresh, 100 + number * 10, 10, key=f"agent{number}")
    settled(fresh, file, 300)
