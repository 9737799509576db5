"""The committed worlds: each a real Postfix in unusual set-ups, its log, the scenarios' truth, and every field expected.

NAME.log          what Postfix wrote
NAME.truth.json   what the scenarios know from clients, sink and mailboxes; with the settings that the log is read with
NAME.expected.jsonl   every record, without the time at which it was read
"""

import json
from pathlib import Path
from typing import Any

from infra.local.postfix_scenarios import Told
from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import replay
from schemas.envelope import Envelope, json_object

NAMES = ("clients", "filters", "access", "queue", "forms", "stages")
HERE = Path(__file__).parent
YEAR = 2026  # the traces' lines carry none


def log_of(name: str) -> Path:
    """The log of a world."""
    return HERE / f"{name}.log"


def site_of(name: str) -> Site:
    """The settings that its log is read with."""
    return Site(**json.loads((HERE / f"{name}.truth.json").read_bytes())["site"])


def truth_of(name: str) -> list[Told]:
    """What its scenarios know."""
    told = json.loads((HERE / f"{name}.truth.json").read_bytes())["told"]
    return [Told(**entry | {"flags": tuple(entry["flags"])}) for entry in told]


def envelopes_of(name: str) -> list[Envelope]:
    """The records of its log, in the order in which they become final."""
    log = log_of(name)
    return list(replay([log], Source(name="replay", path=log), site_of(name), YEAR, SystemClock()))


def objects_of(name: str) -> list[dict[str, Any]]:
    """The same in JSON's form, without observed_time, which is the time of the run."""
    rows = [json_object(envelope) for envelope in envelopes_of(name)]
    for row in rows:
        del row["observed_time"]
    return rows


def expected_of(name: str) -> list[dict[str, Any]]:
    """The committed records."""
    return [json.loads(line) for line in (HERE / f"{name}.expected.jsonl").read_text(encoding="utf-8").splitlines()]
