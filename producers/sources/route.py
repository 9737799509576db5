"""Which source a line belongs to: by its tag, so that one file may hold several programs.

A tag is what stands before `: `, such as `postfix/smtpd[123]`. A mail system added here is added everywhere.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from producers.events import Event, Ignored
from producers.sources import postfix, syslog
from schemas.envelope import Mta

Parse = Callable[[bytes, bytes, bytes], Event]


class Program(NamedTuple):
    """Who wrote a line: the mail system and its parser, the instance on the host, the daemon and its process id."""

    mta: Mta
    parse: Parse
    instance: str
    daemon: bytes
    pid: bytes


SUPPORTED: Final = ("auto", "postfix")
TAGS_MAX: Final = 20_000  # process ids come and go


def program_of(tag: bytes) -> Program | Ignored:
    """The program of a tag, or the rule that ignores it."""
    name, _, pid = tag.rstrip(b"]").partition(b"[")
    if name in syslog.NAMES:
        return Program("POSTFIX", syslog.parse, "", name, pid)  # it makes no record, so the mail system is never named
    instance, slash, daemon = name.rpartition(b"/")
    if slash and instance and _is_postfix(instance, daemon):
        return Program("POSTFIX", postfix.parse, instance.decode("utf-8", "backslashreplace"), daemon, pid)
    return Ignored("other-program")


def _is_postfix(instance: bytes, daemon: bytes) -> bool:
    """Postfix tags are `<syslog_name>/<daemon>`; syslog_name is free, but begins with postfix by its documentation."""
    return instance.startswith(b"postfix") or daemon in _DAEMONS


_DAEMONS: Final = frozenset(
    b"smtpd cleanup qmgr oqmgr nqmgr pickup smtp lmtp local virtual pipe error retry discard bounce defer trace "
    b"postscreen postsuper anvil scache verify flush proxymap tlsmgr tlsproxy dnsblog trivial-rewrite postdrop "
    b"sendmail postqueue postfix-script master postlogd".split()
)
