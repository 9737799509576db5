"""The store refused a batch: which messages of it are wrong? Slow, and only then.

First by decoding each here, which also tells why. What decodes and is refused all the same (the two readers of Avro are
not equally strict) is found by halves, asking the store to read the bytes and to keep nothing.
"""

from collections.abc import Callable, Sequence
from typing import Final

from consumers.batch import Message
from consumers.judge import payload_fault

REFUSED_BY_STORE: Final = "REFUSED_BY_STORE"
Accepts = Callable[[Sequence[Message]], bool]


def wrong_messages(messages: Sequence[Message], accepts: Accepts, most: int) -> dict[int, str]:
    """Reasons by offset. All have one schema id, in offset order; `accepts` asks the store.

    Stops when more than `most` are known: then all wrong ones up to the last named offset are named. Empty when the
    store accepts every message that decodes.
    """
    wrong: dict[int, str] = {}
    decoding = []
    for message in messages:
        if len(wrong) > most:
            break
        reason = payload_fault(message.value)
        if reason is None:
            decoding.append(message)
        else:
            wrong[message.offset] = reason
    refused = _refused(decoding, accepts, most + 1)
    wrong |= dict.fromkeys(refused, REFUSED_BY_STORE)
    named = sorted(wrong)[: most + 1]
    return {offset: wrong[offset] for offset in named}


def _refused(messages: Sequence[Message], accepts: Accepts, most: int) -> list[int]:
    """The first `most` offsets that the store does not accept, in order."""
    if not messages or most <= 0 or accepts(messages):
        return []
    if len(messages) == 1:
        return [messages[0].offset]
    middle = len(messages) // 2
    found = _refused(messages[:middle], accepts, most)
    return found + _refused(messages[middle:], accepts, most - len(found))
