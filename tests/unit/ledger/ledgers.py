"""A ledger in this process: no sockets, so paths may be long."""

from pathlib import Path

from infra.ledger.store import Store
from infra.platform.clock import DAY, Clock, MovedClock, SystemClock
from infra.platform.settings import Ledger
from tests.ledgers import ledger_settings, make_ledger

LATER = MovedClock(SystemClock(), 1097 * DAY)


def new(home: Path) -> Ledger:
    """A ledger with its genesis."""
    settings = ledger_settings(home)
    make_ledger(settings)
    return settings


def opened(settings: Ledger, clock: Clock | None = None) -> Store:
    """Open it."""
    return Store(settings, clock or SystemClock())


def append(store: Store, number: int, kind: str = "REFUSED", text: str = "") -> int:
    """One entry in a group of its own."""
    request_id = number.to_bytes(16, "big")
    (index,) = store.commit([store.prepare(request_id, kind, "services/query", {"number": number, "text": text})])
    return index


def filled(home: Path, count: int, *, publish: bool = True) -> Ledger:
    """A ledger with `count` entries behind its genesis, closed."""
    settings = new(home)
    store = opened(settings)
    for number in range(count):
        append(store, number + 1)
    if publish:
        store.publish()
    store.close()
    return settings
