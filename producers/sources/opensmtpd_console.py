"""Lines of `smtpd -d`, which writes to standard error: no time, no host, no tag.

Whatever collects them puts a time in front (a container runtime, `ts`), and they are OpenSMTPD's lines when the tag is
put back. Which lines are its own is told by how they begin; anything else may be another program's.
"""

import re
from typing import Final

_OWN: Final = re.compile(
    rb"[0-9a-f]{16} (?:smtp|mta|mda|filters) "
    rb"|(?:relay|delivery): (?:Ok|TempFail|PermFail|Expire|Remove) for [0-9a-f]{16}: "
    rb"|smtp-(?:in|out): |[a-z-]+: session [0-9a-f]{16}: "
    rb"|info: |warn: |debug: |smtpd: |imsg: |mproc: |expand: |lookup: |rule #|ramstat: |queue-backend: |scheduler: "
    rb"|Exiting\Z|commands executed from aliases "
    rb"|(?:smtp|mta|mda|bounce): (?:0x[0-9a-f]+: |new user )"
)
_PUT_IN: Final = b"- smtpd: "  # host and tag; `-` stands for a host that is not told


def with_tag(line: bytes, at: int) -> bytes:
    """`line` with host and tag put in at `at`, behind its time, where a line of `smtpd -d` begins; else as it is."""
    return line[:at] + _PUT_IN + line[at:] if _OWN.match(line, at) else line
