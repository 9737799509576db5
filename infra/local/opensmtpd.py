"""A real OpenSMTPD on loopback: Debian's package, unpacked below var/mta and run in a chroot there.

Its paths are compiled in and it logs to /dev/log only: the chroot has its own /etc, queue and mailboxes, and a syslog
daemon of ours listens inside. Who hands mail in is told by the PROXY protocol, so clients can have any address.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from infra.local import chroot, unpack
from infra.local.process import EngineProcess, child_environment, free_port
from infra.local.syslog import Syslog

OWN_DOMAIN: Final = "example.org"
HOST: Final = "mx2"
USERS: Final = ("alice", "bob", "carol", "dora")
PASSWORD: Final = "correct horse"  # noqa: S105  (of a mailbox that exists for seconds, on loopback)
LOGINS: Final = ("alice",)  # who may authenticate
MESSAGE_BYTES_MAX: Final = 20_000
_DAEMON_UID: Final = 8911
_QUEUE_UID: Final = 8912
_USER_UID: Final = 8920  # of the first mailbox user


def unavailable() -> str | None:
    """Why a live OpenSMTPD cannot be had here, in one sentence; None when it can."""
    return unpack.unavailable()


class LocalOpenSmtpd:
    """One OpenSMTPD below `home`; mail for OWN_DOMAIN is stored, all else goes to `relay_port` on loopback."""

    def __init__(self, home: Path, relay_port: int, *, ttl_seconds: int = 3600, host_names: dict[str, str]) -> None:
        """Nothing is fetched or started. `host_names` = names of client addresses, as DNS would tell them."""
        self.root = home / "mta" / "opensmtpd"
        self.log_file = self.root / "var" / "log" / "mail.log"
        self.smtp_port = self.proxy_port = self.auth_port = 0
        self._home = home
        self._relay_port = relay_port
        self._ttl_seconds = ttl_seconds
        self._host_names = host_names
        self._process = EngineProcess("OpenSMTPD", home / "mta" / "run-opensmtpd", home / "log" / "opensmtpd.log")
        self._syslog = Syslog([self.root], self.log_file, HOST)

    def start(self) -> None:
        """Fetch it once, set it up, start it. LocalEngineError when one of these fails."""
        unpack.unpack(["opensmtpd"], self.root, self.root.parent / "opensmtpd.unpacked")
        if not self.smtp_port:
            self.smtp_port, self.proxy_port, self.auth_port = free_port(), free_port(), free_port()
        self._configure()
        self._syslog.start()
        command = ["chroot", str(self.root), "/usr/sbin/smtpd", "-F"]
        self._process.start(command, child_environment(self._home) | {"TZ": "UTC"}, self._answers)

    def forget(self) -> None:
        """While it is stopped: remove logs, queue and mailboxes of earlier runs."""
        for folder in ("var/log", "var/spool/smtpd", "home"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def stop(self) -> None:
        """End it; the log is whole then."""
        self._process.stop()
        self._syslog.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._syslog.stop()

    def submit(self, sender: str, recipients: list[str], message: bytes) -> None:
        """Hand in a message on this host, as a local process does (sendmail -> smtpd's socket)."""
        self._in_chroot(["/usr/sbin/sendmail", "-f", sender, *recipients], message)

    def control(self, *words: str) -> str:
        """Run `smtpctl WORDS`; what it printed."""
        return self._in_chroot(["/usr/sbin/smtpctl", *words]).decode("utf-8", "replace")

    def queue(self) -> list[list[str]]:
        """Envelopes in the queue, as the fields of `smtpctl show queue` (the first is the evpid)."""
        return [line.split("|") for line in self.control("show", "queue").splitlines()]

    def mailbox(self, user: str) -> list[bytes]:
        """Messages that were stored for a user."""
        folder = self.root / "home" / user / "Maildir" / "new"
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []

    def _in_chroot(self, command: list[str], given: bytes = b"") -> bytes:
        return subprocess.run(
            ["chroot", str(self.root), *command],
            input=given,
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "TZ": "UTC"},
            check=True,
            capture_output=True,
            timeout=30,
        ).stdout

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.smtp_port), timeout=2) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def _configure(self) -> None:
        etc = self.root / "etc"
        users = {user: _USER_UID + number for number, user in enumerate(USERS)}
        accounts = "".join(f"{user}:x:{uid}:{uid}::/home/{user}:/bin/sh\n" for user, uid in users.items())
        groups = "".join(f"{user}:x:{uid}:\n" for user, uid in users.items())
        names = "".join(f"{address} {name}\n" for address, name in self._host_names.items())
        files = {
            "passwd": _ACCOUNTS.format(daemon=_DAEMON_UID, queue=_QUEUE_UID) + accounts,
            "group": _GROUP.format(daemon=_DAEMON_UID, queue=_QUEUE_UID) + groups,
            "shadow": "".join(f"{user}:*:20000:0:99999:7:::\n" for user in ("root", *USERS)),
            "hosts": f"127.0.0.1 localhost\n{names}",
            "resolv.conf": "nameserver 127.0.0.1\nlookup file\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
            "services": "smtp 25/tcp\n",
            "mailname": f"{HOST}.{OWN_DOMAIN}\n",
            "aliases": _ALIASES,
            "virtuals": _VIRTUALS,
            "talker": _TALKER,
            "smtpd.conf": _CONFIGURATION.format(
                plain=self.smtp_port,
                proxy=self.proxy_port,
                auth=self.auth_port,
                relay=self._relay_port,
                domain=OWN_DOMAIN,
                ttl=self._ttl_seconds,
                bytes=MESSAGE_BYTES_MAX,
            ),
        }
        for name, text in files.items():
            (etc / name).write_text(text, encoding="ascii")
        (etc / "talker").chmod(0o755)
        self._secrets(etc)
        self._folders(users)
        shell = self.root / "bin" / "sh"
        shell.parent.mkdir(exist_ok=True)
        shutil.copy2("/bin/sh", shell)
        programs = [*(self.root / "usr/sbin").iterdir(), *(self.root / "usr/libexec/opensmtpd").iterdir(), shell]
        unpack.copy_libraries(self.root, [path for path in programs if path.is_file()], [])

    def _secrets(self, etc: Path) -> None:
        """A certificate for STARTTLS, and who may log in with PASSWORD."""
        certificate(etc)
        told = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True, timeout=30
        )
        (etc / "logins").write_text("".join(f"{login} {told.stdout}" for login in LOGINS), encoding="ascii")

    def _folders(self, users: dict[str, int]) -> None:
        """The queue as smtpd wants it, homes, /dev."""
        spool = self.root / "var" / "spool" / "smtpd"
        chroot.folder(spool, 0, 0, 0o711)
        chroot.folder(spool / "offline", 0, _QUEUE_UID, 0o770)
        for name in ("purge", "queue", "temporary", "incoming"):
            chroot.folder(spool / name, _QUEUE_UID, 0, 0o700)
        chroot.folder(self.root / "var" / "lib" / "opensmtpd" / "empty", 0, 0, 0o755)
        chroot.folder(self.root / "var" / "run", 0, 0, 0o755)
        chroot.folder(self.root / "var" / "log", 0, 0, 0o755)
        chroot.folder(self.root / "tmp", 0, 0, 0o1777)
        os.chown(self.root / "usr" / "sbin" / "smtpctl", 0, _QUEUE_UID)
        (self.root / "usr" / "sbin" / "smtpctl").chmod(0o2755)
        for user, uid in users.items():
            chroot.folder(self.root / "home" / user, uid, uid, 0o755)
        forward = self.root / "home" / "dora" / ".forward"
        forward.write_text("\\dora, dora@example.net\n", encoding="ascii")
        os.chown(forward, users["dora"], users["dora"])
        chroot.devices(self.root)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key in `folder`, made once."""
    made, key = folder / "mx.crt", folder / "mx.key"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", f"/CN={HOST}.{OWN_DOMAIN}"]
        subprocess.run(
            ["openssl", "req", *words, "-keyout", str(key), "-out", str(made)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        key.chmod(0o600)
    return made, key


_ACCOUNTS: Final = """\
root:x:0:0:root:/:/bin/sh
opensmtpd:x:{daemon}:{daemon}::/var/lib/opensmtpd/empty:/bin/false
opensmtpq:x:{queue}:{queue}::/var/lib/opensmtpd/empty:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
_GROUP: Final = """\
root:x:0:
opensmtpd:x:{daemon}:
opensmtpq:x:{queue}:
nogroup:x:65534:
"""
_ALIASES: Final = """\
root: carol
team: alice, bob
list: alice, erin@example.net
other: alice
broken: "|exit 65"
busy: "|exit 75"
"""
_VIRTUALS: Final = """\
info@virtual.example.org: alice
sales@virtual.example.org: alice, bob
out@virtual.example.org: grace@example.net
@virtual.example.org: carol
"""
_TALKER: Final = """\
#!/bin/sh
echo "this filter says something" >&2
echo "register|ready"
while read -r line; do :; done
"""
_CONFIGURATION: Final = """\
table aliases file:/etc/aliases
table logins file:/etc/logins
table enemies {{ "@spam.example.net" }}
pki own cert "/etc/mx.crt"
pki own key "/etc/mx.key"
table virtuals file:/etc/virtuals
filter no-spam phase mail-from match mail-from <enemies> reject "550 5.7.1 We know you"
filter talker proc-exec "/etc/talker"
filter both chain {{ no-spam, talker }}
smtp ciphers "ALL:aNULL:@SECLEVEL=0"
queue ttl {ttl}s
smtp max-message-size {bytes}
listen on socket
listen on 127.0.0.1 port {plain} no-dsn
listen on 127.0.0.1 port {proxy} proxy-v2 filter both
listen on 127.0.0.1 port {auth} tls pki own auth <logins>
action store maildir alias <aliases>
action share maildir virtual <virtuals>
action out relay host smtp://127.0.0.1:{relay}
action renamed relay host smtp://127.0.0.1:{relay} mail-from "@renamed.example.org"
match from any for domain "virtual.{domain}" action share
match from src "192.0.2.0/28" for domain "renamed.example.net" action renamed
match from any for domain "{domain}" action store
match from any for local action store
match auth from any for any action out
match from local for any action out
match from src "192.0.2.0/28" for any action out
"""
