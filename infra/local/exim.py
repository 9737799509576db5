"""A real Exim on loopback: Debian's package, unpacked below var/mta and run in a chroot there."""

import os
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local import chroot, exim_conf, unpack
from infra.local.process import EngineProcess, child_environment, free_port
from infra.local.syslog import Syslog

HOST: Final = "mx1.example.org"
PROGRAM: Final = "/usr/sbin/exim4"
EXIM_UID: Final = 8911
MAIL_UID: Final = 8913
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin", "TZ": "Asia/Shanghai", "LC_ALL": "C.UTF-8"}
_CERTIFICATE_DAYS: Final = 30

Logging = Literal["default", "all", "syslog"]


def unavailable() -> str | None:
    """Why a live Exim cannot be had here, in one sentence; None when it can."""
    return unpack.unavailable()


class LocalExim:
    """One Exim below `home`; what is not for its own domain goes to `relay_port` on loopback.

    `logging`: Exim's own default, everything it can log (with zone, milliseconds and process ids), or the default by
    way of syslog. Clients name themselves by the PROXY protocol, as a front end would.
    """

    def __init__(self, home: Path, relay_port: int, logging: Logging = "default") -> None:
        """Nothing is fetched or started."""
        self.root = home / "mta" / "exim" / "root"  # its packages lie beside it, away from another server's
        self.log_file = self.root / "var" / "log" / "exim4" / "mainlog"
        self.smtp_port = 0
        self.second_port = 0
        self.logging = logging
        self._home = home
        self._relay_port = relay_port
        self._process = EngineProcess("Exim", home / "mta" / "run-exim", home / "log" / "exim.log")
        self._syslog = Syslog([self.root], self.log_file, HOST.partition(".")[0])

    def start(self) -> None:
        """Fetch it once, set it up, start it. LocalEngineError when one of these fails."""
        unpack.unpack(["exim4-daemon-heavy"], self.root, self.root.parent / "exim.unpacked")
        if not self.smtp_port:
            self.smtp_port, self.second_port = free_port(), free_port()
        self._configure()
        command = ["chroot", str(self.root), PROGRAM, "-bdf", "-oX", f"<; 127.0.0.1.{self.smtp_port}"]
        command[-1] += f" ; 127.0.0.1.{self.second_port}"
        self._process.start(command, child_environment(self._home) | _ENVIRONMENT, self._answers)

    def forget(self) -> None:
        """While it is stopped: remove logs, queue and mailboxes of earlier runs."""
        for folder in ("var/log/exim4", "var/spool/exim4", "var/mail"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def stop(self) -> None:
        """End it."""
        self._process.stop()
        self._syslog.stop()

    def call(self, *arguments: str, message: bytes = b"", check: bool = True) -> bytes:
        """Run Exim once as root: to hand in a message, to run the queue, to act on a message. Its output."""
        done = subprocess.run(
            ["chroot", str(self.root), PROGRAM, *arguments],
            input=message,
            env=_ENVIRONMENT,
            check=check,
            capture_output=True,
            timeout=60,
        )
        return done.stdout + done.stderr

    def queue(self) -> list[str]:
        """Ids of the messages that wait."""
        folder = self.root / "var" / "spool" / "exim4" / "input"
        return sorted(path.name.removesuffix("-H") for path in folder.glob("*-H")) if folder.is_dir() else []

    def mailbox(self, user: str) -> list[bytes]:
        """Messages that were stored for a user."""
        folder = self.root / "var" / "mail" / user / "new"
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []

    def log(self) -> bytes:
        """What it has logged so far."""
        return self.log_file.read_bytes()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.second_port), timeout=2) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def _configure(self) -> None:
        etc = self.root / "etc"
        (etc / "exim4").mkdir(parents=True, exist_ok=True)
        files = {
            "passwd": exim_conf.ACCOUNTS.format(exim=EXIM_UID, mail=MAIL_UID),
            "group": exim_conf.GROUP.format(exim=EXIM_UID, mail=MAIL_UID),
            "hosts": f"127.0.0.1 localhost {HOST} mx1\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
            "services": "smtp 25/tcp\n",
            "exim4/aliases": exim_conf.ALIASES,
            "exim4/away.filter": exim_conf.AWAY_FILTER,
            "exim4/exim4.conf": exim_conf.configuration(
                self.logging, HOST, self.smtp_port, self.second_port, self._relay_port
            ),
        }
        for name, text in files.items():
            (etc / name).write_text(text, encoding="utf-8")
        self._certificate(etc / "exim4" / "exim.pem")
        self._folders()
        libraries = [path for path in (self.root / "usr" / "lib").iterdir() if "linux-gnu" in path.name]
        unpack.copy_libraries(self.root, [self.root / PROGRAM[1:]], libraries)

    def _certificate(self, path: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=_CERTIFICATE_DAYS))
            .sign(key, hashes.SHA256())
        )
        plain = serialization.NoEncryption()
        pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
        )
        path.write_bytes(pem)
        os.chown(path, 0, EXIM_UID)
        path.chmod(0o640)

    def _folders(self) -> None:
        """Spool, logs, mailboxes and devices; and the socket of a syslog daemon, where one is played."""
        for name, uid, mode in (
            ("var/spool/exim4", EXIM_UID, 0o750),
            ("var/log/exim4", EXIM_UID, 0o750),
            ("var/mail", MAIL_UID, 0o755),
            ("tmp", 0, 0o1777),
            ("dev", 0, 0o755),
        ):
            folder = self.root / name
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, uid, uid)
            folder.chmod(mode)
        (self.root / PROGRAM[1:]).chmod(0o4755)
        zone = self.root / "usr/share/zoneinfo/Asia/Shanghai"
        zone.parent.mkdir(parents=True, exist_ok=True)
        if not zone.exists():
            zone.write_bytes((resources.files("tzdata") / "zoneinfo" / "Asia" / "Shanghai").read_bytes())
        chroot.devices(self.root)
        if self.logging == "syslog":
            self._syslog.start()
