"""The store's clock against the application's, every minute; and the store's TTL, which obeys the store's clock.

While the two agree, and are near the last agreed time, that time moves on. When they do not, the store's TTL merges are
stopped (a running server would delete by its wrong clock) and the job fails, which raises the alarm. They are started
again when the clocks agree. A stop does not outlive the server's restart, so it is said again every minute.
"""

from infra.ops import clock_guard
from infra.ops.errors import ClockError
from infra.platform import metrics
from infra.platform.clickhouse import ClickHouseError, Client, connect, neutral
from infra.platform.clock import SECOND, Clock
from infra.platform.settings import Settings

_TABLES = ("envelope", "coverage", "batch", "retention")


def difference_seconds(client: Client, clock: Clock) -> float:
    """The store's clock less the application's."""
    before = clock.now()
    store: int = client.query("SELECT toUnixTimestamp64Micro(now64(6))").result_rows[0][0]
    seconds = (store - (before + clock.now()) / 2) / SECOND
    metrics.CLOCK_DIFFERENCE.set(seconds)
    return seconds


def check(client: Client, settings: Settings, clock: Clock) -> float:
    """The difference in seconds. ClockError when it is too large, or the clock is far from the agreed time."""
    seconds = difference_seconds(client, clock)
    if abs(seconds) > settings.ops.clock_difference_seconds_max:
        raise ClockError(
            f"The store's clock differs from this machine's by {seconds:.0f} seconds.",
            "Find out which is wrong and synchronise it; until then no day is dropped.",
        )
    clock_guard.check(settings.ops.state_dir, clock)
    return seconds


def agree(settings: Settings, clock: Clock) -> str:
    """One round. ClockError when the clocks cannot be believed; TTL merges are stopped then."""
    store = settings.clickhouse
    client = connect(store, store.ops)
    try:
        try:
            seconds = check(client, settings, clock)
        except ClockError:
            _ttl_merges(client, "STOP")
            raise
        clock_guard.write_agreed_time(settings.ops.state_dir, clock.now())
        _ttl_merges(client, "START")
    except ClickHouseError as error:
        raise neutral(error, store) from None
    finally:
        client.close()
    return f"the store's clock differs by {seconds:.3f} seconds"


def _ttl_merges(client: Client, verb: str) -> None:
    for table in _TABLES:
        client.command(f"SYSTEM {verb} TTL MERGES {table}")
