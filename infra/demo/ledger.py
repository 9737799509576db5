"""The demo's ledger: three people sign its genesis; at the end it is verified, and a changed copy is found out.

What an operator would type stands in each line.
"""

import shutil
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.demo.programs import Programs
from infra.local.process import LocalEngineError

PEOPLE: Final = {"li": "preparer,operator", "wang": "reviewer", "zhao": "legal,auditor"}


def begin(programs: Programs, folder: Path) -> None:
    """Keys, genesis, three signatures, init; then the writer runs. `folder` takes the people's keys."""
    folder.mkdir(parents=True, mode=0o700)
    genesis = str(folder / "genesis.json")
    persons: list[str] = []
    for name, roles in PEOPLE.items():
        _write_key(folder, name)
        persons += ["--person", f"{name}={folder / name}.pub:{roles}"]
    programs.run("ledger", "genesis", "new", *persons, "--output", genesis)
    for name in PEOPLE:
        programs.run_bare("ledger", "genesis", "sign", genesis, "--person", name, "--key", f"{folder / name}.key")
    programs.run("ledger", "init", "--genesis", genesis)
    programs.start("ledger", "ledger", "run")


def verify(programs: Programs, ledger: Path, copy: Path) -> dict[str, Any]:
    """The ledger is as it was written; a copy in which one byte was changed is found out. The report of the first."""
    report: dict[str, Any] = programs.run_json("audit", "verify")
    shutil.copytree(ledger, copy)
    path = copy / "payloads" / "0000000000"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    forged = programs.run_json("audit", "verify", "--folder", str(copy), codes=(0, 3))
    if forged["ok"] or not report["ok"]:
        raise LocalEngineError("The ledger's check did not tell right from wrong.", "This is a fault; report it.")
    return report


def _write_key(folder: Path, name: str) -> None:
    """What `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` do."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    path = folder / f"{name}.key"
    path.touch(mode=0o600)
    path.write_bytes(secret)
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
