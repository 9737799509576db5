"""What the engines need from the machine: a Java runtime and Kafka's jars, found or explained."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from infra.platform.errors import SettingsError

JAVA_VERSION_MIN: Final = 17
REPOSITORY: Final = Path(__file__).resolve().parents[2]


def home_from_environment() -> Path:
    """Where everything that runs is written: $LIUCUN_HOME, else `var` in the repository."""
    given = os.environ.get("LIUCUN_HOME")
    return Path(given).resolve() if given else REPOSITORY / "var"


@cache
def java() -> Path:
    """A Java runtime of at least JAVA_VERSION_MIN. SettingsError with advice when there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin" if home else None) or shutil.which("java")
    if found is None:
        raise SettingsError("There is no Java runtime.", "Install one (Debian: default-jre-headless).")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA_VERSION_MIN:
        raise SettingsError(
            f"{found} is older than Java {JAVA_VERSION_MIN}.",
            "Install a newer runtime (Debian: default-jre-headless) or point JAVA_HOME to one.",
        )
    return Path(found)


def kafka_jars(home: Path) -> Path:
    """The folder of Kafka's jars that `make setup` fetched: below `home`, else below the repository's own."""
    for root in (home, home_from_environment(), REPOSITORY / "var"):
        if (root / "kafka" / "libs").is_dir():
            return root / "kafka" / "libs"
    raise SettingsError("Kafka's jars are not here.", "Run `make setup`.")
