"""Which source a line belongs to: by its tag, so that one file may hold several programs.

A tag is what stands before `: `, such as `postfix/smtpd[123]`. A mail system added here is added everywhere.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from producers.events import Event, Ignored
from producers.sources import dovecot, exim, opensmtpd, postfix, sendmail, syslog
from schemas.envelope import Mta

Parse = Callable[[bytes, bytes, bytes], Event]


class Program(NamedTuple):
    """Who wrote a line: the mail system and its parser, the instance on the host, the daemon and its process id.

    `bare`: its lines have neither host nor tag; the text begins behind the time.
    """

    mta: Mta
    parse: Parse
    instance: str
    daemon: bytes
    pid: bytes
    bare: bool = False


# How a line is read that its mail system cut into several (`events.Part`): process id, queue id, the pieces.
PIECES: Final[dict[Mta, Callable[[bytes, bytes, Sequence[bytes]], Event]]] = {"SENDMAIL": sendmail.parse_pieces}
DOVECOT_FILE: Final = Program("DOVECOT", dovecot.parse_own, "dovecot", b"", b"", bare=True)
OWN_FORM: Final = Program("EXIM", exim.parse, "exim", b"exim", b"")  # lines without host and tag
TAGS_MAX: Final = 20_000  # process ids come and go


def program_of(tag: bytes) -> Program | Ignored:
    """The program of a tag, or the rule that ignores it."""
    name, _, pid = tag.rstrip(b"]").partition(b"[")
    if name in syslog.NAMES:
        return Program("POSTFIX", syslog.parse, "", name, pid)  # it makes no record, so the mail system is never named
    instance, slash, daemon = name.rpartition(b"/")
    if slash and instance and _is_postfix(instance, daemon):
        return Program("POSTFIX", postfix.parse, instance.decode("utf-8", "backslashreplace"), daemon, pid)
    if name == b"smtpd":  # Postfix's daemon of this name is never without its syslog_name
        return Program("OPENSMTPD", opensmtpd.parse, "smtpd", name, pid)
    if not slash and (name == b"sendmail" or name.startswith(_SENDMAIL)):
        # One instance for all tags: its queue ids are unique on a host, and a message goes from one tag to another.
        return Program("SENDMAIL", sendmail.parse, "sendmail", name, pid)
    if name.startswith(b"exim") and not slash:
        return Program("EXIM", exim.parse, name.decode("utf-8", "backslashreplace"), name, pid)
    # Its tag is instance_name, of which the second instance of a host has its own; PAM writes under `dovecot-auth`.
    if name == b"dovecot" or (name.startswith(b"dovecot-") and name != b"dovecot-auth"):
        return Program("DOVECOT", dovecot.parse, name.decode("utf-8", "backslashreplace"), b"", pid)
    if _DOVECOT_TAG.match(tag):
        return DOVECOT_FILE
    return Ignored("other-program")


def _is_postfix(instance: bytes, daemon: bytes) -> bool:
    """Postfix tags are `<syslog_name>/<daemon>`; syslog_name is free, but begins with postfix by its documentation."""
    return instance.startswith(b"postfix") or daemon in _DAEMONS


_SENDMAIL: Final = (b"sendmail-", b"sm-mta", b"sm-msp", b"sm-que", b"sm-client", b"sm-accept")
# Dovecot's own file, `imap-login: Info: text` or `imap(a b)<1><SESSION>: Info: text`: what looks like a tag there.
_DOVECOT_TAG: Final = re.compile(rb"(?:Info|Debug|Warning|Error|Fatal|Panic|.*\)(?:<\d+><[^<>]*>)?)\Z", re.DOTALL)
_DAEMONS: Final = frozenset(
    b"smtpd cleanup qmgr oqmgr nqmgr pickup smtp lmtp local virtual pipe error retry discard bounce defer trace "
    b"postscreen postsuper anvil scache verify flush proxymap tlsmgr tlsproxy dnsblog trivial-rewrite postdrop "
    b"sendmail postqueue postfix-script master postlogd".split()
)
