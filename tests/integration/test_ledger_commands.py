"""`liucun ledger` and `liucun audit` on a real ledger: genesis, erasure, looks and exports."""

import json
import os
import shutil
import subprocess
from datetime import UTC
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as form

from infra.ledger import examine
from infra.ledger.client import LedgerClient
from infra.platform.clock import DAY, SECOND
from infra.platform.errors import SettingsError
from infra.proof import checkpoint, leaf, merkle
from tests.conftest import missing
from tests.integration.test_ledger import NOBODY, as_user, raw
from tests.ledgers import KEYS, PERSONS, RunningLedger, ledger_settings
from tests.pipeline import LIUCUN, Program, ledger_section, run


def erasing(ledger: RunningLedger, days: float) -> tuple[Program, LedgerClient]:
    """Its writer, with the clock put forward."""
    program = ledger.start(LIUCUN_CLOCK_OFFSET_SECONDS=str(round(days * DAY / SECOND)))
    return program, ledger.client()


def test_erasure(ledger: RunningLedger) -> None:
    """Refused before the term; after it payload, salt and key are gone, and everything is still proved."""
    client = ledger.client()
    secret = "a-word-that-must-go"
    client.append("REFUSED", "services/query", text=secret)
    client.append("REFUSED", "services/query", text="stays")
    arguments = ("ledger", "erase", "1", "--actor", "persons/li", "--reason", "past its term")
    assert "Would erase" in run(ledger.file, *arguments).stdout
    refused = run(ledger.file, *arguments, "--execute")
    assert refused.returncode == 1
    assert "is kept for 1096 days" in refused.stderr
    assert ledger.stop() == 0
    erasing(ledger, 1095.9)
    assert run(ledger.file, *arguments, "--execute").returncode == 1
    assert ledger.stop() == 0
    _, client = erasing(ledger, 1096.1)
    size = client.size()
    done = run(ledger.file, *arguments, "--execute", "--json")
    assert json.loads(done.stdout) == {"executed": True, "index": 1, "erased_by": size}
    erased, kept = client.read(1, 2)
    assert (erased.kind, erased.payload) == ("REFUSAL", None)
    assert kept.payload is not None
    assert client.read(size, 1)[0].payload is not None
    assert client.open(1, 1)[0].salt is None
    for index, sentence in ((1, "erased already"), (0, "never erased"), (size, "never erased"), (99, "no entry")):
        answer = run(ledger.file, "ledger", "erase", str(index), *arguments[3:], "--execute")
        assert answer.returncode == 1
        assert sentence in answer.stderr
    leaf_, proof, note = client.inclusion(1)
    assert leaf_ == client.open(1, 1)[0].leaf
    assert proof
    assert note
    assert ledger.stop() == 0
    report = json.loads(run(ledger.file, "ledger", "fsck", "--json").stdout)
    assert (report["ok"], report["erased"]) == (True, 1), report
    ledger.start()
    assert ledger.client().read(1, 1)[0].payload is None


def test_audit_commands(ledger: RunningLedger, tmp_path: Path) -> None:
    """Each look is an entry before it is one."""
    client = ledger.client()
    for number in range(3):
        client.append("REFUSED", "services/query", number=number)
    listed = [json.loads(line) for line in run(ledger.file, "audit", "list", "--json").stdout.splitlines()]
    assert [entry["kind"] for entry in listed] == ["GENESIS", "REFUSED", "REFUSED", "REFUSED"]
    assert client.read(4, 1)[0].kind == "LEDGER_READ"
    only = run(ledger.file, "audit", "list", "--kind", "LEDGER_READ", "--actor", "persons/zhao").stdout
    assert "LEDGER_READ" in only
    assert client.read(5, 1)[0].payload["actor"] == "persons/zhao"  # type: ignore[index]
    shown = json.loads(run(ledger.file, "audit", "show", "2", "--json").stdout)
    assert shown["payload"]["number"] == 1
    head = checkpoint.parse(shown["checkpoint"].partition("\n\n")[0] + "\n")
    proof = [bytes.fromhex(one) for one in shown["inclusion_proof"]]
    merkle.verify_inclusion(merkle.leaf_hash(bytes.fromhex(shown["leaf"])), 2, head.size, proof, head.root)
    assert run(ledger.file, "audit", "show", "99").returncode == 2
    output = tmp_path / "export.jsonl"
    assert json.loads(run(ledger.file, "audit", "export", "--output", str(output), "--json").stdout)["entries"] == 7
    assert output.stat().st_mode & 0o777 == 0o600
    head_line, *lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert head_line["entries"] == len(lines) == 7
    for line in lines:
        found = leaf.commitment(bytes.fromhex(line["salt"]), line["payload"].encode())
        assert bytes.fromhex(line["leaf"])[2:] == found
    assert run(ledger.file, "audit", "export", "--output", str(output)).returncode == 2
    assert client.read(7, 1)[0].kind == "LEDGER_EXPORTED"
    report = json.loads(run(ledger.file, "audit", "verify", "--json").stdout)
    assert (report["ok"], report["writer"]["agrees"]) == (True, True), report


def test_no_look_without_an_entry(ledger: RunningLedger, ledger_folder: Path) -> None:
    """The append socket is gone: the reading one still answers, but the desk shows nothing."""
    ledger.settings.append_socket.unlink()
    text = ledger.file.read_text().replace("request_timeout_seconds = 10.0", "request_timeout_seconds = 0.3")
    ledger.file.write_text(text)
    for arguments in (("list",), ("show", "0"), ("export", "--output", str(ledger_folder / "x"))):
        answer = run(ledger.file, "audit", *arguments)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "does not answer" in answer.stderr


def test_nothing_secret_is_logged(ledger: RunningLedger) -> None:
    ledger.client().append("REFUSED", "services/query", text="somebody@example.org")
    raw(ledger.settings.append_socket, b"\x00\x00\x00\x03abc")
    assert ledger.stop() == 0
    assert ledger.program is not None
    said = ledger.program.said()
    assert "example.org" not in said
    assert "services/query" not in said
    assert '"ledger runs"' in said


def test_genesis_by_the_command_line(ledger_folder: Path) -> None:
    """Three people, three files; what one of them cannot do alone."""
    settings = ledger_settings(ledger_folder)
    file = ledger_folder / "liucun.toml"
    file.write_text(ledger_section(settings))
    persons = []
    for name, key in KEYS.items():
        secret = form.BestAvailableEncryption(b"word") if name == "zhao" else form.NoEncryption()
        private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, secret)
        (ledger_folder / f"{name}.key").write_bytes(private)
        public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (ledger_folder / f"{name}.pub").write_bytes(public)
        persons += ["--person", f"{name}={ledger_folder}/{name}.pub:{','.join(PERSONS[name])}"]
    output = ledger_folder / "genesis.json"
    made = run(file, "ledger", "genesis", "new", *persons, "--display-name", "li=李雷", "--output", str(output))
    assert made.returncode == 0, made.stderr
    refused = run(file, "ledger", "init", "--genesis", str(output))
    assert (refused.returncode, "has not signed" in refused.stderr) == (2, True)

    def sign(person: str, key: str, answer: str = "") -> Any:
        command = [LIUCUN, "ledger", "genesis", "sign", str(output), "--person", person]
        return subprocess.run(
            [*command, "--key", str(ledger_folder / f"{key}.key")],
            input=answer,
            capture_output=True,
            text=True,
            check=False,
        )

    assert sign("li", "li").returncode == 0
    assert sign("wang", "li").returncode == 2
    assert sign("wang", "wang").returncode == 0
    assert sign("zhao", "zhao", "wrong\n").returncode == 2
    assert "All three" in sign("zhao", "zhao", "word\n").stdout
    begun = run(file, "ledger", "init", "--genesis", str(output), "--json")
    assert begun.returncode == 0, begun.stderr
    assert json.loads(begun.stdout)["log_key"].startswith(settings.origin)
    again = run(file, "ledger", "init", "--genesis", str(output))
    assert (again.returncode, "There is a ledger" in again.stderr) == (2, True)
    assert json.loads(run(file, "ledger", "fsck", "--json").stdout)["ok"]


def test_verify_without_the_right_to_read_finds_nothing(ledger: RunningLedger, ledger_folder: Path) -> None:
    """It says so with exit 2: an auditor must not take a missing right for damage."""
    if os.geteuid() != 0:
        missing("root, to look as another user")
    folder = ledger.settings.folder
    key = (folder / "log.vkey").read_text().strip()

    def looked() -> bytes:
        try:
            report = examine.verify(ledger.settings, folder=copy, key=key, day=None, zone=UTC)
        except SettingsError as error:
            return f"{error.exit_code} {error.message}".encode()
        return json.dumps(report["findings"]).encode()

    ledger.client().append("REFUSED", "services/query")
    copy = folder
    assert as_user(NOBODY, looked)[:2] == b"2 "
    copy = ledger_folder / "copy"
    for name in ("checkpoint", "log.vkey", "tile", "leaves", "payloads"):
        run_copy = shutil.copytree if (folder / name).is_dir() else shutil.copy
        copy.mkdir(exist_ok=True)
        run_copy(folder / name, copy / name)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert as_user(NOBODY, looked) == b"[]", "a copy in the order of docs/runbook.md, of a ledger in use"
    for path in (copy / "leaves", copy / "leaves" / "0000000000", copy / "checkpoint"):
        mode = path.stat().st_mode
        path.chmod(0)
        assert as_user(NOBODY, looked) == f"2 {path} may not be read by this user.".encode()
        path.chmod(mode)
