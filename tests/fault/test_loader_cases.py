"""The loader's failure cases by number (docs/reliability.md), on the real broker and the real store.

Each ends with the same two sentences: every record is in the store once, and `consumer verify` agrees. What one machine
cannot show is simulated, and its test says so. Cases 2 and 4 are in test_kill.py (killed at each step), 28 in
tests/integration/test_loader.py.
"""

import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from consumers.batch import Message
from consumers.insert import SETTINGS, Store, window_of
from consumers.splice import column_names
from consumers.splice import file as splice
from infra.local.stack import LocalStack
from infra.ops.migrate import migrate_topics
from infra.platform.clickhouse import connect
from infra.platform.clock import DAY, HOUR, SystemClock, day_of
from infra.platform.settings import Legal, Settings
from schemas import avro, topics
from tests.pipeline import Program, count, envelope, exactly_once, publish, rows, run, until, write_settings
from tests.proxy import Mischief, Proxy

NOW = SystemClock().now()


@pytest.fixture
def file(fresh: Settings, tmp_path: Path) -> Path:
    """Settings of a loader that speaks to the store itself."""
    return write_settings(tmp_path / "liucun.toml", fresh)


@pytest.fixture
def proxy(fresh: Settings) -> Iterator[Proxy]:
    """Between a loader and the store."""
    made = Proxy(fresh.clickhouse.port)
    yield made
    made.close()


@pytest.fixture
def behind(fresh: Settings, proxy: Proxy, tmp_path: Path) -> Path:
    """Settings of a loader that speaks to the store through the proxy."""
    store = fresh.clickhouse.model_copy(update={"port": proxy.port})
    return write_settings(tmp_path / "behind.toml", fresh.model_copy(update={"clickhouse": store}))


def put(settings: Settings, first: int, number: int, *, days: int = 1, key: str = "test") -> None:
    """Envelopes with these sequences, over so many days."""
    publish(settings, [envelope(at, NOW - HOUR - (at % days) * DAY) for at in range(first, first + number)], key=key)


def booked(settings: Settings) -> int:
    """Messages of all batches in the book."""
    found: int = rows(settings, "SELECT sum(record_count) FROM (SELECT DISTINCT * FROM batch)")[0][0]
    return found


def settled(
    settings: Settings, file: Path, expected: int, loader: Program | None = None, rows_expected: int | None = None
) -> None:
    """Let a loader come to the end; then nothing is missing, nothing is there twice, and verify says so."""
    loader = loader or Program(file, "consumer", "run")
    until(lambda: booked(settings) >= expected, 120)
    until(lambda: listens(loader))
    assert loader.stop() == 0, loader.said()
    exactly_once(settings, expected if rows_expected is None else rows_expected)
    report = json.loads(run(file, "consumer", "verify", "--json").stdout)
    assert report["ok"], report


def listens(program: Program) -> bool:
    """Whether it takes SIGTERM for a request: what has just been started may not yet."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def as_migrator(settings: Settings, *statements: str) -> None:
    """Changes of a table, as an operator makes them."""
    client = connect(settings.clickhouse, settings.clickhouse.migrator)
    for statement in statements:
        client.command(statement)
    client.close()


def forget_group(settings: Settings, *, move_to: int | None = None) -> None:
    """Delete the group's commits, once it is empty; or move them all."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    group = settings.loader.group_id

    def empty() -> bool:
        (described,) = admin.describe_consumer_groups([group]).values()
        return not described.result().members

    until(empty, 60)
    if move_to is None:
        for done in admin.delete_consumer_groups([group]).values():
            done.result()
        return
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": group})
    numbers = consumer.list_topics(topics.ENVELOPE.name, timeout=10).topics[topics.ENVELOPE.name].partitions
    consumer.commit(
        offsets=[TopicPartition(topics.ENVELOPE.name, number, move_to) for number in numbers], asynchronous=False
    )
    consumer.close()


def stopped(program: Program) -> bool:
    """Whether the kernel holds it."""
    status = Path(f"/proc/{program.process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


def test_case_01_killed_before_the_intent(fresh: Settings, file: Path) -> None:
    for round_number in range(2):
        put(fresh, round_number * 100, 100)
        assert Program(file, "consumer", "run", kill_at="loader.fetched").wait() == -9
    settled(fresh, file, 200)


def test_case_03_killed_inside_the_insert(fresh: Settings, proxy: Proxy, behind: Path, file: Path) -> None:
    """The request is half way to the store when the process ends."""
    put(fresh, 0, 2000, days=20)
    proxy.mischief = Mischief(hold_body_at=100_000, hold_seconds=3)
    loader = Program(behind, "consumer", "run")
    assert proxy.mischief.reached.wait(60)
    loader.kill()
    time.sleep(3.5)
    settled(fresh, file, 2000)


def test_case_05_the_answer_is_lost(fresh: Settings, proxy: Proxy, behind: Path) -> None:
    """Rows are written, the acknowledgement is not heard, and the same request is sent again, twice."""
    put(fresh, 0, 500, days=10)
    proxy.mischief = Mischief(lose_answer=True, times=2)
    settled(fresh, behind, 500)
    assert proxy.mischief.done == 2


def test_case_06_the_client_is_gone_while_the_store_works(fresh: Settings, proxy: Proxy, behind: Path) -> None:
    """The second try may meet the first one at work."""
    put(fresh, 0, 20_000, days=50)
    proxy.mischief = Mischief(lose_answer=True, at_once=True, times=2)
    settled(fresh, behind, 20_000)
    assert proxy.mischief.done == 2


def test_case_07_rebalance_inside_an_insert(fresh: Settings, proxy: Proxy, behind: Path, file: Path) -> None:
    """Another loader joins while one's insert is held; partitions move, and records keep coming on several keys."""
    for number in range(6):
        put(fresh, number * 200, 200, key=f"agent{number}")
    proxy.mischief = Mischief(hold_body_at=20_000, hold_seconds=6)
    first = Program(behind, "consumer", "run")
    assert proxy.mischief.reached.wait(60)
    second = Program(file, "consumer", "run")
    for number in range(6):
        put(fresh, 1200 + number * 200, 200, key=f"agent{number}")
    until(lambda: booked(fresh) >= 2400, 120)
    assert first.stop() == 0, first.said()
    settled(fresh, file, 2400, second)


@pytest.mark.parametrize("step", ["intent", "spliced", "inserted", "batch_row"])
def test_case_08_a_zombie_wakes_after_the_hand_over(fresh: Settings, file: Path, step: str) -> None:
    """Held until another loader has its partitions and has loaded; then it goes on, and may not write."""
    put(fresh, 0, 300, days=10)
    zombie = Program(file, "consumer", "run", LIUCUN_STOP_AT=f"loader.{step}")
    until(lambda: stopped(zombie), 60)
    heir = Program(file, "consumer", "run", log=file.with_suffix(".heir.log"))
    until(lambda: booked(fresh) >= 300, 90)
    put(fresh, 300, 50)
    until(lambda: booked(fresh) >= 350, 90)
    zombie.process.send_signal(signal.SIGCONT)
    until(lambda: "its batch is left to its new loader" in zombie.said(), 60)
    assert zombie.stop() == 0, zombie.said()
    settled(fresh, file, 350, heir)


def test_case_09_a_zombie_wakes_after_the_window(fresh: Settings, file: Path) -> None:
    """The table has forgotten the zombie's token by then: only the fence is left."""
    put(fresh, 0, 300)
    zombie = Program(file, "consumer", "run", LIUCUN_STOP_AT="loader.spliced")
    until(lambda: stopped(zombie), 60)
    heir = Program(file, "consumer", "run", log=file.with_suffix(".heir.log"))
    until(lambda: booked(fresh) >= 300, 90)
    _overflow_window(fresh)
    put(fresh, 300, 50)
    until(lambda: booked(fresh) >= 357, 90)
    zombie.process.send_signal(signal.SIGCONT)
    until(lambda: "its batch is left to its new loader" in zombie.said(), 60)
    assert zombie.stop() == 0
    settled(fresh, file, 357, heir)


def _overflow_window(settings: Settings, window: int = 5) -> None:
    """Make the window small, and push everything out of it that was in."""
    as_migrator(settings, f"ALTER TABLE envelope MODIFY SETTING non_replicated_deduplication_window = {window}")
    before = count(settings)
    for number in range(window + 2):
        put(settings, 1_000_000 + number, 1, key="pusher")
        until(lambda: count(settings) > before)  # noqa: B023  (waited for at once)
        before = count(settings)


def test_case_10_window_overflow_by_time_is_simulated() -> None:
    """Only a replicated table has a window in time, and one machine has no replica: what is decided is tested."""
    replicated = "ReplicatedMergeTree('/t', 'r') SETTINGS replicated_deduplication_window = 100, "
    assert window_of(replicated + "replicated_deduplication_window_seconds = 604800") == (100, 604800.0)
    assert window_of("ReplicatedMergeTree('/t', 'r')") == (1000, 3600.0)
    assert window_of("MergeTree SETTINGS non_replicated_deduplication_window = 7") == (7, float("inf"))
    assert window_of("MergeTree") == (0, float("inf"))


def test_case_11_window_overflow_by_inserts_of_many_days(fresh: Settings, file: Path) -> None:
    """Killed behind its insert; then others fill the window with blocks of many days: the table is asked."""
    as_migrator(fresh, "ALTER TABLE envelope MODIFY SETTING non_replicated_deduplication_window = 40")
    put(fresh, 0, 100, days=10)
    assert Program(file, "consumer", "run", kill_at="loader.inserted").wait() == -9
    assert count(fresh) == 100
    _push_blocks(fresh, 30)
    settled(fresh, file, 100 + 30)


def _push_blocks(settings: Settings, number: int) -> None:
    """Rows and books of another partition's batches, as another loader inserts them: a block each."""
    store = Store(settings.clickhouse, threading.Event(), 1)
    for at in range(number):
        data = splice(
            [Message(at, envelope(1_000_000 + at, NOW - HOUR))],
            topic_epoch=b"of-another-topic", schema_id=avro.ENVELOPE_V1, partition=0, stored_time=NOW,
        )  # fmt: skip
        names = column_names(avro.ENVELOPE_V1)
        store.insert_avro("envelope", data, names, token=f"push-{at}", rows=1, fence=lambda: None)
        book = {
            "topic": topics.ENVELOPE.name, "topic_epoch": b"of-another-topic", "kafka_partition": 0, "first_offset": at,
            "last_offset": at, "record_count": 1, "loaded_count": 1,
            "rows_per_day": {_day(NOW - HOUR): 1}, "rows_per_schema_id": {1: 1}, "exclusions": [], "layout": 1,
            "decided_at": SystemClock().now(),
        }  # fmt: skip
        store.insert_batch_row(book, token=f"push-batch-{at}", fence=lambda: None)


def _day(moment: int) -> int:
    """Days since the epoch, in the legal zone."""
    return day_of(moment, Legal().zone_info).toordinal() - 719_163


def test_case_12_a_body_cut_inside_its_block(fresh: Settings, proxy: Proxy, behind: Path) -> None:
    """Also right behind its head and one byte before its end."""
    put(fresh, 0, 1000, days=5)
    for cut in (0, 1, 50_000, 200_000):
        proxy.mischief = Mischief(cut_body_at=cut)
        loader = Program(behind, "consumer", "run")
        assert proxy.mischief.reached.wait(60)
        time.sleep(1)
        loader.kill()
    settled(fresh, behind, 1000)


def test_case_13_a_body_cannot_be_cut_between_blocks() -> None:
    """ClickHouse takes an Avro file cut between blocks for a shorter one: ours has one block, and says its length."""
    data = splice(
        [Message(at, envelope(at, NOW)) for at in range(1000)],
        topic_epoch=bytes(16), schema_id=avro.ENVELOPE_V1, partition=0, stored_time=NOW,
    )  # fmt: skip
    sync = data[-16:]
    assert data.count(sync) == 2, "behind the head, and at the end"


def test_case_14_some_days_written_others_not(stack: LocalStack, fresh: Settings, file: Path) -> None:
    """The store is killed inside an insert of fifty days, three times."""
    total = 0
    for _ in range(3):
        put(fresh, total, 20_000, days=50)
        total += 20_000
        loader = Program(file, "consumer", "run")
        before = booked(fresh)
        until(lambda: count(fresh) > 0 or booked(fresh) > before)  # noqa: B023  (waited for at once)
        stack.store.kill()
        stack.store.start()
        loader.kill()
    settled(fresh, file, total)


def test_case_15_other_bounds_after_a_restart(fresh: Settings, file: Path) -> None:
    text = file.read_text()
    put(fresh, 0, 1000)
    for step, bound in (("intent", 70), ("inserted", 333)):
        put(fresh, 1000 if step == "intent" else 1500, 500)
        assert Program(file, "consumer", "run", kill_at=f"loader.{step}").wait() == -9
        file.write_text(text.replace("[loader]\n", f"[loader]\nbatch_records_max = {bound}\n", 1))
    settled(fresh, file, 2000)


def test_case_17_other_server_settings_at_the_second_try(fresh: Settings, proxy: Proxy, behind: Path) -> None:
    """Blocks are split otherwise the second time: every setting that decides it is sent, so nothing changes."""
    put(fresh, 0, 5000, days=10)
    proxy.mischief = Mischief(lose_answer=True)
    loader = Program(behind, "consumer", "run")
    assert proxy.mischief.reached.wait(60)
    with _profile(
        fresh, "<max_insert_block_size>100</max_insert_block_size><max_insert_threads>2</max_insert_threads>"
    ):
        settled(fresh, behind, 5000, loader)
    for name in ("max_insert_block_size", "min_insert_block_size_rows", "min_insert_block_size_bytes"):
        assert SETTINGS[name] > 1_000_000


class _profile:  # noqa: N801  (read as a word)
    """Other defaults of the loader's profile, for a while."""

    def __init__(self, settings: Settings, values: str) -> None:
        folder = settings.clickhouse.loader.password_file
        assert folder is not None
        self._file = folder.parents[1] / "users.d" / "zz-test.xml"
        self._text = f"<clickhouse><profiles><liucun_writer>{values}</liucun_writer></profiles></clickhouse>"
        self._settings = settings

    def __enter__(self) -> None:
        self._file.write_text(self._text)
        time.sleep(3)  # the server looks for changed files every two seconds

    def __exit__(self, *_: object) -> None:
        self._file.unlink()
        time.sleep(3)


def test_case_18_the_topic_is_made_anew(fresh: Settings, file: Path) -> None:
    """Its offsets begin at 0 again: a new epoch, whose records are not those of the old one, however many there are."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    _make_topic_anew(fresh)
    put(fresh, 100, 150)
    settled(fresh, file, 250)


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


@pytest.mark.parametrize("offset", [0, 30, 100, 175])
def test_case_19_offsets_are_reset_on_purpose(fresh: Settings, file: Path, offset: int) -> None:
    """Backwards nothing comes twice; forwards nothing is passed over: the book is the truth."""
    put(fresh, 0, 100)
    settled(fresh, file, 100)
    put(fresh, 100, 100)
    forget_group(fresh, move_to=offset)
    settled(fresh, file, 200)


def test_case_20_poison_in_a_batch_that_is_repeated(fresh: Settings, file: Path) -> None:
    """Killed at each step of a batch with wrong messages, of kinds that are seen at once and of kinds that are not."""
    good = [envelope(at, NOW - HOUR) for at in range(20)]
    wrong = _unreadable(envelope(100, NOW - HOUR))
    values = [good[0][:-1], *good[:10], wrong, good[0] + b"\x00", *good[10:], good[0] + good[0][5:], wrong]
    publish(fresh, values)
    for step in ("fetched", "intent", "spliced", "spliced:2", "inserted", "batch_row"):
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
    for step in ("intent", "inserted", "batch_row", "committed"):
        put(fresh, total, 100)
        total += 100
        assert Program(file, "consumer", "run", kill_at=f"loader.{step}").wait() == -9
        forget_group(fresh)
    settled(fresh, file, total)


@pytest.mark.parametrize("in_hand", [False, True], ids=["at rest", "with an intent"])
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


@pytest.mark.parametrize("step", ["spliced", "inserted"])
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
    with _profile(fresh, "<async_insert>1</async_insert><wait_for_async_insert>0</wait_for_async_insert>"):
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
    with _profile(fresh, "<max_memory_usage>1000000</max_memory_usage>"):
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
