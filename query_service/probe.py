"""Whether the store answers, asked in a thread of its own: a store that stalls must hold up nothing else."""

import threading
import time
from typing import Final

from query_service.store import Store

PROBE_SECONDS: Final = 2.0
FRESH_SECONDS_MAX: Final = 3 * PROBE_SECONDS  # an older answer is none: the asking itself is stuck


class Probe:
    """The store may take as long as it likes; it is asked again when it has answered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._good_at = float("-inf")
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to ask. The thread ends with the process: a stalled store does not keep it."""
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def good(self) -> bool:
        """Whether the store has answered lately; never waits."""
        return time.monotonic() - self._good_at <= FRESH_SECONDS_MAX

    def _run(self) -> None:
        while not self._stop.is_set():
            self._good_at = time.monotonic() if self._store.answers() else float("-inf")
            self._stop.wait(PROBE_SECONDS)
