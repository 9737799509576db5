"""The loader's failure cases by number (docs/reliability.md), on the real broker and the real store.

Each ends with the same two sentences: every record is in the store once, and `consumer verify` agrees. What one machine
cannot show is simulated, and its test says so. Cases 2 and 4 are in test_kill.py (killed at each step), 28 in
tests/integration/test_loader.py.
"""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.batch import Message
from consumers.insert import SETTINGS, Store, window_of
from consumers.splice import column_names
from consumers.splice import file as splice
from infra.local.stack import LocalStack
from infra.platform.clock import HOUR, SystemClock, day_of
from infra.platform.settings import Legal, Settings
from schemas import avro, topics
from tests.loading import NOW, Profile, as_migrator, booked, long, put, settled, stopped
from tests.pipeline import Program, count, envelope, until, write_settings
from tests.proxy import Mischief, Proxy


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


@pytest.mark.parametrize("step", [long("intent"), "spliced", "inserted", long("batch_row")])
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
        proxy.mischief = Mischief(cut_body_at=cut, times=100)  # each try, until the loader is killed
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


def test_case_17_other_server_settings_at_the_second_try(fresh: Settings, proxy: Proxy, behind: Path) -> None:
    """Blocks are split otherwise the second time: every setting that decides it is sent, so nothing changes."""
    put(fresh, 0, 5000, days=10)
    proxy.mischief = Mischief(lose_answer=True)
    loader = Program(behind, "consumer", "run")
    assert proxy.mischief.reached.wait(60)
    with Profile(fresh, "<max_insert_block_size>100</max_insert_block_size><max_insert_threads>2</max_insert_threads>"):
        settled(fresh, behind, 5000, loader)
    for name in ("max_insert_block_size", "min_insert_block_size_rows", "min_insert_block_size_bytes"):
        assert SETTINGS[name] > 1_000_000
