"""The whole life of an instrument on real parts: ledger and service as processes, ClickHouse, TLS, the command line."""

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from liucun.audit.v1 import audit_pb2
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2

from infra.local.stack import LocalStack
from infra.platform import tls
from infra.platform.clock import HOUR, SystemClock
from infra.proof import requests
from query_service.records import document_of
from query_service.wire import field_groups
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, World
from tests.ledgers import RunningLedger
from tests.pipeline import Program, run, until
from tests.places import ask, cancel, reason
from tests.realdesk import RealDesk, put, record

SENDER = "whole-life@example.org"


@pytest.fixture(scope="module")
def rows(stack: LocalStack) -> int:
    """Twelve records of one sender, some hours old."""
    now = SystemClock().now()
    put(stack.settings(), [record(8_000_000 + at, now - (2 + at) * HOUR, sender=SENDER) for at in range(12)])
    return 12


@pytest.fixture
def real(stack: LocalStack, ledger: RunningLedger, ledger_folder: Path) -> Iterator[RealDesk]:
    """A real desk with one agency."""
    made = RealDesk(ledger_folder, stack.settings(), World(), ledger, stream_idle_seconds_max=5)
    made.start()
    until(lambda: _enrols(made), 30)
    yield made
    made.stop()


def _enrols(real: RealDesk) -> bool:
    """The service listens before it has found its neighbours."""
    real.world.enrol(real.desk, real.world.agency())
    return True


def kinds(ledger: RunningLedger) -> list[str]:
    client = ledger.client()
    return [entry.kind for entry in client.read(0, 1000)]


def test_the_whole_life(real: RealDesk, rows: int, ledger: RunningLedger) -> None:
    selector = kit.selector("SENDER", SENDER)
    one = kit.approved(real.desk, selector)
    with real.desk.client(OFFICER) as officer:
        lookup = ask(officer, one, selector=selector)
        assert (lookup.record_count, lookup.truncated) == (rows, False)
        pages = [found.SerializeToString() for found in officer.records(lookup.name, page_size=5)]
        assert pages == [found.SerializeToString() for found in officer.records(lookup.name, page_size=5)]
        streamed = [found for message in officer.stream(lookup.name) for found in message.records.records]
        assert pages == [found.SerializeToString() for found in streamed]
        times = [found.envelope.event_time.ToMicroseconds() for found in streamed]
        assert times == sorted(times)
        groups = field_groups(lookup.field_groups, "field_groups")
        hashes = [requests.record_hash(document_of(found, groups)) for found in streamed]
        assert requests.segment_root(hashes) == lookup.segments[0].root
        assert reason(lambda: ask(officer, one, selector=kit.selector("SENDER", "eve@example.org"))) == "OUT_OF_SCOPE"
        cancel(officer, ask(officer, one, selector=selector).name)
        request = authorization_pb2.RevokeAuthorizationRequest(name=one.name, reason="case closed")
        officer.call(officer.authorizations.RevokeAuthorization, request)
        assert reason(lambda: ask(officer, one, selector=selector)) == "AUTHORIZATION_REVOKED"
        assert reason(lambda: list(officer.records(lookup.name))) == "AUTHORIZATION_REVOKED"
    found = kinds(ledger)
    assert found.count("LOOKUP_INTENT") == found.count("LOOKUP_OUTCOME") == 2
    assert found.count("REFUSED") == 3
    assert found[-1] == "REFUSED"
    with real.desk.client("persons/zhao") as auditor:
        listed = auditor.call(auditor.audit.ListAuditEntries, audit_pb2.ListAuditEntriesRequest(page_size=500))
        assert [entry.kind for entry in listed.audit_entries] == found
    assert run(ledger.file, "audit", "verify").returncode == 0


def test_state_is_a_projection(real: RealDesk, rows: int) -> None:
    """What the service knows lies nowhere but in the ledger."""
    selector = kit.selector("SENDER", SENDER)
    one = kit.approved(real.desk, selector)
    with real.desk.client(OFFICER) as officer:
        lookup = ask(officer, one, selector=selector)
        before = [found.SerializeToString() for found in officer.records(lookup.name)]
    real.kill()
    files = [path for path in real.settings.server.state_dir.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"0", "document", "key", "page.key", "lock"}, "sealed, and keys; no tables"
    assert not any(SENDER.encode() in path.read_bytes() for path in files)
    real.start()
    with real.desk.client(OFFICER) as officer:
        until(lambda: len(list(officer.records(lookup.name))) == rows, 20)
        assert [found.SerializeToString() for found in officer.records(lookup.name)] == before


def test_the_stores_log_has_the_intents_query_id(real: RealDesk, rows: int, stack: LocalStack) -> None:
    """And says nothing that the ledger does not: the id joins both."""
    selector = kit.selector("SENDER", SENDER)
    one = kit.approved(real.desk, selector)
    with real.desk.client(OFFICER) as officer:
        lookup = ask(officer, one, selector=selector)
    log = stack.home / "log" / "clickhouse-server.log"
    assert SENDER not in (log.read_text(errors="replace") if log.exists() else "")
    assert lookup.intent_ledger_index > 0
    assert SENDER not in real.program.said() if real.program else ""


def test_store_that_goes_away(stack: LocalStack, real: RealDesk, rows: int) -> None:
    """A question is refused and closed; a stream of what was found before goes on."""
    selector = kit.selector("SENDER", SENDER)
    one = kit.approved(real.desk, selector)
    with real.desk.client(OFFICER) as officer:
        lookup = ask(officer, one, selector=selector)
        messages = officer.stream(lookup.name)
        stack.store.kill()
        try:
            assert reason(lambda: ask(officer, one, selector=selector)) == "STORE_UNAVAILABLE"
            assert [message.WhichOneof("item") for message in messages] == ["records", "done"]
            newest = officer.call(officer.lookups.ListLookups, lookup_pb2.ListLookupsRequest(parent=AGENCY)).lookups[0]
            assert (newest.state, newest.status_reason) == (lookup_pb2.Lookup.STATE_ERROR, "STORE_UNAVAILABLE")
        finally:
            stack.store.start()
        until(lambda: ask(officer, one, selector=selector).record_count == rows, 30)


def test_full_disk_under_the_ledger(stack: LocalStack, ledger_folder: Path) -> None:
    """A limit on file sizes stands for a full disk: nothing is answered, nothing is read from the store."""
    ledger = RunningLedger(ledger_folder)
    ledger.start()
    real = RealDesk(ledger_folder, stack.settings(), World(), ledger)
    real.start()
    until(lambda: _enrols(real), 30)
    one = kit.approved(real.desk, kit.selector("SENDER", SENDER))
    assert ledger.program is not None
    newest = max((ledger.settings.folder / "payloads").rglob("*"), key=lambda path: path.stat().st_size)
    limit = str(newest.stat().st_size + 200)
    done = subprocess.run(["prlimit", f"--pid={ledger.program.process.pid}", f"--fsize={limit}"], check=False)
    assert done.returncode == 0
    with real.desk.client(OFFICER) as officer:
        assert reason(lambda: ask(officer, one, selector=kit.selector("SENDER", SENDER))) == "AUDIT_UNAVAILABLE"
        assert reason(lambda: kit.enter(officer, kit.instrument())) == "AUDIT_UNAVAILABLE"
    real.stop()
    ledger.end()


# The command line.


def write(folder: Path, world: World, real: RealDesk, name: str) -> Path:
    """A settings file that speaks for somebody."""
    identity = world.identity(name)
    short = name.rpartition("/")[2]
    for suffix, data in (("pem", identity.certificate_pem), ("key", identity.key_pem)):
        (folder / f"{short}.{suffix}").write_bytes(data)
    (folder / f"{short}-signing.pem").write_bytes(tls.signing_key_pem(identity.signing_key, b"secret"))
    file = folder / f"{short}.toml"
    file.write_text(f"""\
[client]
target = "127.0.0.1:{real.settings.server.port}"
ca_file = "{real.settings.server.client_ca_file}"
certificate_file = "{folder}/{short}.pem"
key_file = "{folder}/{short}.key"
name = "{name}"
signing_key_file = "{folder}/{short}-signing.pem"
""")
    return file


def test_commands_of_an_officer_and_of_the_legal_desk(real: RealDesk, rows: int, tmp_path: Path) -> None:
    people = {name: write(tmp_path, real.world, real, name) for name in (OFFICER, "persons/wang", "persons/zhao")}
    paper = {
        "legal_type": "EVIDENCE_RETRIEVAL_NOTICE",
        "timespan": {"start_time": _iso(-1), "end_time": _iso(100)},
        "instrument": {
            "document_number": "杭公(网)调证字[2026]7号", "case_name": "某案", "case_number": "A1", "unit": "网安支队",
            "approver": {"display_name": "陈"}, "handlers": [{"display_name": "张"}, {"display_name": "李"}],
            "issuer": {"display_name": "王"}, "issue_time": _iso(-1),
        },
        "scope": {
            "selectors": [{"kind": "ADDRESS", "value": SENDER}],
            "window": {"start_time": _iso(-60), "end_time": _iso(-1)}, "field_groups": ["CORE"], "max_hits": 100,
        },
    }  # fmt: skip
    (tmp_path / "paper.json").write_text(json.dumps(paper, ensure_ascii=False))
    (tmp_path / "paper.pdf").write_bytes(kit.DOCUMENT)

    def liucun(who: str, *words: str, code: int = 0) -> Any:
        done = run(people[who], *words, LIUCUN_KEY_PASSPHRASE="secret")
        assert done.returncode == code, done.stderr
        return done.stderr if code else json.loads(done.stdout)

    entered = liucun(
        OFFICER, "authorization", "create", "--file", f"{tmp_path}/paper.json", "--document", f"{tmp_path}/paper.pdf",
        "--json",
    )  # fmt: skip
    for who in ("persons/wang", "persons/zhao"):
        approved = liucun(who, "authorization", "approve", entered["name"], "--json")
    assert (approved["status"], approved["instrument"]["handlers"][1]["display_name"]) == ("APPROVED", "李")
    window = entered["scope"]["window"]
    words = ("--authorization", entered["name"], "--begin", window["start_time"], "--end", window["end_time"], "--json")
    lookup = liucun(OFFICER, "lookup", "create", "--sender", SENDER, *words)
    assert (lookup["state"], lookup["record_count"]) == ("DISCLOSED", rows)
    done = run(people[OFFICER], "lookup", "records", lookup["name"], "--json", LIUCUN_KEY_PASSPHRASE="secret")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [found["record_number"] for found in records] == list(range(1, rows + 1))
    assert records[0]["sender"] == SENDER
    streamed = run(people[OFFICER], "lookup", "stream", lookup["name"], "--json", LIUCUN_KEY_PASSPHRASE="secret")
    assert streamed.stdout == done.stdout
    told = liucun(OFFICER, "lookup", "create", "--sender", "eve@example.org", *words, code=1)
    assert told.startswith("error: OUT_OF_SCOPE: ")
    assert "eve@" not in told
    run_wrong = run(people[OFFICER], "lookup", "get", lookup["name"], LIUCUN_KEY_PASSPHRASE="wrong")
    assert (run_wrong.returncode, "passphrase" in run_wrong.stderr) == (2, True)


def _iso(hours: int) -> str:
    return (kit.now() + timedelta(hours=hours)).replace(microsecond=0).isoformat()


def test_certs_init_makes_what_the_service_takes(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    settings = tmp_path / "any.toml"
    settings.write_text("")
    done = run(settings, "certs", "init", "--folder", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: These are for development")
    secrets = [path for path in folder.iterdir() if path.suffix == ".key" or path.name.endswith("-signing.pem")]
    assert len(secrets) == 12
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in secrets)
    again = run(settings, "certs", "init", "--folder", str(folder))
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)


def test_service_that_lacks_its_certificate_says_so(tmp_path: Path) -> None:
    settings = tmp_path / "any.toml"
    settings.write_text(f'[server]\nstate_dir = "{tmp_path}/query"\n')
    program = Program(settings, "server", "run")
    assert program.wait() == 2
    assert "server.certificate_file is not set" in program.said()
