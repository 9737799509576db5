"""The agent's errors.

LiucunError
├── ProducerError                  exit 1
│   ├── OutboxDamagedError         a frame inside the outbox does not check: stop, touch nothing
│   ├── OutboxFullError            no space: reading waits, nothing is lost
│   └── RerunDiffersError          lines read again after a crash gave other records than before
├── OutputError                    exit 1: standard output takes no more
└── SettingsError
    ├── OutboxInUseError           exit 2: another agent runs on this outbox
    ├── ForeignPositionError       exit 2: Kafka knows this agent_id with another outbox
    └── InputError                 exit 2: a file given on the command line cannot be read
"""

from infra.platform.errors import LiucunError, SettingsError


class ProducerError(LiucunError):
    """The agent cannot go on."""


class OutboxDamagedError(ProducerError):
    """A frame inside the outbox fails its checksum, or frames are missing."""

    reason = "OUTBOX_DAMAGED"


class OutboxFullError(ProducerError):
    """The disk took no more; the frame was not written, what was written stays whole."""

    reason = "OUTBOX_FULL"


class RerunDiffersError(ProducerError):
    """Reading the same lines again gave other records: the log was rewritten, or the code changed in between."""

    reason = "RERUN_DIFFERS"


class OutputError(LiucunError):
    """What was asked for cannot be written out."""

    reason = "OUTPUT"


class OutboxInUseError(SettingsError):
    """The outbox is locked by a running agent."""

    reason = "OUTBOX_IN_USE"


class ForeignPositionError(SettingsError):
    """Kafka holds a position of this agent_id that this outbox did not write."""

    reason = "FOREIGN_POSITION"


class InputError(SettingsError):
    """A log file given by hand is missing, not readable, or not a file."""

    reason = "INPUT_NOT_READABLE"
