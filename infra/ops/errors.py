"""Errors of what ops run.

LiucunError
├── MigrationError     exit 1: a migration must not or cannot be applied
├── RetentionError     exit 1: a day must not or cannot be dropped
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


class LockHeldError(SettingsError):
    """Another scheduler holds the lock."""

    reason = "LOCK_HELD"
