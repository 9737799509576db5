"""The plain forms of the commonest Postfix lines, as one pattern over a whole chunk.

It is a narrower second spelling of what `header`, `route` and `postfix` understand, there for speed only: most lines of
a busy log have one of these forms, and one pass of the pattern over a chunk cuts all of them into their values. What it
matches means exactly what the parser says; what it does not match is the parser's. Held to that by
tests/unit/producers/test_shortcuts.py.
"""

import re
from typing import Final

MESSAGE_ID_BYTES_MAX: Final = 1900  # a longer line may have been cut by Postfix

# A line that has none of the forms gives itself and otherwise empty groups.
PLAIN: Final = re.compile(
    rb"""^(
        ([A-Z][a-z][a-z]\ [\ \d]\d\ \d\d:\d\d:\d\d\ |\d{4}-\S{10,35}\ )   # RFC 3164 or RFC 3339
        ([^\ \[\]:\n]+\ [^\ \[\]:\n]+)\[(\d{1,9})\]:\                         # host and tag, process id
        (?:([0-9A-Za-z]{6,24}):\ )?                                       # queue id
        (?=(....))
        (?(5)(?:
            message-id=(.+)
          | from=<([^>"\\\n]*)>,\ size=(\d{1,18}),\ nrcpt=(\d{1,9})\ [^>\n]*
          | to=<([^>"\\\n]*)>,\ relay=([^,\n]*),\ (?:conn_use=\d+,\ )?delay=([^,\n]*),\ delays=[^,\n]*,\ dsn=([^,\n]*),
            \ status=sent\ (\(.*)
          | client=([^,\[\]\n]*)\[([^,\[\]\n]*)\](?::(\d{1,5}))?
          | removed
        )
        | (?:dis)?connect\ from\ .*
        )$
      | .*
    )""",
    re.MULTILINE | re.VERBOSE,
)
# Groups, as indexes into what `findall` gives.
RAW, STAMP, WHERE, PID, QUEUE_ID, KIND, MESSAGE_ID, SENDER, SIZE, COUNT, RECIPIENT, RELAY = range(12)
DELAY, DSN, REPLY, CLIENT_NAME, CLIENT_ADDRESS, CLIENT_PORT = range(12, 18)
