"""The desk's side of the ledger: an entry is appended, committed, and then part of what this service knows.

`append` returns when the entry is COMMITTED and applied to the projection; it raises when it is not. Nobody here writes
an entry later, drops one, or goes on without one.

One service answers on one ledger, the one that has started last: budgets of hits, single use of tokens and the closing
of intents are held by one process. Its entry SERVICE_STARTED is the claim; a service that reads another's claim behind
its own appends and answers nothing any more. A ledger that was restored from a backup is claimed anew.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Final, Protocol

from infra.platform import metrics
from infra.platform.errors import LiucunError
from query_service.errors import AuditUnavailableError
from query_service.state import Entry, Readable, State

LEARN_SECONDS_MAX: Final = 1.0


class Ledger(Readable, Protocol):
    """What is needed of infra.ledger.client.LedgerClient."""

    def append(self, kind: str, actor: str, **members: Any) -> int:
        """Returns when the entry is committed."""
        ...

    def size(self) -> int:
        """Committed entries."""
        ...

    def within(self, seconds: float) -> "Ledger":
        """The same, for one who waits so long at most."""
        ...


class Audit:
    """Thread-safe. AuditUnavailableError from every method when the ledger does not answer."""

    def __init__(self, ledger: Ledger, state: State) -> None:
        self._ledger = ledger
        self._hasty = ledger.within(LEARN_SECONDS_MAX)
        self._state = state
        self._instance = secrets.token_hex(16)
        self._claimed = 0  # which of the state's ledgers is ours

    @property
    def claimed(self) -> bool:
        """Whether the ledger that is read now was claimed."""
        return self._claimed == self._state.ledgers

    def claim(self, actor: str, version: str) -> None:
        """Begin to answer; nothing else is appended before. To be repeated until it succeeds."""
        read = self._state.ledgers
        try:
            self._ledger.append("SERVICE_STARTED", actor, service="query", version=version, instance=self._instance)
            self._state.catch_up(self._ledger)
        except LiucunError:
            raise AuditUnavailableError from None
        self._claimed = read

    @property
    def superseded(self) -> bool:
        """Whether another service has claimed this ledger behind us."""
        try:
            return self.claimed and self._state.service != self._instance
        except AuditUnavailableError:  # exchanged at this moment: it is not known
            return False

    def append(self, kind: str, actor: str, **members: Any) -> int:
        """The index of the committed entry; the projection holds it when this returns."""
        self._must_be_ours()
        try:
            index = self._ledger.append(kind, actor, **members)
            self._state.catch_up(self._ledger)
        except LiucunError:
            metrics.DESK_AUDIT_FAILURES.inc()
            raise AuditUnavailableError from None
        self._must_be_ours()
        return index

    def catch_up(self) -> None:
        """Take over what others have written, revocations first of all; go on only if the claim is still ours."""
        self.learn()
        self._must_be_ours()

    def learn(self) -> None:
        """The same before the claim: to know, not to answer."""
        try:
            self._state.catch_up(self._ledger)
        except LiucunError:
            raise AuditUnavailableError from None

    def learn_soon(self) -> None:
        """The same for one who must not wait: when it takes LEARN_SECONDS_MAX, and one request as long, it is away."""
        try:
            self._state.catch_up(self._hasty, LEARN_SECONDS_MAX)
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

    def _must_be_ours(self) -> None:
        if not self.claimed or self._state.service != self._instance:
            raise AuditUnavailableError
