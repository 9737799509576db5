"""The ledger as a real process on real sockets: who may speak, in which bounds, and what is answered."""

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.ledger import frames, users
from infra.ledger.client import LedgerUnavailableError
from infra.proof import checkpoint, leaf, merkle
from infra.proof.kinds import KINDS, OWN_KINDS
from infra.proof.notes import Verifier
from tests.conftest import missing
from tests.ledgers import RunningLedger
from tests.pipeline import run

NOBODY = 65534


def raw(path: Path, data: bytes, seconds: float = 10) -> bytes:
    """Send bytes, and read until the other side closes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(path))
        connection.sendall(data)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """One request on a connection of its own."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        return frames.exchange(connection, frames.encode(request), time.monotonic() + 10)


def as_user(uid: int, work: Callable[[], bytes]) -> bytes:
    """What `work` returns in a process of another user (needs root)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(writer, work())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as file:
        return file.read()


def test_entries_there_and_back(ledger: RunningLedger) -> None:
    client = ledger.client()
    indexes = [client.append("REFUSED", "services/query", reason="OUT_OF_SCOPE", number=n) for n in range(5)]
    assert indexes == [1, 2, 3, 4, 5]
    assert client.size() == 6
    entries = client.read(0)
    assert [entry.index for entry in entries] == list(range(6))
    assert entries[0].kind == "GENESIS"
    assert entries[3].payload is not None
    assert entries[3].payload["number"] == 2
    assert entries[3].payload["actor"] == "services/query"
    assert len(entries[3].payload["time"]) == len("2026-01-01T00:00:00.000000Z")
    assert client.read(4, 10) == entries[4:]
    assert client.read(6) == []
    client.close()


def test_the_head_covers_everything_committed(ledger: RunningLedger) -> None:
    """At once, before it is published; and each entry is proved in the published tree soon after."""
    client = ledger.client()
    genesis = client.read(0, 1)[0].payload
    assert genesis is not None
    keys = [Verifier.parse(genesis["statement"]["log_key"])]
    roots = {}
    for number in range(4):
        index = client.append("LOOKUP_INTENT", "services/query", number=number)
        head = checkpoint.verify(client.checkpoint().encode(), ledger.settings.origin, keys)
        assert head.size == index + 1
        roots[head.size] = head.root
        opened = client.open(0, 100)
        assert merkle.root(merkle.leaf_hash(one.leaf) for one in opened) == head.root
    one, proof, note = client.inclusion(3)
    published = checkpoint.verify(note.encode(), ledger.settings.origin, keys)
    merkle.verify_inclusion(merkle.leaf_hash(one), 3, published.size, proof, published.root)
    assert opened[3].salt is not None
    assert opened[3].payload is not None
    assert one[2:] == leaf.commitment(opened[3].salt, opened[3].payload)
    client.inclusion(4)  # waits until all of it is published
    for old, root in roots.items():
        proof, note = client.consistency(old)
        published = checkpoint.verify(note.encode(), ledger.settings.origin, keys)
        merkle.verify_consistency(old, root, published.size, published.root, proof)


def test_many_clients_at_once_get_each_its_own_index(ledger: RunningLedger) -> None:
    client = ledger.client()
    found: list[int] = []

    def append() -> None:
        for _ in range(20):
            found.append(client.append("RECORDS_READ", "services/query"))  # noqa: PERF401

    threads = [threading.Thread(target=append) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 321))
    assert len(client.read(0, 1000)) == 321
    assert ledger.stop() == 0
    report = json.loads(run(ledger.file, "ledger", "fsck", "--json").stdout)
    assert report["ok"], report
    assert report["published"] == 321


def test_the_same_request_twice_is_one_entry(ledger: RunningLedger) -> None:
    """Also over a restart: the id lies beside the payload."""
    request = {
        "op": "append", "request_id": "ab" * 16, "kind": "REFUSED", "actor": "services/query", "members": {"n": 1},
    }  # fmt: skip
    path = ledger.settings.append_socket
    assert ask(path, request) == ask(path, request) == {"ok": True, "index": 1}
    ledger.program and ledger.program.kill()
    ledger.start()
    assert ask(path, request) == {"ok": True, "index": 1}
    assert ask(path, request | {"request_id": "cd" * 16}) == {"ok": True, "index": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "GENESIS"}, {"kind": "ERASED"}, {"kind": "NOTHING"}, {"actor": "with space"}, {"actor": ""},
        {"members": {"time": "now"}}, {"members": {"kind": "x"}}, {"members": {"text": "x" * 60_000}}, {"members": []},
        {"request_id": "AB" * 16}, {"request_id": "ab"}, {"request_id": 5}, {"op": "write"}, {"more": 1}, {"kind": 3},
    ],
)  # fmt: skip
def test_entries_that_are_refused(ledger: RunningLedger, changes: dict[str, Any]) -> None:
    request = {"op": "append", "request_id": "ab" * 16, "kind": "REFUSED", "actor": "services/query", "members": {}}
    answer = ask(ledger.settings.append_socket, request | changes)
    assert (answer["ok"], answer["reason"]) == (False, "ENTRY_REFUSED")
    assert ledger.client().size() == 1


@pytest.mark.parametrize(
    "request_",
    [
        {}, {"op": "append"}, {"op": "read", "start": -1, "limit": 1}, {"op": "read", "start": 0, "limit": 0},
        {"op": "read", "start": "0", "limit": 1}, {"op": "size", "x": 1}, {"op": "inclusion", "index": 1},
        {"op": "inclusion", "index": -1}, {"op": "consistency", "old": 0}, {"op": "consistency", "old": 2},
        {"op": "erase", "index": 0, "actor": "persons/li", "reason": "x"},
    ],
)  # fmt: skip
def test_requests_of_the_read_socket_that_are_refused(ledger: RunningLedger, request_: dict[str, Any]) -> None:
    answer = ask(ledger.settings.read_socket, request_)
    assert (answer["ok"], answer["reason"]) == (False, "ENTRY_REFUSED")


def test_the_largest_entries_are_read_back(ledger: RunningLedger) -> None:
    """More than fits into one answer, and text that JSON doubles."""
    client = ledger.client()
    text = '"' * 29_900
    for _ in range(40):
        client.append("REFUSED", "services/query", text=text)
    entries = client.read(0, 100)
    assert len(entries) == 41
    assert all(entry.payload and entry.payload["text"] == text for entry in entries[1:])


@pytest.mark.parametrize("which", ["append_socket", "read_socket"])
def test_another_user_is_refused(ledger: RunningLedger, which: str) -> None:
    if os.geteuid() != 0:
        missing("root, to speak as another user")
    path = getattr(ledger.settings, which)
    answer = as_user(NOBODY, lambda: raw(path, frames.encode({"op": "size"})))
    assert json.loads(answer[4:])["reason"] == "NOT_ALLOWED"


def test_a_user_who_is_named_may_append_and_not_read_or_erase(ledger_folder: Path) -> None:
    if os.geteuid() != 0:
        missing("root, to speak as another user")
    ledger = RunningLedger(ledger_folder, ops_uids=[NOBODY])
    ledger.start()
    request = {"op": "append", "request_id": "ab" * 16, "kind": "DROP_INTENT", "actor": "services/ops", "members": {}}
    erase = {"op": "erase", "index": 1, "actor": "persons/li", "reason": "x"}
    others = [request | {"kind": kind} for kind in KINDS if kind not in users.OPS]

    def all_of_them() -> bytes:
        return json.dumps([ask(ledger.settings.append_socket, one) for one in (request, erase, *others)]).encode()

    appended, erased, *refused = json.loads(as_user(NOBODY, all_of_them))
    assert appended == {"ok": True, "index": 1}
    assert erased["reason"] == "ERASURE_REFUSED"
    assert {one["reason"] for one in refused} == {"NOT_ALLOWED"}, "deletions, and nothing else"
    answer = as_user(NOBODY, lambda: raw(ledger.settings.read_socket, frames.encode({"op": "size"})))
    assert json.loads(answer[4:])["reason"] == "NOT_ALLOWED"


def test_that_a_person_reads_is_an_entry_before_the_first_payload(ledger_folder: Path) -> None:
    """Also around the command; once a minute, and not for the query service, which says itself who reads."""
    if os.geteuid() != 0:
        missing("root, to speak as another user")
    service = NOBODY - 1
    ledger = RunningLedger(ledger_folder, read_uids=[NOBODY], query_uids=[service])
    ledger.start()
    read = {"op": "read", "start": 0, "limit": 10}

    def twice() -> bytes:
        return json.dumps([ask(ledger.settings.read_socket, read) for _ in range(2)]).encode()

    as_user(service, twice)
    assert ledger.client().size() == 1
    first, second = json.loads(as_user(NOBODY, twice))
    assert [len(answer["entries"]) for answer in (first, second)] == [2, 2]
    (entry,) = ledger.client().read(1, 1)
    assert (entry.kind, entry.payload and entry.payload["actor"]) == ("LEDGER_READ", f"users/{NOBODY}")
    assert entry.payload
    assert {name: entry.payload[name] for name in ("purpose", "start", "limit")} == {
        "purpose": "read", "start": 0, "limit": 10,
    }  # fmt: skip


def test_every_kind_is_somebodys() -> None:
    named = users.QUERY | users.OPS | users.REVEALS | {"LEDGER_EXPORTED"}
    assert named == KINDS.keys() - OWN_KINDS


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack(">I", frames.FRAME_BYTES_MAX + 1), "FRAME_TOO_LONG"),
        (struct.pack(">I", 2**32 - 1), "FRAME_TOO_LONG"),
        (struct.pack(">I", 3) + b'{"a', "FRAME_MALFORMED"),
        (struct.pack(">I", 9) + b'{"a": 1 }', "FRAME_MALFORMED"),
        (struct.pack(">I", 2) + b"[]", "FRAME_MALFORMED"),
        (struct.pack(">I", 0), "FRAME_MALFORMED"),
    ],
)
def test_frames_that_are_none(ledger: RunningLedger, data: bytes, reason: str) -> None:
    answer = raw(ledger.settings.append_socket, data)
    assert json.loads(answer[4:])["reason"] == reason
    assert ledger.client().append("REFUSED", "services/query") == 1


def test_a_slow_client_is_cut_off_and_disturbs_nobody(ledger_folder: Path) -> None:
    ledger = RunningLedger(ledger_folder, request_timeout_seconds=1)
    ledger.start()
    slow = []
    for data in (b"\x00", b"\x00\x00\x00\x10{", b"\x00\x00\x00\x10"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(ledger.settings.append_socket))
        connection.sendall(data)
        slow.append(connection)
    client = ledger.client()
    assert [client.append("REFUSED", "services/query") for _ in range(20)] == list(range(1, 21))
    for connection in slow:
        connection.settimeout(5)
        assert connection.recv(1) == b""
        connection.close()


def test_a_client_that_takes_no_answer_is_cut_off(ledger_folder: Path) -> None:
    """Its answers pile up on its own connection, up to a bound, and for a bounded time."""
    ledger = RunningLedger(ledger_folder, request_timeout_seconds=1)
    ledger.start()
    client = ledger.client()
    for _ in range(12):
        client.append("REFUSED", "services/query", text="x" * 50_000)
    with socket.socket(socket.AF_UNIX) as greedy:
        greedy.settimeout(5)
        greedy.connect(str(ledger.settings.read_socket))
        with pytest.raises(OSError):  # noqa: PT011  (reset or broken pipe, as it comes)
            greedy.sendall(frames.encode({"op": "read", "start": 0, "limit": 1000}) * 100_000)
        assert client.size() == 13


def test_a_second_writer_is_refused(ledger: RunningLedger) -> None:
    answer = run(ledger.file, "ledger", "run")
    assert answer.returncode == 2
    assert "A writer runs" in answer.stderr
    answer = run(ledger.file, "ledger", "fsck")
    assert answer.returncode == 2
    answer = run(ledger.file, "ledger", "init", "--genesis", str(ledger.file))
    assert answer.returncode == 2
    assert ledger.client().append("REFUSED", "services/query") == 1


def test_another_ledger_does_not_take_its_sockets(ledger: RunningLedger) -> None:
    other = ledger.file.with_name("other.toml")
    other_folder = ledger.file.parent / "other"
    other_folder.mkdir()
    second = RunningLedger(other_folder)
    text = second.file.read_text().replace(str(second.settings.append_socket), str(ledger.settings.append_socket))
    other.write_text(text)
    answer = run(other, "ledger", "run")
    assert answer.returncode == 2
    assert "Another program listens" in answer.stderr


def test_no_ledger_no_answer(ledger: RunningLedger) -> None:
    client = ledger.client(request_timeout_seconds=0.5)
    client.append("REFUSED", "services/query")
    assert ledger.stop() == 0
    begun = time.monotonic()
    with pytest.raises(LedgerUnavailableError) as raised:
        client.append("REFUSED", "services/query")
    assert raised.value.reason == "AUDIT_UNAVAILABLE"
    assert time.monotonic() - begun < 2
    with pytest.raises(LedgerUnavailableError):
        client.size()


def test_a_client_goes_on_after_a_restart(ledger: RunningLedger) -> None:
    client = ledger.client()
    assert client.append("REFUSED", "services/query") == 1
    assert ledger.stop() == 0
    thread = threading.Timer(0.5, ledger.start)
    thread.start()
    assert client.append("REFUSED", "services/query") == 2
    thread.join()


def test_stopped_while_clients_append(ledger: RunningLedger) -> None:
    """Every index that was answered is there after the stop, each once."""
    client = ledger.client(request_timeout_seconds=0.5)
    found: list[int] = []

    def append() -> None:
        try:
            while True:
                found.append(client.append("RECORDS_READ", "services/query"))
        except LedgerUnavailableError:
            pass

    threads = [threading.Thread(target=append) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert ledger.stop() == 0, ledger.program and ledger.program.said()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found) > 8
    ledger.start()
    assert ledger.client().size() >= max(found) + 1
