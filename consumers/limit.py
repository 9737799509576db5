"""When dead letters are no accident any more, the loader stops, before it inserts anything of the batch.

Counted for each partition over the last LIMIT_WINDOW_MESSAGES messages, and as a run of dead letters one after another,
on from batch to batch. A loader that begins with a partition takes up the count from the store's book, so that stopping
and starting it does not let more through.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from consumers.batch import Message, Partition
from consumers.errors import DeadLetterLimitError
from consumers.judge import PAST_RETENTION
from infra.platform.settings import Loader

LIMIT_WINDOW_MESSAGES: Final = 10_000
BOOKED_BATCHES_MAX: Final = 200  # of the book, newest first; quiet topics have small batches


@dataclass(frozen=True, slots=True)
class Counted:
    """What a partition's messages came to: (messages, dead) of its batches, oldest first, and the run at the end."""

    batches: tuple[tuple[int, int], ...] = ()
    run: int = 0


class DeadLetterLimit:
    """The limit over all partitions of one loader."""

    def __init__(self, bounds: Loader) -> None:
        """Nothing is counted."""
        self._bounds = bounds
        self._counted: dict[Partition, Counted] = {}

    def knows(self, partition: Partition) -> bool:
        """Whether this partition is counted already."""
        return partition in self._counted

    def begin(self, partition: Partition, booked: Iterable[tuple[int, int, bool]]) -> None:
        """Take up the count: (messages, dead letters, whether it ended with one) of the last batches, newest first."""
        batches: list[tuple[int, int]] = []
        run, running = 0, True
        for count, dead, at_end in booked:
            batches.insert(0, (count, dead))
            running = running and at_end
            run += dead if running else 0  # at least so many at the end, when all of them stand there
            running = running and dead == count
        self._counted[partition] = Counted(_window(batches), run)

    def forget(self, partition: Partition) -> None:
        """Another loader has it now."""
        self._counted.pop(partition, None)

    def after(self, partition: Partition, offsets: Sequence[int], excluded: list[tuple[Message, str]]) -> Counted:
        """The count with one more batch of these offsets, to be kept when it is loaded. DeadLetterLimitError.

        A single dead letter in a quiet topic stops nothing: the ratio is over the whole window, however full.
        """
        before = self._counted.get(partition, Counted())
        letters = {message.offset for message, reason in excluded if reason != PAST_RETENTION}
        run = longest = before.run if letters else 0
        for offset in offsets if letters else ():
            run = run + 1 if offset in letters else 0
            longest = max(longest, run)
        after = Counted(_window([*before.batches, (len(offsets), len(letters))]), run)
        dead = sum(count for _, count in after.batches)
        window = max(sum(count for count, _ in after.batches), LIMIT_WINDOW_MESSAGES)
        if longest > self._bounds.dead_letter_run_max or dead > self._bounds.dead_letter_ratio_max * window:
            raise DeadLetterLimitError(
                f"{dead} of the last messages of partition {partition.number} of {partition.topic} cannot be loaded "
                f"({longest} one after another).",
                "Mend the cause (the log and `liucun consumer dead-letter list` say of which kind they are), or raise "
                "loader.dead_letter_ratio_max or loader.dead_letter_run_max. Nothing of this batch was loaded.",
            )
        return after

    def keep(self, partition: Partition, counted: Counted) -> None:
        """The batch is loaded."""
        self._counted[partition] = counted


def _window(batches: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The newest batches that fill the window."""
    messages = sum(count for count, _ in batches)
    start = 0
    while start < len(batches) - 1 and messages - batches[start][0] >= LIMIT_WINDOW_MESSAGES:
        messages -= batches[start][0]
        start += 1
    return tuple(batches[start:])
