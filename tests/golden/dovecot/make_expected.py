"""Remake *.expected.jsonl: every record that `producer replay` makes of the traces, except when it was read.

.venv/bin/python -m tests.golden.dovecot.make_expected

Look at every line of the difference before you commit it: these files are what a record is held to.
"""

import json
from pathlib import Path
from typing import Any

from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import replay
from schemas.envelope import Envelope, json_object

HERE = Path(__file__).parent
YEAR = 2026  # the traces' lines carry none
# Dovecot's own file names no host.
SITES = {"own": Site(own_domains=["example.org"], host="mb1.example.org"), "syslog": Site(own_domains=["example.org"])}


def envelopes(name: str) -> tuple[list[Envelope], dict[str, Any]]:
    """The records of a committed trace, in the order in which they become final, and the counts of its lines."""
    log = HERE / f"{name}.log"
    records = replay([log], Source(name="replay", path=log, mta="auto"), SITES[name], YEAR, SystemClock())
    out = []
    while True:
        try:
            out.append(next(records))
        except StopIteration as end:
            return out, end.value


def objects(name: str) -> list[dict[str, Any]]:
    """The same in JSON's form, without observed_time, which is the time of the run."""
    rows = [json_object(envelope) for envelope in envelopes(name)[0]]
    for row in rows:
        del row["observed_time"]
    return rows


def main() -> None:
    """Write the files."""
    for name in SITES:
        lines = [json.dumps(row, ensure_ascii=False) for row in objects(name)]
        (HERE / f"{name}.expected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
