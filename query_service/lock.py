"""One service for one folder: the lock file says so, and goes with the process, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import Final

from infra.platform.errors import SettingsError

FILE_NAME: Final = "lock"


class Lock:
    """Held from its making until `release`."""

    def __init__(self, folder: Path) -> None:
        """SettingsError when another process holds it, or the folder cannot be used."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"The folder {folder} cannot be used ({error.strerror}).", "Check server.state_dir and its owner."
            ) from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise SettingsError(
                f"Another query service runs with {folder}.", "One is enough: end this one or the other."
            ) from None

    def release(self) -> None:
        """Let another one take it."""
        os.close(self._handle)
