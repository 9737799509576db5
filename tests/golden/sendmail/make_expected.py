"""Remake trace.expected.jsonl: every record that `producer replay` makes of trace.log, except when it was read.

.venv/bin/python -m tests.golden.sendmail.make_expected

Look at every line of the difference before you commit it: this file is what a record is held to.
"""

import json
from pathlib import Path
from typing import Any

from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import replay
from schemas.envelope import Envelope, json_object

HERE = Path(__file__).parent
LOG = HERE / "trace.log"
EXPECTED = HERE / "trace.expected.jsonl"
YEAR = 2026  # the trace's lines carry none
SITE = Site(own_domains=["example.org", "mx1.example.org"], own_networks=["192.0.2.0/28"])


def envelopes() -> list[Envelope]:
    """The records of the committed trace, in the order in which they become final."""
    return list(replay([LOG], Source(name="replay", path=LOG), SITE, YEAR, SystemClock()))


def objects() -> list[dict[str, Any]]:
    """The same in JSON's form, without observed_time, which is the time of the run."""
    rows = [json_object(envelope) for envelope in envelopes()]
    for row in rows:
        del row["observed_time"]
    return rows


def main() -> None:
    """Write the file."""
    lines = [json.dumps(row, ensure_ascii=False) for row in objects()]
    EXPECTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
