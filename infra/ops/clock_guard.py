"""The store's TTL obeys the machine's clock and acts before any client can speak. So the start is guarded.

While the store runs, the scheduler writes the last moment at which both clocks agreed. Before the store starts
(systemd ExecStartPre), `liucun ops clock-guard` compares: a clock that is behind that moment, or more than
FORWARD_MAX ahead of it, might make the store delete days that are not due. Then it refuses, until a person has
looked: `liucun retention confirm-clock --execute`.
"""

import json
from pathlib import Path
from typing import Final

from infra.ops.errors import RetentionError
from infra.platform.clock import DAY, MINUTE, Clock, to_datetime

FORWARD_MAX: Final = DAY
BACKWARD_MAX: Final = 5 * MINUTE
_FILE: Final = "agreed-time.json"


def agreed_time(state_dir: Path) -> int | None:
    """The last agreed moment; None when there is none yet. RetentionError when the file cannot be understood."""
    try:
        moment: int = json.loads((state_dir / _FILE).read_text(encoding="utf-8"))["agreed_time"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise RetentionError(
            f"{state_dir / _FILE} cannot be read.",
            "Check the clock, then run `liucun retention confirm-clock --execute`.",
        ) from None
    return moment


def write_agreed_time(state_dir: Path, moment: int) -> None:
    """Set it, atomically."""
    state_dir.mkdir(parents=True, exist_ok=True)
    temporary = state_dir / f"{_FILE}.new"
    temporary.write_text(json.dumps({"agreed_time": moment}), encoding="utf-8")
    temporary.rename(state_dir / _FILE)


def check(state_dir: Path, clock: Clock) -> str:
    """One sentence when the store may start; RetentionError when a person must look at the clock first."""
    agreed = agreed_time(state_dir)
    now = clock.now()
    if agreed is None:
        return "No agreed time yet: this is the first start."
    if now < agreed - BACKWARD_MAX or now > agreed + FORWARD_MAX:
        raise RetentionError(
            f"The clock says {to_datetime(now):%Y-%m-%d %H:%M:%S}Z, but it last agreed with the store's at "
            f"{to_datetime(agreed):%Y-%m-%d %H:%M:%S}Z.",
            "If the machine was really off that long and the clock is right, run "
            "`liucun retention confirm-clock --execute`; else set the clock first.",
        )
    return f"The clock agrees with the last agreed time, {to_datetime(agreed):%Y-%m-%d %H:%M:%S}Z."
