"""What a chroot with Sendmail needs: accounts, queues, tables, and its two configurations, made by m4."""

import os
import subprocess
from pathlib import Path
from typing import Final

from infra.local import chroot, sendmail_auth, unpack
from infra.local.process import LocalEngineError

OWN_DOMAIN: Final = "example.org"
HOST: Final = "mx1"
USERS: Final = {"alice": 2001, "bob": 2002, "carol": 2003}
CLIENTS: Final = 9  # 127.0.0.11 to 127.0.0.19 have names
DOWN: Final = "127.0.0.2"  # nothing listens there
_SMMSP_UID: Final = 8911
_SMMTA_UID: Final = 8912


def configure(root: Path, smtp_port: int, relay_port: int, milter_port: int) -> None:
    """Write everything below `root`. LocalEngineError when the machine does not let us."""
    etc = root / "etc"
    users = "".join(f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n" for name, uid in USERS.items())
    files = {
        "passwd": _ACCOUNTS.format(smmsp=_SMMSP_UID, smmta=_SMMTA_UID) + users,
        "group": _GROUP.format(smmsp=_SMMSP_UID, smmta=_SMMTA_UID)
        + "".join(f"{name}:x:{uid}:\n" for name, uid in USERS.items()),
        "hosts": f"127.0.0.1 localhost\n127.0.0.1 {HOST}.{OWN_DOMAIN} {HOST}\n"
        + "".join(f"127.0.0.{10 + number} client{number}.example.net\n" for number in range(1, CLIENTS + 1)),
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
        "services": "smtp 25/tcp\nsubmission 587/tcp\n",
        "shells": "/bin/sh\n",
        "hostname": f"{HOST}.{OWN_DOMAIN}\n",
        "mail/service.switch": "hosts files\naliases files\npasswd files\n",
        "mail/local-host-names": f"{OWN_DOMAIN}\n{HOST}.{OWN_DOMAIN}\n",
        "mail/trusted-users": "root\nsmmsp\nalice\nbob\ncarol\n",
        "mail/relay-domains": "",
        "mail/aliases": _ALIASES,
        "mail/access": _ACCESS,
        "mail/members": "alice\ngeorge@lists.example.net\n",
        "mail/mailertable": _MAILERTABLE.format(down=DOWN),
        "mail/virtusertable": _VIRTUSERTABLE,
        "mail/sendmail.mc": _SERVER.format(
            host=HOST, domain=OWN_DOMAIN, port=smtp_port, relay=relay_port, milter=milter_port
        ),
        "mail/submit.mc": _SUBMISSION.format(host=HOST, domain=OWN_DOMAIN, port=smtp_port),
    }
    for name, text in files.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text(text, encoding="ascii")
    _folders(root)
    chroot.devices(root)
    libexec = root / "usr" / "libexec" / "sendmail"
    programs = [path for path in libexec.iterdir() if path.is_file()] + [root / "usr/bin/m4", Path("/bin/sh")]
    programs += sendmail_auth.programs(root)
    folders = [path for path in (root / "usr" / "lib").iterdir() if path.is_dir() and "linux-gnu" in path.name]
    unpack.copy_libraries(root, programs, folders)
    _shell(root)
    sendmail_auth.configure(root, OWN_DOMAIN, list(USERS))
    for name in ("sendmail", "submit"):
        (etc / "mail" / f"{name}.cf").write_bytes(_m4(root, f"/etc/mail/{name}.mc"))
    for name in ("access", "mailertable", "virtusertable"):
        _run(
            root, "/usr/libexec/sendmail/makemap", "hash", f"/etc/mail/{name}", text=(etc / "mail" / name).read_bytes()
        )
    _run(root, "/usr/libexec/sendmail/sendmail", "-L", "sm-mta", "-bi")


def _m4(root: Path, name: str) -> bytes:
    return _run(
        root, "/usr/bin/m4", "-D_CF_DIR_=/usr/share/sendmail/cf/", "/usr/share/sendmail/cf/m4/cf.m4", name, text=b""
    )


def _run(root: Path, *command: str, text: bytes = b"") -> bytes:
    done = subprocess.run(["chroot", str(root), *command], input=text, check=False, capture_output=True, timeout=60)
    if done.returncode:
        raise LocalEngineError(f"`{command[0]}` failed: {done.stderr.decode(errors='replace')}", "Look at its input.")
    return done.stdout


def _shell(root: Path) -> None:
    """A shell, for program mailers."""
    target = root / "bin" / "sh"
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        target.write_bytes(Path("/bin/sh").read_bytes())
        target.chmod(0o755)


def _folders(root: Path) -> None:
    """Queues, homes and the mail spool, as the package's maintainer scripts would make them."""
    spool = root / "var" / "spool"
    chroot.folder(spool / "mqueue", 0, 0, 0o750)
    chroot.folder(spool / "mqueue-client", _SMMSP_UID, _SMMSP_UID, 0o2770)
    chroot.folder(root / "var" / "mail", 0, 8, 0o1777)
    chroot.folder(root / "var" / "lib" / "sendmail", 0, 0, 0o755)
    chroot.folder(root / "var" / "run", 0, 0, 0o755)
    chroot.folder(root / "var" / "log", 0, 0, 0o755)
    chroot.folder(root / "tmp", 0, 0, 0o1777)
    chroot.folder(root / "etc" / "mail", 0, 0, 0o755)
    program = root / "usr" / "libexec" / "sendmail" / "sendmail"
    os.chown(program, 0, _SMMSP_UID)
    program.chmod(0o2755)  # anyone may hand mail in: the submission queue belongs to this group
    for name, uid in USERS.items():
        chroot.folder(root / "home" / name, uid, uid, 0o755)
    forward = root / "home" / "carol" / ".forward"
    forward.write_text("\\carol, carol@away.example.net\n", encoding="ascii")
    os.chown(forward, USERS["carol"], USERS["carol"])
    forward.chmod(0o644)


_ACCOUNTS: Final = """\
root:x:0:0:root:/root:/bin/sh
mail:x:8:8:mail:/var/mail:/bin/sh
smmsp:x:{smmsp}:{smmsp}::/var/lib/sendmail:/bin/false
smmta:x:{smmta}:{smmta}::/var/lib/sendmail:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
_GROUP: Final = """\
root:x:0:
mail:x:8:
smmsp:x:{smmsp}:
smmta:x:{smmta}:
nogroup:x:65534:
"""
_ALIASES: Final = """\
postmaster: bob
mailer-daemon: postmaster
root: bob
team: alice, bob
list: alice, dave@lists.example.net
owned: alice, erin@lists.example.net
owner-owned: bob
archive: /var/mail/archive
program: "|while read -r line; do echo \"$line\"; done >> /var/mail/program"
failing: "|exit 67"
away: frank@far.example.net
refuser: refused@far.example.net
refq: x@down.example.net
milter-refuses: alice
loopa: loopb
loopb: loopa
badmember: alice, nosuchuser
badlist: :include:/etc/mail/missing
badsyntax: alice, <@
incl: :include:/etc/mail/members
"""
_ACCESS: Final = """\
Connect:127.0.0.19 REJECT
From:banned@example.net REJECT
To:closed@example.org ERROR:5.2.1:550 Mailbox is closed
To:later@example.org ERROR:4.2.2:452 Mailbox is full
From:void@example.net DISCARD
To:hole@example.org DISCARD
"""
_MAILERTABLE: Final = """\
down.example.net esmtp:[{down}]
.down.example.net esmtp:[{down}]
"""
_VIRTUSERTABLE: Final = """\
sales@example.org alice
"""
_SERVER: Final = """\
divert(0)dnl
VERSIONID(`the local Sendmail of tests')dnl
OSTYPE(`linux')dnl
define(`_USE_ETC_MAIL_')dnl
define(`confDOMAIN_NAME', `{host}.{domain}')dnl
define(`confLOG_LEVEL', `9')dnl
define(`confPRIVACY_FLAGS', `authwarnings')dnl
define(`confDELIVERY_MODE', `background')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_QUEUERETURN', `1h')dnl
define(`confTO_QUEUEWARN', `1h')dnl
define(`confTO_COMMAND', `8s')dnl
define(`confTO_DATABLOCK', `8s')dnl
define(`confTO_ICONNECT', `5s')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl
define(`confAUTH_OPTIONS', `A')dnl
define(`confAUTH_REALM', `{domain}')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
define(`confCACERT_PATH', `/etc/mail/tls')dnl
define(`confCACERT', `/etc/mail/tls/server.crt')dnl
define(`confSERVER_CERT', `/etc/mail/tls/server.crt')dnl
define(`confSERVER_KEY', `/etc/mail/tls/server.key')dnl
define(`confREFUSE_LA', `999')dnl
define(`confQUEUE_LA', `999')dnl
define(`confDELAY_LA', `0')dnl
define(`confMAX_MESSAGE_SIZE', `100000')dnl
define(`confMAX_RCPTS_PER_MESSAGE', `100')dnl
define(`confDONT_BLAME_SENDMAIL', `ForwardFileInGroupWritableDirPath,GroupWritableDirPathSafe')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`STATUS_FILE', `/var/lib/sendmail/sendmail.st')dnl
define(`confPID_FILE', `/var/run/sendmail.pid')dnl
define(`ALIAS_FILE', `/etc/mail/aliases')dnl
define(`QUEUE_DIR', `/var/spool/mqueue')dnl
define(`PROCMAIL_MAILER_PATH', `/bin/false')dnl
define(`LOCAL_SHELL_PATH', `/bin/sh')dnl
define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl
define(`SMTP_MAILER_ARGS', `TCP $h {relay}')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {relay}')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {relay}')dnl
define(`confSMTP_LOGIN_MSG', `$j Sendmail; $b')dnl
QUEUE_GROUP(`mqueue', `P=/var/spool/mqueue, F=f, r=30')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port={port}')dnl
FEATURE(`nocanonify')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`use_ct_file')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`access_db', `hash -T<TMPF> /etc/mail/access')dnl
FEATURE(`blocklist_recipients')dnl
FEATURE(`mailertable', `hash /etc/mail/mailertable')dnl
FEATURE(`virtusertable', `hash /etc/mail/virtusertable')dnl
FEATURE(`local_lmtp', `/usr/libexec/sendmail/mail.local', `mail.local -l')dnl
INPUT_MAIL_FILTER(`sieve', `S=inet:{milter}@127.0.0.1, T=S:5s;R:5s;E:10s')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_RULESETS
HX-Bad: $>CheckBad
SCheckBad
R$*	$#error $@ 5.7.1 $: "554 No such thing; stat=Sent"
"""
_SUBMISSION: Final = """\
divert(0)dnl
VERSIONID(`the local submission program of tests')dnl
OSTYPE(`linux')dnl
define(`_USE_ETC_MAIL_')dnl
define(`confDOMAIN_NAME', `{host}.{domain}')dnl
define(`confLOG_LEVEL', `9')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_ICONNECT', `5s')dnl
define(`confTIME_ZONE', `USE_TZ')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confREFUSE_LA', `999')dnl
define(`confQUEUE_LA', `999')dnl
define(`MSP_QUEUE_DIR', `/var/spool/mqueue-client')dnl
define(`STATUS_FILE', `/var/lib/sendmail/sm-client.st')dnl
define(`SMTP_MAILER_ARGS', `TCP $h {port}')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {port}')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl
FEATURE(`use_ct_file')dnl
FEATURE(`msp', `[127.0.0.1]', `{port}')dnl
"""
