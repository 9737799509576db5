"""THE WAY of the demo: stack -> an old day -> mail -> records -> agreement -> a lawful question -> the old day dropped.

1. A Kafka broker and a ClickHouse server start; `liucun schema migrate` makes topics and tables. Three people sign the
   genesis of a ledger, and its writer starts.
2. A log of 61 days ago is backfilled while its records may still be loaded (the loader's clock is set back two days).
3. A real Postfix takes and sends mail, or its committed trace is written again; agent and loader run meanwhile.
4. What the store holds is compared with what the SMTP client and the receiving sink saw; `consumer verify` proves it.
5. An officer enters an instrument, two people sign it, a question inside its scope is answered, with what was sent and
   nothing else, and one outside of it is refused.
6. `liucun retention enforce --execute` drops the old day, checks that it is gone, and has both in the ledger.
7. `liucun audit verify` computes the ledger anew, and finds one changed byte in a copy of it.
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from infra.demo import desk, ledger, old_log
from infra.demo.programs import Programs
from infra.local import postfix, scenario
from infra.local.postfix import LocalPostfix
from infra.local.process import LocalEngineError
from infra.local.runtime import REPOSITORY
from infra.local.scenario import Truth
from infra.local.sink import Sink
from infra.local.stack import LocalStack
from infra.platform.clickhouse import Client, connect
from infra.platform.settings import Legal

TRACE: Final = REPOSITORY / "tests" / "golden" / "postfix" / "demo.log"
OLD_DAYS: Final = 61
ARRIVAL_SECONDS_MAX: Final = 90.0
_SCRATCH: Final = ("demo", "kafka/data", "kafka/server.properties", "clickhouse/data", "clickhouse/secrets")

Say = Callable[[str], None]
Result = TypeVar("Result")


class Live(NamedTuple):
    """A running mail server, and the sink that takes what it sends on."""

    mta: LocalPostfix
    sink: Sink


class Tour:
    """One run of the demo."""

    def __init__(self, home: Path, say: Say) -> None:
        """`say` takes the lines of the tour."""
        self._home = home
        self._say = say
        self._seconds: dict[str, float] = {"setup": _setup_seconds(home)}
        self._running = ExitStack()
        self._old = ("", 0)

    def run(self) -> dict[str, Any]:
        """All seven steps; the report. What was started runs on until `close`. LiucunError when a step fails."""
        stack = LocalStack(self._home)
        for name in _SCRATCH:  # a demo begins with nothing; the engines themselves stay
            path = self._home / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        self._timed("stack", lambda: self._running.enter_context(stack))
        self._say(f"1  Kafka at {stack.kafka.bootstrap_servers}, ClickHouse at 127.0.0.1:{stack.store.http_port}")
        mail = self._timed("mta", self._start_mta)
        log_path = self._home / "demo" / "mail.log" if isinstance(mail, str) else mail.mta.log_file
        programs = self._programs = Programs(self._home, stack, log_path)
        self._running.callback(programs.stop_all)
        # What is stored is compared with what was sent as the query service's account, the only one that may look.
        self._client = connect(stack.settings().clickhouse, stack.settings().clickhouse.reader, in_database=False)
        self._running.callback(self._client.close)
        report, truth = self._timed("pipeline", lambda: self._pipeline(programs, log_path, mail))
        report |= self._timed("lookup", lambda: self._lookup(programs, truth))
        report |= self._timed("end", lambda: self._end(programs))
        report["seconds"] = {name: round(seconds, 1) for name, seconds in self._seconds.items()}
        file = self._home / "demo" / "report.json"
        file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        self._say(f"   The same facts: {file}")
        return report

    def stay(self) -> None:
        """Let the agent run again, for a demo that stays up: mail to the printed address becomes records."""
        self._programs.start("agent", "producer", "run")

    def close(self) -> None:
        """End everything that was started."""
        self._running.close()

    def _timed(self, name: str, work: Callable[[], Result]) -> Result:
        begun = time.monotonic()
        result = work()
        self._seconds[name] = time.monotonic() - begun
        return result

    def _start_mta(self) -> Live | str:
        """A real Postfix and the sink that it sends to; why there is none, where it cannot be had or will not run."""
        if (why_not := postfix.unavailable()) is not None:
            return why_not
        sink = Sink()
        sink.start()
        self._running.callback(sink.stop)
        mta = LocalPostfix(self._home, sink.port)
        mta.forget()
        self._running.callback(mta.stop)
        try:
            mta.start()
        except LocalEngineError as error:
            return error.message.rstrip(".")
        return Live(mta, sink)

    def _pipeline(self, programs: Programs, log_path: Path, mail: Live | str) -> tuple[dict[str, Any], Counter[Truth]]:
        """Steps 1 to 4: facts for the report, and what was sent."""
        programs.run("schema", "migrate", "--execute")
        ledger.begin(programs)
        self._old = self._load_old_day(programs)
        programs.start("loader", "consumer", "run")
        programs.start("agent", "producer", "run")
        messages, truth = self._mail(log_path, mail)
        stored = self._wait_for("live records", "agent_id = 'mx1'", sum(truth.values()))
        missing, unexpected = truth - stored, stored - truth
        self._say(
            f"4  {messages} messages: {sum(truth.values())} recipients decided, {sum(stored.values())} records stored, "
            f"{sum(missing.values())} missing, {sum(unexpected.values())} too many"
        )
        programs.stop("agent")
        verified = self._verified(programs, sum(stored.values()))
        report = {
            "mta": "postfix-trace" if isinstance(mail, str) else "postfix-live",
            "messages_sent": messages,
            "records_expected": sum(truth.values()),
            "records_loaded": sum(stored.values()),
            "duplicates": verified["duplicates"] + sum(unexpected.values()),
            "missing": sum(missing.values()) + verified["missing"],
        }
        return report, truth

    def _lookup(self, programs: Programs, truth: Counter[Truth]) -> dict[str, Any]:
        """Step 5."""
        told = desk.answer(programs)
        self._say(f"5  {desk.DOCUMENT_NUMBER} entered by officers/zhang, signed by persons/wang and persons/zhao")
        found = Counter(_truth(record) for record in told.records)
        sent = Counter({one: count for one, count in truth.items() if desk.INSIDE in (one.sender, one.recipient)})
        if found != sent:
            raise LocalEngineError(
                f"The lookup found {sum(found.values())} records, sent were {sum(sent.values())}.",
                "This is a fault; report it.",
            )
        self._say(f"   {told.lookup}: {len(told.records)} records of {desk.INSIDE}, as sent")
        one = next(record for record in told.records if record["sender_ip"])
        self._say(
            f"   {one['event_time']}  {one['sender']} [{one['sender_ip']}] -> {one['recipient']}  "
            f"{one['outcome']}, {one['queue_id']}"
        )
        self._say(f"   The same about {desk.OUTSIDE}: refused, {told.refused}")
        return {"lookup": told.lookup, "lookup_records": len(told.records), "refused_lookup_reason": told.refused}

    def _end(self, programs: Programs) -> dict[str, Any]:
        """Steps 6 and 7."""
        dropped = self._drop_old_day(programs, *self._old)
        audit = ledger.verify(programs, self._home / "demo" / "ledger", self._home / "demo" / "ledger-changed")
        self._say(f"7  The ledger has {audit['entries']} entries, all as written; one byte changed in a copy was found")
        return {
            "ledger_entries": audit["entries"],
            "audit_verified": audit["ok"],
            "oldest_day_dropped": dropped,
        }

    def _load_old_day(self, programs: Programs) -> tuple[str, int]:
        """Step 2. Without the moved clock the loader would count these records and keep them nowhere."""
        zone = Legal().zone_info
        day = datetime.now(zone).date() - timedelta(days=OLD_DAYS)
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone).astimezone(UTC)
        file = self._home / "demo" / "mail.log-old"
        old_log.write(TRACE, file, noon)
        programs.run("producer", "run", "--once", str(file))
        programs.start("loader", "consumer", "run", clock_offset_seconds=-2 * 86_400)
        rows = sum(self._wait_for("old records", f"toDate(event_time, '{zone.key}') = '{day}'", 1).values())
        programs.stop("loader")
        self._say(f"2  Backfilled a log of {day}, {OLD_DAYS} days ago: {rows} records stored")
        return day.isoformat(), rows

    def _mail(self, log_path: Path, mail: Live | str) -> tuple[int, Counter[Truth]]:
        """Step 3: messages, and what must be recorded."""
        if isinstance(mail, str):
            truth = scenario.from_json(json.loads(TRACE.with_name("demo.truth.json").read_text(encoding="utf-8")))
            old_log.write(TRACE, log_path, datetime.now(UTC) - timedelta(seconds=3))
            self._say(f"3  No live Postfix ({mail}): the log that one wrote is written again")
        else:
            self._say(f"3  A real Postfix at 127.0.0.1:{mail.mta.smtp_port} takes mail and sends it on")
            truth = scenario.drive(mail.mta, mail.sink)
        return scenario.messages(truth), Counter(truth)

    def _wait_for(self, what: str, where: str, least: int) -> Counter[Truth]:
        """Wait until the store holds at least `least` final records, and no more come; what they say."""
        deadline = time.monotonic() + ARRIVAL_SECONDS_MAX
        before = -1
        while True:
            count = self._count(where)
            if count >= least and count == before:
                return _stored(self._client, where)
            if time.monotonic() > deadline:
                raise LocalEngineError(
                    f"Only {count} of {least} {what} were in the store after {ARRIVAL_SECONDS_MAX:.0f} seconds.",
                    f"Look at {self._home / 'log'}.",
                )
            before = count
            time.sleep(0.7)

    def _count(self, where: str) -> int:
        query = f"SELECT count() FROM liucun.envelope WHERE is_final AND {where}"  # noqa: S608  (our own words)
        count: int = self._client.query(query).result_rows[0][0]
        return count

    def _verified(self, programs: Programs, records: int) -> dict[str, int]:
        """Step 4's proof from the store alone, once the agent's last coverage record is there."""
        deadline = time.monotonic() + ARRIVAL_SECONDS_MAX
        while True:
            report = programs.run_json("consumer", "verify")
            counts = Counter(report["counts"])
            if counts["sequences"] >= records and not counts["pending"]:
                break
            if time.monotonic() > deadline:
                raise LocalEngineError("The agent's coverage did not arrive.", f"Look at {self._home / 'log'}.")
            time.sleep(0.5)
        self._say(
            f"   Verified: {counts['sequences']} sequences in {counts['coverage_records']} coverage records, each once"
        )
        twice = sum(finding["kind"].startswith("DUPLICATE") for finding in report["findings"])
        return {"duplicates": twice, "missing": len(report["findings"]) - twice}

    def _drop_old_day(self, programs: Programs, day: str, rows: int) -> str:
        """Step 6."""
        programs.run("retention", "enforce", "--execute")
        states = {entry["day"]: entry["state"] for entry in programs.run_json("retention", "status")}
        left = self._count(f"toDate(event_time, '{Legal().zone}') = '{day}'")
        if states.get(day) != "VERIFIED" or left:
            raise LocalEngineError(f"{day} is {states.get(day)} with {left} rows left.", "This is a fault; report it.")
        self._say(f"6  {day} is past its 60 days: {rows} records dropped, checked gone, in the ledger before and after")
        return day


def _stored(client: Client, where: str) -> Counter[Truth]:
    query = (
        "SELECT event, outcome, ifNull(sender, ''), ifNull(recipient, ''), "  # noqa: S608  (our own words)
        "replaceOne(IPv6NumToString(ifNull(sender_ip, toIPv6('::'))), '::ffff:', '') "
        f"FROM liucun.envelope WHERE is_final AND {where}"
    )
    return Counter(
        Truth(event, outcome, sender, recipient, None if ip == "::" else ip)
        for event, outcome, sender, recipient, ip in client.query(query).result_rows
    )


def _truth(record: dict[str, Any]) -> Truth:
    """The same of a record of a lookup."""
    return Truth(
        record["event"], record["outcome"], record["sender"] or "", record["recipient"] or "", record["sender_ip"]
    )


def _setup_seconds(home: Path) -> float:
    try:
        return float((home / "setup.seconds").read_text())
    except (OSError, ValueError):
        return 0.0
