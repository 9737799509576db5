"""The demo's ledger: three people sign its genesis; at the end it is verified, and a changed copy is found out.

What an operator would type stands in each line.
"""

import shutil
from pathlib import Path
from typing import Any, Final

from infra.demo.programs import Programs
from infra.local.process import LocalEngineError

PEOPLE: Final = {"li": "preparer,operator", "wang": "reviewer,preparer", "zhao": "legal,reviewer"}


def begin(programs: Programs) -> None:
    """Certificates and keys to try with, genesis, three signatures, init; then the writer runs."""
    certs = programs.certs
    programs.run("certs", "init", "--folder", str(certs))
    genesis = str(certs.parent / "genesis.json")
    persons = [f"{name}={certs}/{name}-signing.pub:{roles}" for name, roles in PEOPLE.items()]
    programs.run(
        "ledger", "genesis", "new", *[word for one in persons for word in ("--person", one)], "--output", genesis
    )
    for name in PEOPLE:
        programs.run_bare(
            "ledger", "genesis", "sign", genesis, "--person", name, "--key", f"{certs}/{name}-signing.pem"
        )
    programs.run("ledger", "init", "--genesis", genesis)
    programs.start("ledger", "ledger", "run")


def verify(programs: Programs, ledger: Path, copy: Path) -> dict[str, Any]:
    """The ledger is as it was written; a copy in which one byte was changed is found out. The report of the first."""
    report: dict[str, Any] = programs.run_json("audit", "verify")
    shutil.copytree(ledger, copy)
    same = programs.run_json("audit", "verify", "--folder", str(copy), codes=(0, 3))
    path = copy / "payloads" / "0000000000"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    forged = programs.run_json("audit", "verify", "--folder", str(copy), codes=(0, 3))
    found = [finding["place"] for finding in forged["findings"]]
    if not report["ok"] or not same["ok"] or len(found) != 1 or not found[0].startswith("entry "):
        raise LocalEngineError("The ledger's check did not tell right from wrong.", "This is a fault; report it.")
    return report
