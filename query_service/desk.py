"""The parts of one query service, made once and handed to its services. Nothing here decides anything."""

import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from infra.platform.clock import Clock
from infra.platform.settings import Settings
from query_service.audit import Audit
from query_service.errors import DeskError
from query_service.pages import Pages
from query_service.segments import Segments
from query_service.state import Authorization, Lookup, State
from query_service.store import Store
from query_service.vault import Vault


class Running:
    """What is on its way now, by name: lookups with the id of their query, and whether they were told to stop.

    And authorizations that are being entered, without a query.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: dict[str, tuple[str, threading.Event]] = {}

    @contextmanager
    def one(self, lookup: str, query_id: str) -> Iterator[threading.Event]:
        """While it runs; the event is set by `stop`."""
        told = threading.Event()
        with self._lock:
            self._queries[lookup] = (query_id, told)
        try:
            yield told
        finally:
            with self._lock:
                del self._queries[lookup]

    def stop(self, lookup: str) -> str | None:
        """Tell one to stop; its query's id, None when it does not run."""
        with self._lock:
            found = self._queries.get(lookup)
        if found is None:
            return None
        found[1].set()
        return found[0]

    def names(self) -> list[str]:
        """All of them."""
        with self._lock:
            return list(self._queries)

    def __contains__(self, lookup: str) -> bool:
        with self._lock:
            return lookup in self._queries


def new_id() -> str:
    """An id that nobody guesses: 26 characters of 16^26."""
    return secrets.token_hex(13)


@dataclass(frozen=True, slots=True)
class Desk:
    """What services work with."""

    settings: Settings
    clock: Clock
    audit: Audit
    state: State
    store: Store
    segments: Segments
    documents: Vault
    pages: Pages
    new_id: Callable[[], str] = new_id
    running: Running = field(default_factory=Running)
    _locks: dict[str, threading.RLock] = field(default_factory=dict)

    def of_agency(self, agency: str) -> threading.RLock:
        """Between looking and appending, one call of an agency at a time: budgets, request ids, signatures."""
        return self._locks.setdefault(agency, threading.RLock())  # atomic, which a defaultdict is not

    def authorization(self, name: str) -> Authorization:
        """NOT_FOUND when there is none."""
        found = self.state.authorization(name)
        if found is None:
            raise DeskError("NOT_FOUND")
        return found

    def lookup(self, name: str) -> Lookup:
        """NOT_FOUND when there is none."""
        found = self.state.lookup(name)
        if found is None:
            raise DeskError("NOT_FOUND")
        return found

    def page_size(self, asked: int) -> int:
        """What a page has: ours for 0, at most the bound. REQUEST_INVALID for less than 0 (AIP-158)."""
        if asked < 0:
            raise DeskError("REQUEST_INVALID", "The field page_size is negative.", field="page_size")
        return min(asked or self.settings.server.page_size_standard, self.settings.server.page_size_max)


def request_id(value: str) -> str:
    """A UUID in its one form. REQUEST_INVALID."""
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise DeskError("REQUEST_INVALID", "The field request_id is not a UUID.", field="request_id") from None
