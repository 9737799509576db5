"""The peer that people write in an afternoon: one regular expression a kind of line, a dict by queue id, JSON out.

It knows no quoting, no bounces, no filters, no restart; it is here for its speed only.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

LINE = re.compile(r"^(\w{3} +\d+ [\d:]+) (\S+) postfix/(\w+)\[\d+\]: (\w+): (.*)$")
CLIENT = re.compile(r"client=(\S+)\[([\d.]+)\]")
MESSAGE_ID = re.compile(r"message-id=(.*)")
FROM = re.compile(r"from=<([^>]*)>, size=(\d+), nrcpt=(\d+)")
TO = re.compile(r"to=<([^>]*)>.* relay=([^,]+),.* dsn=([\d.]+), status=(\w+)")


def main(path: Path) -> None:
    """Print a JSON line a delivery."""
    mails: dict[str, dict[str, Any]] = {}
    for line in path.open(encoding="utf-8", errors="replace"):
        if not (found := LINE.match(line)):
            continue
        when, host, _, queue_id, rest = found.groups()
        mail = mails.setdefault(queue_id, {"host": host, "queue_id": queue_id})
        if found := CLIENT.match(rest):
            mail["client"], mail["ip"] = found.groups()
        elif found := MESSAGE_ID.match(rest):
            mail["message_id"] = found[1]
        elif found := FROM.match(rest):
            mail["sender"], mail["size"], mail["count"] = found.groups()
        elif found := TO.match(rest):
            recipient, relay, dsn, status = found.groups()
            print(json.dumps(mail | {"time": when, "to": recipient, "relay": relay, "dsn": dsn, "status": status}))
        elif rest == "removed":
            mails.pop(queue_id, None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
