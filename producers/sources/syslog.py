"""What syslog daemons say of themselves: messages of others that they dropped. The rest of their talk is ignored."""

import re
from typing import Final

from producers.events import Event, Ignored, Lost

NAMES: Final = frozenset((b"rsyslogd", b"systemd-journald", b"systemd-journal", b"journal", b"syslog-ng"))
# systemd-journald: `Suppressed 2350 messages from postfix.service`. rsyslogd:
# `imuxsock lost 141 messages from pid 12 ...`
# `imjournal: 3 messages lost due to rate-limiting (20000 allowed within 600 seconds)`.
_DROPPED: Final = re.compile(
    rb"Suppressed (\d{1,9}) messages from |(?:[\w-]+(?:\[pid \d+\])?:? )?"
    rb"(?:lost (\d{1,9}) messages |(\d{1,9}) messages lost due to rate-limiting)"
)


def parse(_daemon: bytes, _pid: bytes, text: bytes) -> Event:
    """`Lost` with how many messages were dropped, whoever wrote them."""
    found = _DROPPED.match(text)
    if found is None:
        return Ignored("syslog-daemon")
    return Lost("rate-limited", int(found[1] or found[2] or found[3]))
