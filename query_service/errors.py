"""The desk's errors: each is a reason of the catalogue (reasons.py), and becomes one gRPC status.

LiucunError
└── DeskError           reason and code from the catalogue; details for the caller; never a value that was asked for
    └── AuditUnavailableError   the ledger did not commit: nothing is answered
"""

from infra.platform.errors import LiucunError
from query_service.reasons import REASONS, Reason


class DeskError(LiucunError):
    """A call that is not answered. `details` go to the caller as ErrorInfo metadata; texts name no value."""

    def __init__(self, reason: str, message: str = "", **details: str) -> None:
        self.entry: Reason = REASONS[reason]
        super().__init__(message or self.entry.meaning, self.entry.advice)
        self.reason = reason  # type: ignore[misc]  # one class, many reasons: the catalogue is the tree
        self.details = details


class AuditUnavailableError(DeskError):
    """The ledger did not commit in time."""

    def __init__(self) -> None:
        super().__init__("AUDIT_UNAVAILABLE")
