"""Which user may append what, and who reads: the kernel says whose process calls, and this table what it may.

1. The ledger's own user may append everything and read everything: it holds the keys and the files. Where all parts run
   as one user, as in the demo, the kernel cannot tell them apart, and this keeps nobody from anything.
2. Any other may append what the settings that name it give, and nothing else.
3. The query service reads unnoticed: it says itself who reads through it. What anybody else reads is an entry of the
   ledger's own, committed before the first payload leaves (answers.Noted); at most one a minute a user.
"""

import os
from typing import Any, Final

from infra.ledger.errors import NotAllowedError
from infra.platform.settings import Ledger

_READS: Final = frozenset({"LEDGER_READ", "LEDGER_EXPORTED"})
QUERY: Final = frozenset(
    {
        "AGENCY_ENTERED", "AGENCY_APPROVED", "AGENCY_REVOKED", "PERSON_ENTERED", "PERSON_APPROVED", "PERSON_REVOKED",
        "SERVICE_STARTED", "AUTHORIZATION_ENTERED", "AUTHORIZATION_APPROVED", "AUTHORIZATION_REJECTED",
        "AUTHORIZATION_REVOKED", "LOOKUP_INTENT", "LOOKUP_SEGMENT", "LOOKUP_OUTCOME", "LOOKUP_CANCELLED", "REFUSED",
        "REFUSALS_SUMMARY", "RECORDS_READ", "LEDGER_READ",
    }
)  # fmt: skip
OPS: Final = frozenset({"DROP_INTENT", "DROP_DONE", "DROP_FAILED"})
REVEALS: Final = frozenset({"DEAD_LETTER_REVEALED"})


class Users:
    """As the settings name them, by number."""

    def __init__(self, settings: Ledger) -> None:
        self._own = os.geteuid()
        self._query = frozenset(settings.query_uids)
        self._may: dict[int, frozenset[str]] = {}
        for uids, kinds in (
            (settings.query_uids, QUERY),
            (settings.ops_uids, OPS),
            (settings.read_uids, _READS),
            (settings.reveal_uids, REVEALS),
        ):
            for uid in uids:
                self._may[uid] = self._may.get(uid, frozenset()) | kinds
        self.appenders = list(self._may)
        services = {self._own, *settings.query_uids, *settings.ops_uids}
        self.people = frozenset({*settings.read_uids, *settings.reveal_uids} - services)
        self.readers = [*settings.query_uids, *settings.read_uids]

    def check(self, uid: int, kind: Any) -> None:
        """1 and 2. NotAllowedError."""
        if uid != self._own and kind not in self._may.get(uid, ()):
            raise NotAllowedError(
                f"User {uid} may not append this kind of entry.",
                "See ledger.query_uids, ops_uids, read_uids, reveal_uids.",
            )

    def is_noted(self, uid: int) -> bool:
        """3."""
        return uid != self._own and uid not in self._query
