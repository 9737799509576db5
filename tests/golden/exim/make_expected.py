"""Remake the expected records: all that `producer replay` makes of each trace, except when it was read.

.venv/bin/python -m tests.golden.exim.make_expected

Look at every line of the difference before you commit it: these files are what a record is held to.
"""

import json
from pathlib import Path
from typing import Any

from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import Replayed, replay
from schemas.envelope import Envelope, json_object

HERE = Path(__file__).parent
LOGGINGS = ("default", "all", "syslog")
YEAR = 2026  # the syslog trace's header carries none
SITE = Site(host="mx1.example.org", own_domains=["example.org"], own_networks=["192.0.2.0/28"])


def replayed(logging: str, site: Site = SITE) -> Replayed:
    """`producer replay` of a committed trace. Where its times carry no zone, they are those of the scenario's server."""
    path = HERE / f"{logging}.log"
    source = Source(name="replay", path=path, mta="exim", time_zone="Asia/Shanghai")
    return replay([path], source, site, YEAR, SystemClock())


def envelopes(logging: str) -> list[Envelope]:
    """The records of a committed trace, in the order in which they become final."""
    return list(replayed(logging))


def objects(logging: str) -> list[dict[str, Any]]:
    """The same in JSON's form, without observed_time, which is the time of the run."""
    rows = [json_object(envelope) for envelope in envelopes(logging)]
    for row in rows:
        del row["observed_time"]
    return rows


def main() -> None:
    """Write the files."""
    for logging in LOGGINGS:
        lines = [json.dumps(row, ensure_ascii=False) for row in objects(logging)]
        (HERE / f"{logging}.expected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
