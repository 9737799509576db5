"""Debian packages unpacked, never installed: a mail server below var/ cannot replace or disturb the machine's own.

No maintainer script is run and dpkg's database is not touched. The tree that comes out is a chroot: the package's
files, and copies of the shared libraries that its programs need, from the machine or from unpacked packages.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from infra.local.process import LocalEngineError

DOWNLOAD_SECONDS_MAX: Final = 300
_LIBRARY: Final = re.compile(r"(?:=> )?(/\S+) \(0x")


def unavailable() -> str | None:
    """Why unpacked servers cannot be had here, in one sentence; None when they can."""
    if os.geteuid() != 0:
        return "a mail server in a chroot needs root"
    for program in ("apt-get", "apt-cache", "dpkg-deb", "chroot", "ldd"):
        if shutil.which(program) is None:
            return f"there is no {program} (a Debian or Ubuntu machine has it)"
    return None


def unpack(packages: list[str], root: Path, stamp: Path) -> None:
    """Fetch and unpack packages and those of their dependencies that the machine lacks. Done once (stamp).

    LocalEngineError when the package lists or a package cannot be had.
    """
    if stamp.exists():
        return
    downloads = root.parent / "deb"
    downloads.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    if not _known(packages):
        _run(["apt-get", "-q", "update"], downloads)
    for package in packages + _missing_dependencies(packages):
        _run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package], downloads)
    for file in sorted(downloads.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(file), str(root)], downloads)
    stamp.touch()


def copy_libraries(root: Path, programs: list[Path], search: list[Path]) -> None:
    """Copy into `root` the shared libraries, and their loader, that programs and libraries there need."""
    environment = dict(os.environ) | {"LD_LIBRARY_PATH": ":".join(str(path) for path in search)}
    for program in programs:
        told = subprocess.run(["ldd", str(program)], env=environment, capture_output=True, text=True, check=False)
        for path in map(Path, _LIBRARY.findall(told.stdout)):
            if root not in path.parents:
                _copy(path, root)
    for extra in ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"):
        for folder in (Path("/lib/x86_64-linux-gnu"), Path("/lib/aarch64-linux-gnu")):
            if (folder / extra).exists():
                _copy(folder / extra, root)


def _copy(path: Path, root: Path) -> None:
    target = root / path.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=True)


def _known(packages: list[str]) -> bool:
    told = subprocess.run(["apt-cache", "show", *packages], capture_output=True, check=False)
    return told.returncode == 0


def _missing_dependencies(packages: list[str]) -> list[str]:
    """Library packages that the machine does not have; other dependencies serve installation only."""
    told = subprocess.run(
        ["apt-cache", "depends", "--important", *packages],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    names = {line.split()[-1] for line in told.splitlines() if "Depends:" in line}
    libraries = sorted(name for name in names if name.startswith("lib"))
    return [name for name in libraries if not _installed(name)]


def _installed(package: str) -> bool:
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return told.returncode == 0 and "installed" in told.stdout.split("\n")[0] and "not-installed" not in told.stdout


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS_MAX
        )
    except subprocess.TimeoutExpired:
        raise LocalEngineError(f"`{command[0]}` did not end in time.", "Check the network and try again.") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no word why").splitlines()[-1]
        raise LocalEngineError(f"`{' '.join(command[:4])} ...` failed: {last}", "Check the network and apt's sources.")
