"""Errors of what ops run.

LiucunError
├── MigrationError     exit 1: a migration must not or cannot be applied
├── RetentionError     exit 1: a day must not or cannot be dropped
│   └── ClockError     exit 1: a clock cannot be believed, so nothing is dropped and the store does not start
└── SettingsError
    └── LockHeldError  exit 2: another scheduler runs
"""

from infra.platform.errors import LiucunError, SettingsError


class MigrationError(LiucunError):
    """A migration is refused or failed; what was applied before it stays."""

    reason = "MIGRATION"


class RetentionError(LiucunError):
    """A drop is refused or did not do what it should; nothing younger than its limit was touched."""

    reason = "RETENTION"


class ClockError(RetentionError):
    """The clock is not where it should be; a person must look."""

    reason = "CLOCK"


class LockHeldError(SettingsError):
    """Another scheduler holds the lock."""

    reason = "LOCK_HELD"
