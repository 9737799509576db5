"""Named steps between which a process may be killed or stopped, and the switches with which tests do it there.

`LIUCUN_KILL_AT=loader.inserted:3` makes the process end itself with SIGKILL when it reaches that step for the
third time: exactly what a power cut does, at a place that a test can choose. `LIUCUN_STOP_AT` makes it stop itself with
SIGSTOP, once: a process that the kernel, a debugger or a virtual machine holds, until SIGCONT. Unset, a step costs one
look-up.
"""

import os
import signal
from typing import Final

_SIGNALS: Final = {"LIUCUN_KILL_AT": signal.SIGKILL, "LIUCUN_STOP_AT": signal.SIGSTOP}
_steps: Final[dict[str, list[int]]] = {}  # step: times left, signal
for _name, _signal in _SIGNALS.items():
    _step, _, _times = os.environ.get(_name, "").partition(":")
    if _step:
        _steps[_step] = [int(_times or 1), _signal]


def reached(step: str) -> None:
    """Say that `step` is done. Returns, unless a test asked for the end or a stop here."""
    switch = _steps.get(step)
    if switch is None:
        return
    switch[0] -= 1
    if switch[0] == 0:
        os.kill(os.getpid(), switch[1])
