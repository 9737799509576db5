"""What every mail server's chroot needs: folders with owner and mode, and the device files that programs open."""

import os
import stat
from pathlib import Path
from typing import Final

from infra.local.process import LocalEngineError

_MEMORY: Final = 1  # major number of the kernel's memory devices
_DEVICES: Final = (("null", 3), ("urandom", 9), ("random", 8))


def folder(path: Path, uid: int, gid: int, mode: int) -> None:
    """Make a folder, or give one that is there this owner and mode."""
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, uid, gid)
    path.chmod(mode)


def devices(root: Path) -> None:
    """dev/null, dev/urandom and dev/random below `root`. LocalEngineError where even root may not make them."""
    for name, minor in _DEVICES:
        device = root / "dev" / name
        device.parent.mkdir(exist_ok=True)
        if not device.exists():
            try:
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(_MEMORY, minor))
            except PermissionError:
                raise LocalEngineError(
                    "This machine does not let root make device files.", "The committed traces are used instead."
                ) from None
            device.chmod(0o666)
