"""A real Dovecot on loopback: Debian's packages, unpacked below var/mta and run in a chroot there."""

import os
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local import chroot, unpack
from infra.local.process import EngineProcess, child_environment, free_port

PACKAGES: Final = [
    f"dovecot-{part}" for part in ("core", "imapd", "pop3d", "lmtpd", "sieve", "managesieved", "submissiond")
]
HOST: Final = "mx1"
PASSWORD: Final = "secret"  # noqa: S105  (of invented users)
# The last is a name that imitates the fields behind it. Its password is known: logging in with it succeeds.
HOSTILE: Final = "eve, rip=6.6.6.6>"
USERS: Final = tuple(f"{name}@example.org" for name in ("alice", "bob", "carol", "dave", "erin", "frank"))
DEFAULT_ELEMENTS: Final = "user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{session}>"
LONG_ELEMENTS: Final = "user=<%u> method=%m rip=%r rport=%b lip=%l lport=%a mpid=%e %c %k session=<%{session}>"
_DOVECOT_UID: Final = 8911
_LOGIN_UID: Final = 8912
_MAIL_UID: Final = 8913
_PORTS: Final = ("imap", "haproxy", "pop3", "sieve", "submission", "lmtp")


def unavailable() -> str | None:
    """Why a live Dovecot cannot be had here, in one sentence; None when it can."""
    return unpack.unavailable()


class LocalDovecot:
    """One Dovecot below `home`: IMAP, POP3, ManageSieve, submission, LMTP (TCP and a socket), each on its own port.

    Without `to_syslog` it writes its own log file; with it, to /dev/log of its chroot, where a `Syslog` must listen.
    """

    def __init__(self, home: Path, relay_port: int, *, to_syslog: bool, elements: str = DEFAULT_ELEMENTS) -> None:
        """Nothing is fetched or started. What its users send or forward goes to `relay_port` on loopback."""
        self.root = home / "mta" / "dovecot"
        self.log_file = self.root / "var" / "log" / "dovecot.log"
        self.lmtp_socket = self.root / "run" / "dovecot" / "lmtp"
        self.ports: dict[str, int] = {}
        self._home = home
        self._relay_port = relay_port
        self._to_syslog = to_syslog
        self._elements = elements
        self._process = EngineProcess("Dovecot", home / "mta" / "run-dovecot", home / "log" / "dovecot.log")

    def prepare(self) -> None:
        """Fetch it once and set it up. LocalEngineError when one of these fails."""
        unpack.unpack(PACKAGES, self.root, self.root.parent / "dovecot.unpacked")
        self._configure()

    def start(self) -> None:
        """Start it, after `prepare`. LocalEngineError when it does not come up."""
        command = ["chroot", str(self.root), "/usr/sbin/dovecot", "-F", "-c", "/etc/dovecot/dovecot.conf"]
        self._process.start(command, child_environment(self._home) | {"TZ": "UTC"}, self._answers)

    def forget(self) -> None:
        """While it is stopped: remove logs, state and mailboxes of earlier runs."""
        for folder in ("var/log", "run", "var/mail", "var/lib/dovecot"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def sieve_script(self, user: str, text: str) -> None:
        """What is done with the user's mail from now on."""
        folder = self._user_home(user)
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / ".dovecot.sieve"
        script.write_text(text, encoding="utf-8")
        for path in (folder, script):
            os.chown(path, _MAIL_UID, _MAIL_UID)

    def stored(self, user: str, folder: str = "INBOX") -> int:
        """How many messages lie in a mailbox of a user."""
        maildir = self._user_home(user) / "mail" / ("" if folder == "INBOX" else f".{folder}")
        return sum(len(list((maildir / part).iterdir())) for part in ("new", "cur") if (maildir / part).is_dir())

    def _user_home(self, user: str) -> Path:
        return self.root / "var" / "mail" / user.partition("@")[0]

    def _answers(self) -> bool:
        """It listens. A whole greeting would be a session and a log line."""
        try:
            with socket.create_connection(("127.0.0.1", self.ports["lmtp"]), timeout=2) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def _configure(self) -> None:
        self.ports = {name: free_port() for name in _PORTS}
        etc = self.root / "etc"
        users = [
            f"{user}:{{PLAIN}}{PASSWORD}:{_MAIL_UID}:{_MAIL_UID}::/var/mail/{user.partition('@')[0]}"
            for user in (*USERS, HOSTILE)
        ]
        config = _CONFIG.format(
            log="syslog" if self._to_syslog else "/var/log/dovecot.log",
            elements=self._elements,
            relay_port=self._relay_port,
            **{f"{name}_port": port for name, port in self.ports.items()},
        )
        files = {
            "passwd": _ACCOUNTS.format(dovecot=_DOVECOT_UID, login=_LOGIN_UID, mail=_MAIL_UID),
            "group": _GROUP.format(dovecot=_DOVECOT_UID, login=_LOGIN_UID, mail=_MAIL_UID),
            "hosts": "127.0.0.1 localhost mx1.example.org\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
            "services": "smtp 25/tcp\n",
            "dovecot/dovecot.conf": config,
            "dovecot/users": "\n".join(users) + "\n",
        }
        for name, text in files.items():
            (etc / name).parent.mkdir(parents=True, exist_ok=True)
            (etc / name).write_text(text, encoding="ascii")
        _certificate(etc / "dovecot")
        for folder, uid in (("run/dovecot", 0), ("var/log", 0), ("var/mail", _MAIL_UID), ("var/lib/dovecot", 0)):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            os.chown(self.root / folder, uid, uid)
        (self.root / "tmp").mkdir(exist_ok=True)
        (self.root / "tmp").chmod(0o1777)
        chroot.devices(self.root)
        library = self.root / "usr" / "lib" / "dovecot"
        programs = [*library.rglob("*"), *(self.root / "usr/sbin").iterdir(), *(self.root / "usr/bin").iterdir()]
        unpack.copy_libraries(
            self.root, [path for path in programs if path.is_file() and not path.is_symlink()], [library]
        )


def _certificate(folder: Path) -> None:
    """A key and a certificate that it signed itself, made once."""
    if (folder / "key.pem").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{HOST}.example.org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


_ACCOUNTS: Final = """\
root:x:0:0:root:/:/bin/sh
dovecot:x:{dovecot}:{dovecot}::/:/bin/false
dovenull:x:{login}:{login}::/:/bin/false
vmail:x:{mail}:{mail}::/var/mail:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
_GROUP: Final = """\
root:x:0:
dovecot:x:{dovecot}:
dovenull:x:{login}:
vmail:x:{mail}:
nogroup:x:65534:
"""
_CONFIG: Final = """\
base_dir = /run/dovecot
hostname = mx1.example.org
protocols = imap pop3 lmtp sieve submission
listen = 127.0.0.1
log_path = {log}
login_log_format_elements = {elements}
login_trusted_networks = 127.0.0.0/8
haproxy_trusted_networks = 127.0.0.0/8
haproxy_timeout = 10 secs
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
auth_failure_delay = 0
ssl = yes
ssl_cert = </etc/dovecot/cert.pem
ssl_key = </etc/dovecot/key.pem
mail_location = maildir:~/mail
first_valid_uid = 100
submission_host = 127.0.0.1:{relay_port}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
lda_mailbox_autocreate = yes
lmtp_save_to_detail_mailbox = no
recipient_delimiter = +
default_internal_user = dovecot
default_login_user = dovenull
postmaster_address = postmaster@example.org
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
}}
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
}}
passdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
  inet_listener imap_haproxy {{
    port = {haproxy_port}
    haproxy = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve_port}
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission_port}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""
