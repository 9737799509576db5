"""The root of every error that Liucun raises on purpose.

    LiucunError                 reason (UPPER_SNAKE), one sentence, one advice, an exit code
    ├── SettingsError           exit 2: wrong settings or usage
    ├── FoundError              exit 3: the check worked and found a problem
    └── one base a package      producers.errors, consumers.errors, infra.ops.errors

The command line prints `error: <sentence> <advice>` and exits; nobody is shown a traceback.
"""

from typing import ClassVar


class LiucunError(Exception):
    """`message` says what happened, `advice` what to do next; neither holds an address or a secret."""

    reason: ClassVar[str] = "FAILED"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class SettingsError(LiucunError):
    """A setting or an argument is wrong; nothing was started."""

    reason = "WRONG_SETTINGS"
    exit_code = 2


class FoundError(LiucunError):
    """A check ran to its end and found something: gaps, duplicates, overdue days."""

    reason = "FOUND"
    exit_code = 3


class UnreachableError(LiucunError):
    """A broker or a store does not answer; try again later, nothing is lost."""

    reason = "UNREACHABLE"
