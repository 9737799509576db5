"""The store's clock against the application's, every minute; and the store's TTL, which obeys the store's clock.

While the two agree, and are near the last agreed time, that time moves on. When they do not, the store's TTL merges are
stopped (a running server would delete by its wrong clock) and the job fails, which raises the alarm. They are started
again when the clocks agree. A stop does not outlive the server's restart, so it is said again every minute.
"""

import time

from infra.ops import clock_guard
from infra.ops.errors import ClockError
from infra.platform import metrics
from infra.platform.clickhouse import ClickHouseError, Client, connect, neutral
from infra.platform.clock import SECOND, Clock
from infra.platform.settings import Settings

JUMP_SECONDS_MAX = 300
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


class Steady:
    """Sees a clock that is set while the scheduler runs, which comparing it with the store's on one machine does not.

    The kernel's time since boot goes on evenly; a wall clock that has left it by more than JUMP_SECONDS_MAX since the
    last round was set. A person then looks, and says so: `confirm-clock` writes another agreed time.
    """

    def __init__(self) -> None:
        self._last: tuple[int, float, int] | None = None  # wall, since boot, the agreed time that was written

    def check(self, now: int, agreed: int | None) -> None:
        """ClockError when the clock jumped and nobody has confirmed it."""
        if self._last is None or agreed != self._last[2]:
            return
        wall, since_boot, _ = self._last
        jump = (now - wall) / SECOND - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
        if abs(jump) > JUMP_SECONDS_MAX:
            raise ClockError(
                f"The clock was set by {jump:.0f} seconds while the scheduler ran.",
                "If it is right now, run `liucun retention confirm-clock --execute`; until then no day is dropped.",
            )

    def note(self, now: int) -> None:
        """The clocks agree, and `now` was written as the agreed time."""
        self._last = (now, time.clock_gettime(time.CLOCK_BOOTTIME), now)


def agree(settings: Settings, clock: Clock, steady: Steady) -> str:
    """One round. ClockError when the clocks cannot be believed; TTL merges are stopped then."""
    store = settings.clickhouse
    client = connect(store, store.ops)
    try:
        try:
            seconds = check(client, settings, clock)
            steady.check(clock.now(), clock_guard.agreed_time(settings.ops.state_dir))
        except ClockError:
            _ttl_merges(client, "STOP")
            raise
        now = clock.now()
        clock_guard.write_agreed_time(settings.ops.state_dir, now)
        steady.note(now)
        _ttl_merges(client, "START")
    except ClickHouseError as error:
        raise neutral(error, store) from None
    finally:
        client.close()
    return f"the store's clock differs by {seconds:.3f} seconds"


def _ttl_merges(client: Client, verb: str) -> None:
    for table in _TABLES:
        client.command(f"SYSTEM {verb} TTL MERGES {table}")
