"""A log of another day from a real one: the committed trace with its time stamps moved."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

_STAMP: Final = "%b %d %H:%M:%S"
_STAMP_CHARACTERS: Final = 15


def moved(lines: list[str], last: datetime) -> list[str]:
    """The same lines, so that the last one is written at `last` (UTC) and the others as long before it as they were."""
    stamps: list[datetime] = []
    year = 2024
    for line in lines:
        stamp = datetime.strptime(f"{year} {line[:_STAMP_CHARACTERS]}", f"%Y {_STAMP}")  # noqa: DTZ007
        if stamps and stamps[-1] - stamp > timedelta(days=180):
            year += 1
            stamp = stamp.replace(year=year)
        stamps.append(stamp)
    shift = last.replace(tzinfo=None) - stamps[-1]
    return [
        (stamp + timedelta(seconds=round(shift.total_seconds()))).strftime(_STAMP) + line[_STAMP_CHARACTERS:]
        for stamp, line in zip(stamps, lines, strict=True)
    ]


def write(trace: Path, target: Path, last: datetime) -> None:
    """Write `trace`, moved, to `target`."""
    lines = trace.read_text(encoding="utf-8").splitlines()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(moved(lines, last)) + "\n", encoding="utf-8")
