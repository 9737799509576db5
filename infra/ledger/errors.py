"""The ledger's errors.

LiucunError
├── LedgerError                  exit 1
│   ├── LedgerUnavailableError   for clients: no committed answer in time; nothing may be read or released
│   │   └── StoppingError        the writer is about to end; the next one will answer
│   ├── NotAllowedError          this user may not append such an entry
│   ├── EntryRefusedError        this entry can never be one: its kind, its size, its form
│   ├── ErasureRefusedError      before its term, or of an entry that is never erased
│   ├── NotCommittedError        inside the writer: nothing of a group is on disk; it may be tried again
│   └── StorageUnknownError      inside the writer: what is on disk is not known; the writer ends
├── LedgerDamagedError           exit 2: the files are not what this ledger has written; it does not start
└── SettingsError
    ├── LedgerInUseError         exit 2: another writer runs
    └── GenesisRefusedError      exit 2: the genesis is not complete, or there is a ledger already
"""

from infra.platform.errors import LiucunError, SettingsError


class LedgerError(LiucunError):
    """The base of this package."""

    reason = "LEDGER"


class LedgerUnavailableError(LedgerError):
    """Anything that is not a committed answer in time. An append may or may not have happened."""

    reason = "AUDIT_UNAVAILABLE"


class StoppingError(LedgerUnavailableError):
    """Ask again."""

    reason = "STOPPING"


class NotAllowedError(LedgerError):
    """Not this user; see ledger.*_uids."""

    reason = "NOT_ALLOWED"


class EntryRefusedError(LedgerError):
    """The entry itself is wrong; sending it again changes nothing."""

    reason = "ENTRY_REFUSED"


class ErasureRefusedError(LedgerError):
    """The payload stays."""

    reason = "ERASURE_REFUSED"


class NotCommittedError(LedgerError):
    """The disk took nothing of this group, and nothing of it was left there."""

    reason = "NOT_COMMITTED"


class StorageUnknownError(LedgerError):
    """A sync failed, or what was begun could not be taken back. Only a start, which writes it again, can go on."""

    reason = "STORAGE_UNKNOWN"


class LedgerDamagedError(LiucunError):
    """Signing on top of this could contradict what was signed before."""

    reason = "LEDGER_DAMAGED"
    exit_code = 2


class LedgerInUseError(SettingsError):
    """One writer a ledger."""

    reason = "LEDGER_IN_USE"


class GenesisRefusedError(SettingsError):
    """No ledger was made."""

    reason = "GENESIS_REFUSED"
