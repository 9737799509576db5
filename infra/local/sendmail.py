"""A real Sendmail 8 on loopback: Debian's packages, unpacked below var/mta and run in a chroot there.

Two configurations, as Debian has them: the server (`sm-mta`), and the submission program that local processes call
(`sendmail`, queue runner `sm-msp-queue`), which hands mail to the server over SMTP on 127.0.0.1.
"""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from infra.local import sendmail_auth, sendmail_setup, unpack
from infra.local.process import EngineProcess, LocalEngineError, child_environment, free_port
from infra.local.sendmail_setup import HOST
from infra.local.syslog import Syslog

QUEUE_RUN_SECONDS: Final = 2
_PROGRAM: Final = "/usr/libexec/sendmail/sendmail"
_PACKAGES: Final = ["sendmail-bin", "sendmail-base", "sendmail-cf", "m4", *sendmail_auth.PACKAGES]


def unavailable() -> str | None:
    """Why a live Sendmail cannot be had here, in one sentence; None when it can."""
    return unpack.unavailable()


class LocalSendmail:
    """One Sendmail below `home`; mail for OWN_DOMAIN is stored, all else goes to `relay_port` on loopback."""

    def __init__(self, home: Path, relay_port: int, milter_port: int) -> None:
        """Nothing is fetched or started. Nothing needs to listen on `milter_port`; mail passes then."""
        self.root = home / "mta" / "sendmail"
        self.log_file = self.root / "var" / "log" / "mail.log"
        self.smtp_port = 0
        self._home = home
        self._relay_port = relay_port
        self._milter_port = milter_port
        self._syslog = Syslog([self.root], self.log_file, HOST)
        self._process = EngineProcess("Sendmail", home / "mta" / "run-sendmail", home / "log" / "sendmail.log")

    def start(self, *options: str) -> None:
        """Fetch it once, set it up, start it with these options besides. LocalEngineError when one of these fails."""
        unpack.unpack(_PACKAGES, self.root, self.root.parent / "sendmail.unpacked")
        if not self.smtp_port:
            self.smtp_port = free_port()
            sendmail_setup.configure(self.root, self.smtp_port, self._relay_port, self._milter_port)
            self._syslog.start()
        command = [*self._chroot("sm-mta"), "-bD", f"-q{QUEUE_RUN_SECONDS}s", *options]
        self._process.start(command, child_environment(self._home) | {"TZ": "UTC"}, self._answers)

    def forget(self) -> None:
        """While it is stopped: remove logs, queues and mailboxes of earlier runs."""
        for folder in ("var/log", "var/spool", "var/mail"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def pause(self) -> None:
        """End the server only; it can be started again on the same port, and its log goes on."""
        self._process.stop()

    def stop(self) -> None:
        """End it, and write the rest of its log."""
        self._process.stop()
        self._syslog.stop()

    def submit(self, sender: str, recipients: list[str], message: bytes, uid: int = 0, *options: str) -> None:
        """Hand in a message on this host, as a local process of this user does: through the submission program."""
        self._run("sendmail", "-Ac", "-i", "-f", sender, *options, "--", *recipients, message=message, uid=uid)

    def run_submission_queue(self) -> None:
        """Hand on what the submission program had to keep."""
        self._run("sm-msp-queue", "-Ac", "-q")

    def run_queue(self, *options: str) -> None:
        """One more run of the server's queue, with options of its own."""
        self._run("sm-que", "-q", *options)

    def queued(self) -> list[str]:
        """Names of control files in both queues; those of quarantined messages, which stay, are left out."""
        folders = ("mqueue", "mqueue-client")
        return [path.name for folder in folders for path in (self.root / "var/spool" / folder).glob("[qQ]f*")]

    def mailbox(self, user: str) -> bytes:
        """What was stored for a user, as one mbox."""
        path = self.root / "var" / "mail" / user
        return path.read_bytes() if path.is_file() else b""

    def _chroot(self, label: str, uid: int = 0) -> list[str]:
        user = [] if uid == 0 else [f"--userspec={uid}:{uid}"]
        return ["chroot", *user, str(self.root), _PROGRAM, "-L", label]

    def _run(self, label: str, *options: str, message: bytes = b"", uid: int = 0) -> None:
        done = subprocess.run(
            [*self._chroot(label, uid), *options],
            input=message,
            env={"PATH": "/usr/sbin:/usr/bin", "TZ": "UTC"},
            check=False,
            capture_output=True,
            timeout=60,
        )
        if done.returncode not in (0, 67, 68, 69, 75):  # what sysexits.h says of the mail, not of the program
            raise LocalEngineError(f"`{label}` ended with {done.returncode}: {done.stderr!r}", "Look at its cf.")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.smtp_port), timeout=5) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False
