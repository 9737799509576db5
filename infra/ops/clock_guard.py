"""The agreed time: what stands between a wrong clock and the deletion of days that are not due.

The store's TTL obeys the machine's clock and acts before any client can speak; and where application and store share
a machine, comparing them finds nothing. So the scheduler writes the last moment at which both clocks agreed, every
minute, and that moment is compared:

1. Before the store starts (its unit's ExecStartPre, `liucun ops clock-guard`): a clock more than AWAY_MAX from it
   refuses the start. AWAY_MAX is less than the TTL's margin, so a clock within it makes the TTL delete nothing early.
2. Before every drop: the same comparison refuses the drop.
3. Without an agreed time (a first start, or a lost file) only a clock that the kernel calls synchronised is believed.

Then a person looks at the clock and says so: `liucun retention confirm-clock --execute`.
"""

import ctypes
import json
from pathlib import Path
from typing import Final

from infra.ops.errors import ClockError
from infra.platform.clock import DAY, Clock, to_datetime
from infra.platform.durable import write_atomically
from infra.platform.errors import SettingsError

AWAY_MAX: Final = DAY
_FILE: Final = "agreed-time.json"
_ADVICE: Final = (
    "If the clock is right and the machine was off, or the scheduler was, that long, run "
    "`liucun retention confirm-clock --execute`; else set the clock first."
)
_TIMEX_BYTES: Final = 512  # struct timex is 208 bytes on 64-bit Linux; adjtimex only reads and fills it
_TIME_ERROR: Final = 5  # what adjtimex returns while the clock is not synchronised


def agreed_time(state_dir: Path) -> int | None:
    """The last agreed moment; None when there is none yet. ClockError when the file cannot be understood."""
    try:
        moment = json.loads((state_dir / _FILE).read_text(encoding="utf-8"))["agreed_time"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        moment = None
    if not isinstance(moment, int) or isinstance(moment, bool):
        raise ClockError(
            f"{state_dir / _FILE} cannot be read.",
            "Check its owner and the clock, then run `liucun retention confirm-clock --execute`.",
        )
    return moment


def write_agreed_time(state_dir: Path, moment: int) -> None:
    """Set it, atomically and durably. SettingsError when the folder cannot be written."""
    document = {"agreed_time": moment, "text": f"{to_datetime(moment):%Y-%m-%dT%H:%M:%SZ}"}
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        # Readable for the store's user too: its unit asks before the store starts.
        write_atomically(state_dir / _FILE, json.dumps(document).encode(), mode=0o644)
    except OSError as error:
        raise SettingsError(
            f"The folder {state_dir} cannot be written ({error.strerror}).", "Check ops.state_dir and its owner."
        ) from None


def check(state_dir: Path, clock: Clock) -> int | None:
    """2. The agreed time, None without one. ClockError when the clock is too far from it, either way."""
    agreed = agreed_time(state_dir)
    if agreed is not None and abs(clock.now() - agreed) > AWAY_MAX:
        raise ClockError(
            f"The clock says {to_datetime(clock.now()):%Y-%m-%d %H:%M:%S}Z; when it last agreed with the store's it "
            f"was {to_datetime(agreed):%Y-%m-%d %H:%M:%S}Z.",
            _ADVICE,
        )
    return agreed


def check_start(state_dir: Path, clock: Clock, *, synchronised: bool | None) -> str:
    """1 and 3. One sentence when the store may start; ClockError when a person must look at the clock first."""
    agreed = check(state_dir, clock)
    if agreed is not None:
        return f"The clock is within a day of the last agreed time, {to_datetime(agreed):%Y-%m-%d %H:%M:%S}Z."
    if synchronised is False:
        raise ClockError("There is no agreed time, and the clock is not synchronised.", _ADVICE)
    return "There is no agreed time yet: this is the first start."


def synchronised() -> bool | None:
    """Whether the kernel says that its clock is kept in step (adjtimex); None where it cannot be asked."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)
