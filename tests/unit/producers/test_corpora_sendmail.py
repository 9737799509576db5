"""Sendmail lines of public projects, where they lie beside the repository: what those projects read in them is read."""

import json
from pathlib import Path

from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.text import ip_address
from tests.unit.producers.lines import NOW, SOURCE


def test_lines_and_results_of_fluent_plugin_sendmail(corpora: Path) -> None:
    folder = corpora / "fluent-plugin-sendmail"
    assembler = Assembler(Site(), [SOURCE])
    records = assembler.read("mail", (folder / "data").read_bytes(), 0, NOW, NOW) + assembler.finish()
    counts = assembler.take_tallies()["mail"]
    assert counts.lines_read == 10
    assert counts.lines_not_understood == {}
    read = {(record["recipient"], record["outcome"], record["recipient_ip"], record["dsn"]) for record in records}
    for line in (folder / "result").read_bytes().splitlines():
        told = json.loads(line)
        outcome = {"sent": "SENT", "sent_local": "DELIVERED"}.get(told["status_canonical"])
        relay = told.get("relay_to")
        for recipient in told["to"] if outcome else []:
            ip = ip_address(relay["ip"].encode()) if relay else None
            assert (recipient.strip("<>"), outcome, ip, told["dsn"]) in read
