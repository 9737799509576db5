"""What lets clients of the local Sendmail prove who they are: a password each, and a certificate of the server."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.local.process import LocalEngineError
from infra.platform import tls

PACKAGES: Final = ["libsasl2-modules", "libsasl2-modules-db", "sasl2-bin"]
PASSWORD: Final = "of-tests"  # noqa: S105  (opens nothing but a mail server of tests on loopback)


def programs(root: Path) -> list[Path]:
    """Programs and libraries whose own libraries must be in the chroot."""
    return [root / "usr/sbin/saslpasswd2", *(root / "usr" / "lib").glob("*/sasl2/*.so*")]


def configure(root: Path, domain: str, users: list[str]) -> None:
    """Passwords, the way they are checked, and a certificate. LocalEngineError when a program fails."""
    for folder in (root / "etc" / "sasl2", *(root / "usr" / "lib").glob("*/sasl2")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Sendmail.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n", encoding="ascii"
        )
    for user in users:
        done = subprocess.run(
            ["chroot", str(root), "/usr/sbin/saslpasswd2", "-p", "-c", "-u", domain, user],
            input=PASSWORD.encode(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise LocalEngineError(f"saslpasswd2 failed: {done.stderr!r}", "Look at its libraries.")
    _certificate(root / "etc" / "mail" / "tls", domain)


def _certificate(folder: Path, name: str) -> None:
    """A certificate that signs itself, where Sendmail wants one."""
    folder.mkdir(exist_ok=True)
    issued = tls.authority(name, datetime.now(UTC))
    (folder / "server.crt").write_bytes(issued.certificate_pem)
    (folder / "server.key").write_bytes(issued.key_pem)
    (folder / "server.key").chmod(0o600)
