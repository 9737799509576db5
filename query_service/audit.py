"""The desk's side of the ledger: an entry is appended, committed, and then part of what this service knows.

`append` returns when the entry is COMMITTED and applied to the projection; it raises when it is not. Nobody here writes
an entry later, drops one, or goes on without one.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from infra.platform import metrics
from infra.platform.errors import LiucunError
from query_service.errors import AuditUnavailableError
from query_service.state import Entry, Readable, State


class Ledger(Readable, Protocol):
    """What is needed of infra.ledger.client.LedgerClient."""

    def append(self, kind: str, actor: str, **members: Any) -> int:
        """Returns when the entry is committed."""
        ...

    def size(self) -> int:
        """Committed entries."""
        ...


class Audit:
    """Thread-safe. AuditUnavailableError from every method when the ledger does not answer."""

    def __init__(self, ledger: Ledger, state: State) -> None:
        self._ledger = ledger
        self._state = state

    def append(self, kind: str, actor: str, **members: Any) -> int:
        """The index of the committed entry; the projection holds it when this returns."""
        try:
            index = self._ledger.append(kind, actor, **members)
            self._state.catch_up(self._ledger)
        except LiucunError:
            metrics.DESK_AUDIT_FAILURES.inc()
            raise AuditUnavailableError from None
        return index

    def catch_up(self) -> None:
        """Take over what others have written: revocations, first of all."""
        try:
            self._state.catch_up(self._ledger)
        except LiucunError:
            raise AuditUnavailableError from None

    def read(self, start: int, limit: int) -> Sequence[Entry]:
        """Entries, for auditors."""
        try:
            return self._ledger.read(start, limit)
        except LiucunError:
            raise AuditUnavailableError from None

    def size(self) -> int:
        """Committed entries."""
        try:
            return self._ledger.size()
        except LiucunError:
            raise AuditUnavailableError from None

    def checkpoint(self) -> str:
        """The newest signed note."""
        try:
            return self._ledger.checkpoint()
        except LiucunError:
            raise AuditUnavailableError from None
