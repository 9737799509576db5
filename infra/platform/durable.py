"""Small files that outlive a power cut."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NEW_SUFFIX: Final = ".new"


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600, sync_name: bool = True) -> None:
    """Replace a file so that a reader, or a power cut, sees the old one or the new one.

    Without `sync_name` the new name is durable only once the caller has synced the folder (many files, one sync).
    OSError when the disk does not take it; the old file stays.
    """
    write_parts_atomically(path, (data,), mode=mode, sync_name=sync_name)


def write_parts_atomically(path: Path, parts: Iterable[bytes], *, mode: int = 0o600, sync_name: bool = True) -> None:
    """The same of parts that are made one after the other, and never are in memory together."""
    temporary = path.with_name(path.name + NEW_SUFFIX)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # half a file would take room from a full disk
        raise
    if sync_name:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably. May be repeated."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_folder(path.parent)
