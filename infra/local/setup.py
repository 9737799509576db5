"""Make this clone ready to run: virtual environment, Kafka's jars. Standard library only; run by any Python >= 3.11.

    python3 infra/local/setup.py

What is there already (stamped with the hash of what it was made from) is left alone, so a second run takes no time and
asks no network. As root on Debian or Ubuntu, missing harmless packages (a Java runtime, Maven, python3-venv) are
installed; nothing else of the machine is touched. Whatever is missing is one sentence on standard error.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("LIUCUN_HOME") or REPOSITORY / "var")
VENV = REPOSITORY / ".venv"
LOCK = REPOSITORY / "requirements.lock"
POM = REPOSITORY / "infra" / "local" / "kafka_jars" / "pom.xml"
JARS = POM.with_name("jars.sha256")
DISK_FREE_BYTES_MIN = 3 * 1024**3
TRIES = 3
DOWNLOAD_SECONDS_MAX = 900
JAVA_VERSION_MIN = 17


class SetupError(Exception):
    """One sentence that says what is missing and what to do."""


def main() -> int:
    """Everything, in order; 0 when ready, 1 when something is missing, 2 when this Python is too old."""
    if sys.version_info < (3, 11):  # noqa: UP036  (whatever python3 the machine has runs this file)
        print("error: Python 3.11 or newer is needed; run this with a newer python3.", file=sys.stderr)
        return 2
    begun = time.monotonic()
    try:
        _folders()
        _virtual_environment()
        _java()
        _kafka_jars()
        (HOME / "setup.seconds").write_text(f"{time.monotonic() - begun:.3f}")
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _folders() -> None:
    try:
        HOME.mkdir(parents=True, exist_ok=True)
        probe = HOME / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"{HOME} cannot be written ({error.strerror}); set LIUCUN_HOME to a folder of your own."
        ) from None


def _need_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < DISK_FREE_BYTES_MIN:
        raise SetupError(
            f"{folder} has {free // 1024**2} MiB free and {DISK_FREE_BYTES_MIN // 1024**2} MiB are needed: free some."
        )


def _virtual_environment() -> None:
    """A venv with exactly what the lock file pins, checked by hash, wheels only; then this project itself."""
    wanted = hashlib.sha256(LOCK.read_bytes() + (REPOSITORY / "pyproject.toml").read_bytes()).hexdigest()
    wanted += f" {sys.version_info[0]}.{sys.version_info[1]} {VENV}"
    stamp = VENV / "liucun.stamp"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    _need_space(REPOSITORY)
    print("Setting up the virtual environment (once; a minute or two) ...", flush=True)
    if not (VENV / "bin" / "python").exists() or not (VENV / "bin" / "pip").exists():
        _make_venv()
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    _with_tries(
        [*pip, "--retries", "5", "--timeout", "60", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)],
        "The Python packages of requirements.lock could not be installed",
    )
    _with_tries(
        [*pip, "--no-deps", "--no-build-isolation", "--no-index", "-e", str(REPOSITORY)],
        "This project could not be installed",
    )
    stamp.write_text(wanted)


def _make_venv() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    if _run([sys.executable, "-m", "venv", str(VENV)]).returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if _install([package]) or _install(["python3-venv"]):
        done = _run([sys.executable, "-m", "venv", str(VENV)])
        if done.returncode == 0:
            return
    raise SetupError("This Python cannot make virtual environments; install the package python3-venv and try again.")


def _java() -> None:
    """The runtime is tested, not a package's name."""
    if _java_version() >= JAVA_VERSION_MIN:
        return
    if _install(["default-jre-headless"]) and _java_version() >= JAVA_VERSION_MIN:
        return
    raise SetupError(
        f"There is no Java runtime of version {JAVA_VERSION_MIN} or newer; install one (Debian: default-jre-headless) "
        "or point JAVA_HOME to one."
    )


def _java_version() -> int:
    home = os.environ.get("JAVA_HOME")
    program = (shutil.which("java", path=f"{home}/bin") if home else None) or shutil.which("java")
    if program is None:
        return 0
    found = re.search(r'version "(\d+)', _run([program, "-version"]).stderr)
    return int(found[1]) if found else 0


def _kafka_jars() -> None:
    """Apache Kafka's jars, by Maven (which knows the user's own mirrors), checked against the committed hashes."""
    wanted = {name: sha256 for sha256, name in (line.split() for line in JARS.read_text().splitlines())}
    folder = HOME / "kafka" / "libs"
    stamp = HOME / "kafka" / "libs.stamp"
    mark = hashlib.sha256(JARS.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == mark and folder.is_dir():
        return
    if shutil.which("mvn") is None and not (_install(["maven"]) and shutil.which("mvn")):
        raise SetupError("There is no mvn; install Maven (Debian: maven), which fetches Kafka's jars.")
    _need_space(HOME)
    print("Fetching Kafka's jars (once; 44 MB) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", *_maven_repository()]
    _with_tries(
        [*command, f"-DoutputDirectory={folder}", "-DincludeScope=runtime"], "Kafka's jars could not be fetched"
    )
    got = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")}
    if got != wanted:
        wrong = sorted(name for name in got.keys() | wanted.keys() if got.get(name) != wanted.get(name))
        raise SetupError(
            f"{wrong[0]} is not the jar that infra/local/kafka_jars/jars.sha256 names; delete it and try again."
        )
    stamp.write_text(mark)


def _maven_repository() -> list[str]:
    """Where Maven keeps what it fetches: in the user's home, as the password file has it, where that can be written."""
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = ""
    return [] if home and os.access(home, os.W_OK) else [f"-Dmaven.repo.local={HOME / 'm2'}", f"-Duser.home={HOME}"]


def _install(packages: list[str]) -> bool:
    """Install harmless Debian packages, when root and on such a machine. Never a mail server."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"Installing {', '.join(packages)} ...", flush=True)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages]
    if _run(command, environment).returncode == 0:
        return True
    _run(["apt-get", "-q", "update"], environment)
    return _run(command, environment).returncode == 0


def _with_tries(command: list[str], failure: str) -> None:
    for attempt in range(1, TRIES + 1):
        done = _run(command)
        if done.returncode == 0:
            return
        if attempt < TRIES:
            time.sleep(2 * attempt)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr + done.stdout)
    lines = [line for line in said.splitlines() if line.strip()]
    word = next((line for line in lines if "ERROR" in line or "error" in line), lines[-1] if lines else "no word why")
    raise SetupError(f"{failure} after {TRIES} tries ({word.strip()[:200]}); check the network and the free space.")


def _run(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=DOWNLOAD_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "error: it did not end in time")
    except OSError as error:  # not executable, or for another processor
        return subprocess.CompletedProcess(command, 1, "", f"error: {error.strerror}")


if __name__ == "__main__":
    sys.exit(main())
