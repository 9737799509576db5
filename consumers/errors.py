"""The loader's errors.

LiucunError
└── ConsumerError                exit 1
    ├── StoreNotReadyError       tables, grants, clocks or settings are not as they must be
    ├── IntentDisagreesError     a stored intent does not fit what Kafka holds: stop, touch nothing
    ├── DeadLetterLimitError     too many messages cannot be loaded
    ├── BatchRefusedError        the store refuses a batch in which no message is wrong
    └── PartitionLostError       caught inside: the partition went to another loader
"""

from infra.platform.errors import LiucunError


class ConsumerError(LiucunError):
    """The loader cannot go on; nothing is lost, Kafka keeps it."""


class StoreNotReadyError(ConsumerError):
    """The store is not as the loader needs it."""

    reason = "STORE_NOT_READY"


class IntentDisagreesError(ConsumerError):
    """Replaying would not repeat the same batch."""

    reason = "INTENT_DISAGREES"


class DeadLetterLimitError(ConsumerError):
    """The dead letters are no accident any more."""

    reason = "DEAD_LETTER_LIMIT"


class BatchRefusedError(ConsumerError):
    """The store's refusal cannot be pinned on messages."""

    reason = "BATCH_REFUSED"


class PartitionLostError(ConsumerError):
    """Another loader has the partition now; what is in hand is dropped, it will load it."""

    reason = "PARTITION_LOST"
