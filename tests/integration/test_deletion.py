"""Deletions and revealed dead letters on the real engines: in the ledger first, or not at all."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.platform.clickhouse import connect
from infra.platform.clock import HOUR, SystemClock, from_datetime
from infra.platform.settings import Settings
from tests.ledgers import RunningLedger
from tests.pipeline import Program, count, envelope, publish, run, until, write_settings

RECORDS = 30


@pytest.fixture
def file(recorded: Settings, tmp_path: Path) -> Path:
    """Settings for loader, ops and ledger; the ledger runs."""
    return write_settings(tmp_path / "liucun.toml", recorded)


@pytest.fixture
def old_day(fresh: Settings, file: Path) -> str:
    """A day that is due since midnight, with records: loaded by a loader whose clock is two days behind."""
    zone = fresh.legal.zone_info
    day = datetime.now(zone).date() - timedelta(days=61)
    noon = from_datetime(datetime(day.year, day.month, day.day, 12, tzinfo=zone))
    publish(fresh, [envelope(number, noon + number) for number in range(RECORDS)])
    loader = Program(file, "consumer", "run", LIUCUN_CLOCK_OFFSET_SECONDS=str(-2 * 86_400))
    until(lambda: count(fresh) >= RECORDS)
    assert loader.stop() == 0, loader.said()
    return day.isoformat()


def projected(settings: Settings) -> list[Any]:
    """Rows of the table `retention`, in the ledger's order."""
    client = connect(settings.clickhouse, settings.clickhouse.ops)
    try:
        query = "SELECT ledger_index, kind, toString(event_day), row_count, toString(attempt_id), actor FROM retention"
        return sorted(client.query(query).result_rows)
    finally:
        client.close()


def entries(ledger: RunningLedger) -> list[tuple[int, str, dict[str, Any]]]:
    """The ledger's entries behind the genesis."""
    return [(entry.index, entry.kind, entry.payload or {}) for entry in ledger.client().read(1)]


def test_no_ledger_no_drop(fresh: Settings, file: Path, ledger: RunningLedger, old_day: str) -> None:
    """Then, with the ledger: intent, drop, done; the rows repeat the entries."""
    assert ledger.stop() == 0
    text = file.read_text()
    file.write_text(text.replace("request_timeout_seconds = 10.0", "request_timeout_seconds = 0.5"))
    refused = run(file, "retention", "enforce", "--execute")
    assert refused.returncode == 1
    assert "The ledger does not answer" in refused.stderr
    assert count(fresh) == RECORDS
    assert projected(fresh) == []
    file.write_text(text)
    ledger.start()
    done = json.loads(run(file, "retention", "enforce", "--execute", "--json").stdout)
    assert [(day["day"], day["state"]) for day in done["days"]] == [(old_day, "VERIFIED")]
    assert count(fresh) == 0
    found = entries(ledger)
    assert [(index, kind) for index, kind, _ in found] == [(1, "DROP_INTENT"), (2, "DROP_DONE")]
    for (index, kind, payload), row in zip(found, projected(fresh), strict=True):
        assert (index, kind, payload["event_day"], payload["row_count"], payload["attempt_id"], "services/ops") == row
    intent = found[0][2]
    assert (intent["row_count"], intent["retention_days"], intent["actor"]) == (RECORDS, 60, "services/ops")
    assert intent["min_event_time"] < intent["max_event_time"]
    assert "DROP PARTITION" in intent["statement"]


@pytest.mark.parametrize("step", ["recorded", "intent", "dropped", "recorded:2", "done"])
def test_killed_in_a_drop(fresh: Settings, file: Path, ledger: RunningLedger, old_day: str, step: str) -> None:
    """The next run completes it. A step may be in the ledger twice; a drop is never there without its intent."""
    killed = Program(file, "retention", "enforce", "--execute", kill_at=f"retention.{step}")
    assert killed.wait() == -9, killed.said()
    again = run(file, "retention", "enforce", "--execute", "--json")
    assert again.returncode == 0, again.stderr
    states = {day["day"]: day["state"] for day in json.loads(run(file, "retention", "status", "--json").stdout)}
    assert states == {old_day: "VERIFIED"}
    kinds = [kind for _, kind, _ in entries(ledger)]
    assert kinds[0] == "DROP_INTENT"
    assert kinds[-1] == "DROP_DONE"
    assert len(kinds) == (3 if step.startswith("recorded") else 2)
    in_ledger = {index: payload["attempt_id"] for index, _, payload in entries(ledger)}
    for index, _, _, _, attempt_id, _ in projected(fresh):
        assert in_ledger[index] == attempt_id


def test_a_dead_letter_is_revealed_after_its_entry(fresh: Settings, file: Path, ledger: RunningLedger) -> None:
    good = envelope(1, SystemClock().now() - HOUR)
    publish(fresh, [good[:-1]])
    loader = Program(file, "consumer", "run")
    until(lambda: bool(run(file, "consumer", "dead-letter", "list", "--json").stdout))
    assert loader.stop() == 0
    (letter,) = map(json.loads, run(file, "consumer", "dead-letter", "list", "--json").stdout.splitlines())
    place = (letter["topic"], str(letter["partition"]), str(letter["offset"]))
    masked = run(file, "consumer", "dead-letter", "show", *place, "--json")
    assert "example" not in masked.stdout
    assert ledger.client().size() == 1, "what is masked reveals nothing"
    shown = run(
        file,
        "consumer",
        "dead-letter",
        "show",
        *place,
        "--reveal",
        "--reason",
        "why?",
        "--actor",
        "persons/li",
        "--json",
    )
    document = json.loads(shown.stdout)
    assert bytes.fromhex(document["raw"]) == good[:-1]
    ((index, kind, payload),) = entries(ledger)
    assert (index, kind) == (document["ledger_index"], "DEAD_LETTER_REVEALED")
    assert (payload["actor"], payload["reason"], payload["offset"]) == ("persons/li", "why?", letter["offset"])
    assert payload["sha256"] == letter["sha256"]
    assert "example" not in json.dumps(payload)
    assert ledger.stop() == 0
    file.write_text(file.read_text().replace("request_timeout_seconds = 10.0", "request_timeout_seconds = 0.5"))
    refused = run(file, "consumer", "dead-letter", "show", *place, "--reveal")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "The ledger does not answer" in refused.stderr
