"""THE WAY of the ledger: request -> group -> payload -> leaf -> head -> answer; and once a second tiles -> checkpoint.

1. A request comes in at the append socket, from a user who may append this kind  (door, users)
2. it becomes an entry: kind, time, canonical payload                             (answers, entries)
3. with all others that wait it makes a group                                     (here)
4. encrypted payloads, fdatasync; leaves, fdatasync; the root is signed in memory (store, payloads, leaves, tree)
5. COMMITTED: each is answered with its index
6. PUBLISHED: at most once a second, and at the end, tiles and then the checkpoint (publish)

When the disk takes nothing, everybody is told so. When a sync fails, what is on disk is not known: nothing is committed
or published any more and this process ends. The next start reads what is there, writes it again and syncs it before it
signs or answers (recover, 8); so an entry that was refused may be there afterwards.
"""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from infra.ledger import answers
from infra.ledger.door import Door
from infra.ledger.errors import NotCommittedError, StoppingError, StorageUnknownError
from infra.ledger.store import Store
from infra.ledger.users import Users
from infra.platform import logging, metrics
from infra.platform.clock import Clock
from infra.platform.settings import Ledger

WAITING_MAX: Final = 4096  # appends that wait for a group; beyond, they are refused
PUBLISH_SECONDS: Final = 1.0
_LOG = logging.get("ledger")


class Writer:
    """The one writer process."""

    def __init__(self, settings: Ledger, clock: Clock) -> None:
        """Open the ledger: what another writer, damage or a missing key forbids is raised here."""
        self.store = Store(settings, clock)
        self._users = Users(settings)
        self._waiting: asyncio.Queue[answers.Waiting] = asyncio.Queue(WAITING_MAX)
        reading = answers.Reading(self.store, answers.Noted(self.store, self._users, self._waiting))
        self._stop = asyncio.Event()
        self._disk = ThreadPoolExecutor(1, "commit")  # one thread writes, and the event loop never waits for the disk
        seconds, people = settings.request_timeout_seconds, self._users.people
        self._doors = (
            Door(settings.append_socket, self._users.appenders, self._append, seconds, people),
            Door(settings.read_socket, self._users.readers, reading, seconds, people),
        )

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then answer what waits, publish, and end. StorageUnknownError ends it too."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        await self._publish()
        parts = (self._commit_forever(), self._publish_forever(), self._stop.wait())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            for door in self._doors:
                await door.open()
            _LOG.info("ledger runs", size=self.store.head.size)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # an error of the disk ends the writer here
            await self._waiting.join()
        finally:
            for door in self._doors:
                await door.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._disk.shutdown()
        await self._publish()
        self.store.close()

    async def _append(self, uid: int, request: dict[str, Any]) -> dict[str, Any]:
        """1, 2 and 5. An erasure takes its turn among the groups."""
        if self._stop.is_set():
            raise StoppingError("The ledger stops.", "Ask again.")
        if request == {"op": "size"}:
            return {"size": self.store.head.size}
        if request.get("op") == "erase":
            loop = asyncio.get_running_loop()
            return {"index": await loop.run_in_executor(self._disk, answers.erased, self.store, uid, request)}
        return {
            "index": await answers.committed(self._waiting, answers.prepared(self.store, self._users, uid, request))
        }

    async def _commit_forever(self) -> None:
        """3 and 4. Whatever came while the last group was written is the next one."""
        loop = asyncio.get_running_loop()
        while True:
            group = answers.group_behind(await self._waiting.get(), self._waiting)
            try:
                with metrics.LEDGER_COMMIT_SECONDS.time():
                    committed = await loop.run_in_executor(self._disk, self.store.commit, [entry for entry, _ in group])
                answers.settle(group, committed)
            except (NotCommittedError, StorageUnknownError) as error:
                answers.fail(group, error)
                if isinstance(error, StorageUnknownError):
                    raise
            finally:
                for _ in group:
                    self._waiting.task_done()

    async def _publish_forever(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_SECONDS)
            await self._publish()

    async def _publish(self) -> None:
        """A full disk is waited for: what is COMMITTED is there already. An erasure that has failed ends the writer."""
        if self.store.broken is not None:
            raise self.store.broken
        try:
            await asyncio.to_thread(self.store.publish)
        except OSError as error:
            metrics.LEDGER_FAILURES.labels("NOT_PUBLISHED").inc()
            _LOG.error("tiles cannot be written", errno=error.errno)
