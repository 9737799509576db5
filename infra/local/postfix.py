"""A real Postfix on loopback: Debian's package, unpacked below var/mta and run in a chroot there."""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from infra.local import chroot, unpack
from infra.local.process import EngineProcess, child_environment, free_port

OWN_DOMAIN: Final = "example.org"
HOST: Final = "mx1"
USERS: Final = ("alice", "bob", "carol")
QUEUE_RUN_SECONDS: Final = 3
_POSTFIX_UID: Final = 8901
_POSTDROP_GID: Final = 8902
_MAIL_UID: Final = 8903
_QUEUE_FOLDERS: Final = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"),
    *("pid", "maildrop", "public"),
)


def unavailable() -> str | None:
    """Why a live Postfix cannot be had here, in one sentence; None when it can."""
    return unpack.unavailable()


class Extra(NamedTuple):
    """What a set-up has beyond the plain one."""

    main: str = ""  # settings of main.cf, a line each, beside the plain ones or instead of them
    master: str = ""  # lines of master.cf
    accounts: str = ""  # lines of /etc/passwd
    files: Mapping[str, str] = MappingProxyType({})  # text by path below the chroot
    programs: tuple[str, ...] = ()  # of the machine, by path, with their libraries: what pipe(8) runs


class LocalPostfix:
    """One Postfix below `home`; mail for OWN_DOMAIN is stored, all else goes to `relay_port` on loopback.

    `name` is its syslog_name, and tells several instances in one chroot apart: each has its own queue, all one log.
    """

    def __init__(
        self,
        home: Path,
        relay_port: int,
        *,
        long_queue_ids: bool = True,
        extra: Extra | None = None,
        name: str = "postfix",
    ) -> None:
        """Nothing is fetched or started."""
        self.name = name
        self.root = home / "mta" / "postfix"
        self.log_file = self.root / "var" / "log" / "mail.log"
        self.smtp_port = 0
        self._home = home
        self._relay_port = relay_port
        self._long_queue_ids = long_queue_ids
        self._extra = extra or Extra()
        run = "run" if name == "postfix" else f"run-{name}"
        self._process = EngineProcess("Postfix", home / "mta" / run, home / "log" / f"{name}.log")

    def start(self) -> None:
        """Fetch it once, set it up, start it. LocalEngineError when one of these fails."""
        unpack.unpack(["postfix"], self.root, self.root.parent / "postfix.unpacked")
        if not self.smtp_port:
            self.smtp_port = free_port()
        self._configure()
        command = ["chroot", str(self.root), "/usr/lib/postfix/sbin/master", "-d", "-c", f"/etc/{self.name}"]
        self._process.start(command, child_environment(self._home) | {"TZ": "UTC"}, self._answers)

    def forget(self) -> None:
        """While it is stopped: remove logs, queue and mailboxes of earlier runs."""
        for folder in ("var/log", f"var/spool/{self.name}", "var/mail/virtual"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()

    def submit(self, sender: str, recipients: list[str], message: bytes) -> None:
        """Hand in a message on this host, as a local process does (sendmail -> postdrop -> pickup)."""
        self.run("sendmail", "-f", sender, *recipients, given=message)

    def run(self, program: str, *arguments: str, given: bytes = b"") -> bytes:
        """What one of Postfix's own commands (sendmail, postsuper, postqueue ...) says; `given` is its input."""
        done = subprocess.run(
            ["chroot", str(self.root), f"/usr/sbin/{program}", *arguments],
            input=given,
            env={"PATH": "/usr/sbin:/usr/bin", "TZ": "UTC", "MAIL_CONFIG": f"/etc/{self.name}"},
            check=True,
            capture_output=True,
            timeout=30,
        )
        return done.stdout + done.stderr

    @property
    def spool(self) -> Path:
        """Its queue."""
        return self.root / "var" / "spool" / self.name

    def rotate_log(self) -> Path:
        """Rename the log and tell postlogd to open a new one; the rotated file."""
        rotated = self.log_file.with_name(f"mail.log.{1 + len(list(self.log_file.parent.glob('mail.log.*')))}")
        self.log_file.rename(rotated)
        for pid in self._daemons("postlogd"):
            os.kill(pid, 15)  # master starts another when the next line comes
        return rotated

    def mailbox(self, user: str) -> list[bytes]:
        """Messages that were stored for a user."""
        folder = self.root / "var" / "mail" / "virtual" / user / "new"
        return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.smtp_port), timeout=2) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def _daemons(self, name: str) -> list[int]:
        """Process ids of our own daemons of this name: children of our master, by its process group."""
        master = self._process.pid
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                text = (entry / "stat").read_text(encoding="ascii")
            except OSError:
                continue
            if text.partition("(")[2].partition(")")[0] == name and int(text.rpartition(")")[2].split()[1]) == master:
                found.append(int(entry.name))
        return found

    def _configure(self) -> None:
        etc = self.root / "etc"
        files = {
            "passwd": _ACCOUNTS.format(postfix=_POSTFIX_UID, mail=_MAIL_UID) + self._extra.accounts,
            "group": _GROUP.format(postfix=_POSTFIX_UID, postdrop=_POSTDROP_GID, mail=_MAIL_UID),
            "hosts": "127.0.0.1 localhost\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
            "services": "smtp 25/tcp\n",
            f"{self.name}/master.cf": _MASTER.format(port=self.smtp_port) + self._extra.master,
            f"{self.name}/main.cf": _merged(
                _MAIN.format(
                    name=self.name,
                    host=HOST,
                    domain=OWN_DOMAIN,
                    relay_port=self._relay_port,
                    boxes=" ".join(f"{{{user}@{OWN_DOMAIN}={user}/}}" for user in USERS),
                    uid=_MAIL_UID,
                    long="yes" if self._long_queue_ids else "no",
                    delay=QUEUE_RUN_SECONDS,
                ),
                self._extra.main,
            ),
        }
        (etc / self.name).mkdir(exist_ok=True)
        for name, text in files.items():
            (etc / name).write_text(text, encoding="ascii")
        for name, text in self._extra.files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        shutil.copy(self.root / "usr/share/postfix/dynamicmaps.cf", etc / self.name / "dynamicmaps.cf")
        self._folders()
        library = self.root / "usr" / "lib" / "postfix"
        programs = [*(library / "sbin").iterdir(), *library.glob("*.so*"), *(self.root / "usr/sbin").iterdir()]
        for name in self._extra.programs:
            (self.root / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, self.root / name.lstrip("/"))
            programs.append(self.root / name.lstrip("/"))
        unpack.copy_libraries(
            self.root, [path for path in programs if path.is_file()], [library, *self._library_folders()]
        )

    def _library_folders(self) -> list[Path]:
        return [path for path in (self.root / "usr" / "lib").iterdir() if path.is_dir() and "linux-gnu" in path.name]

    def _folders(self) -> None:
        """The queue, as postfix-install would make it; /dev; programs that run as group postdrop."""
        spool = self.spool
        for name in _QUEUE_FOLDERS:
            chroot.folder(spool / name, _POSTFIX_UID if name != "pid" else 0, 0, 0o700 if name != "pid" else 0o755)
        chroot.folder(spool / "maildrop", _POSTFIX_UID, _POSTDROP_GID, 0o730)
        chroot.folder(spool / "public", _POSTFIX_UID, _POSTDROP_GID, 0o710)
        chroot.folder(self.root / "var" / "lib" / self.name, _POSTFIX_UID, 0, 0o700)
        chroot.folder(self.root / "var" / "log", 0, 0, 0o755)
        chroot.folder(self.root / "var" / "mail" / "virtual", _MAIL_UID, _MAIL_UID, 0o755)
        chroot.folder(self.root / "tmp", 0, 0, 0o1777)
        for name in ("postdrop", "postqueue"):
            program = self.root / "usr" / "sbin" / name
            os.chown(program, 0, _POSTDROP_GID)
            program.chmod(0o2755)
        chroot.devices(self.root)


def _merged(plain: str, more: str) -> str:
    """main.cf without the settings that `more` gives anew: each daemon logs of one given twice, postlogd to itself."""
    given = {line.partition(" =")[0] for line in more.splitlines()}
    return "".join(f"{line}\n" for line in plain.splitlines() if line.partition(" =")[0] not in given) + more


_ACCOUNTS: Final = """\
root:x:0:0:root:/:/bin/sh
postfix:x:{postfix}:{postfix}::/var/spool/postfix:/bin/false
vmail:x:{mail}:{mail}::/var/mail/virtual:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
_GROUP: Final = """\
root:x:0:
postfix:x:{postfix}:
postdrop:x:{postdrop}:
vmail:x:{mail}:
nogroup:x:65534:
"""
_MASTER: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 5 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_MAIN: Final = """\
compatibility_level = 3.6
myhostname = {host}.{domain}
mydomain = {domain}
myorigin = {domain}
mydestination = {host}.{domain}
mynetworks = 127.0.0.0/8, 192.0.2.0/24
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{relay_port}
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
smtpd_reject_unlisted_recipient = yes
smtpd_client_port_logging = yes
smtpd_client_connection_count_limit = 0
smtpd_authorized_xclient_hosts = 127.0.0.0/8
virtual_mailbox_domains = {domain}
virtual_mailbox_base = /var/mail/virtual
virtual_mailbox_maps = inline:{{ {boxes} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_minimum_uid = 100
virtual_alias_maps = inline:{{ {{ team@{domain} = alice@{domain} bob@{domain} }} }}
alias_maps = inline:{{ {{ list = alice@{domain}, dave@example.net }} }}
alias_database =
local_recipient_maps = $alias_maps
enable_long_queue_ids = {long}
maillog_file = /var/log/mail.log
queue_run_delay = {delay}s
minimal_backoff_time = {delay}s
maximal_backoff_time = {delay}s
syslog_name = {name}
queue_directory = /var/spool/{name}
data_directory = /var/lib/{name}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
smtputf8_enable = no
"""
