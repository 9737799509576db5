"""Remake the logs and truths of the worlds: run them on a real Postfix (as root on Debian); a minute or two.

.venv/bin/python -m tests.golden.postfix.make_world_traces [NAME ...]
"""

import importlib
import json
import sys

from infra.local.runtime import home_from_environment
from tests.golden.postfix.worlds import HERE, NAMES, log_of


def main(names: list[str]) -> None:
    """Run each and write both files."""
    for name in names or NAMES:
        world = importlib.import_module(f"tests.golden.postfix.world_{name}").run(home_from_environment() / "scenarios")
        log_of(name).write_bytes(world.mta.log_file.read_bytes())
        site = {
            "own_domains": ["example.org", "mx1.example.org"],
            "own_networks": ["192.0.2.0/24"],
            "filters": world.filters,
            "added_recipients": world.added,
        }
        told = ",\n".join(json.dumps(told._asdict(), ensure_ascii=False) for told in world.told)
        text = f'{{"site": {json.dumps(site)}, "told": [\n{told}\n]}}\n'
        (HERE / f"{name}.truth.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
