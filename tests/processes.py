"""Processes that belong to a folder: by what they were called with, or by the root that they were put into."""

from pathlib import Path


def below(folder: Path) -> dict[int, str]:
    """Command lines by process id of all processes that name `folder` or have their root in it."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            root = str((entry / "root").readlink())
        except OSError:
            continue  # it has ended, or is not ours to look at
        if str(folder) in command or root.startswith(str(folder)):
            found[int(entry.name)] = command
    return found
