"""Named steps between which a process may be killed, and the switch with which tests kill it there.

`LIUCUN_KILL_AT=loader.inserted:3` makes the process end itself with SIGKILL when it reaches that step for the
third time: exactly what a power cut does, at a place that a test can choose. Unset, a step costs one comparison.
"""

import os
import signal
from typing import Final

_given = os.environ.get("LIUCUN_KILL_AT", "")
_STEP: Final = _given.partition(":")[0]
_left = int(_given.partition(":")[2] or 1)


def reached(step: str) -> None:
    """Say that `step` is done. Returns, unless a test asked for the end here."""
    global _left  # noqa: PLW0603  (the process is about to end)
    if step != _STEP:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
