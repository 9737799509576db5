"""What an examination has found, bounded: a folder that is no ledger at all must not fill the memory."""

from typing import Final

FINDINGS_MAX: Final = 1000


class Findings:
    """`found` = what differs, `notes` = what a kill has left and the next start will take away."""

    def __init__(self) -> None:
        self.found: list[dict[str, str]] = []
        self.notes: list[str] = []

    def add(self, place: str, message: str) -> None:
        """One difference; `place` is a path below the folder, or `entry N`."""
        if len(self.found) < FINDINGS_MAX:
            self.found.append({"place": place, "message": message})

    def note(self, text: str) -> None:
        """One leftover."""
        if len(self.notes) < FINDINGS_MAX:
            self.notes.append(text)
