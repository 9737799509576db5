"""Remake the expected records of the worlds.

.venv/bin/python -m tests.golden.postfix.make_world_expected [NAME ...]

Look at every line of the difference before you commit it: these files are what a record is held to.
"""

import json
import sys

from tests.golden.postfix.worlds import HERE, NAMES, objects_of


def main(names: list[str]) -> None:
    """Write the files."""
    for name in names or NAMES:
        lines = [json.dumps(row, ensure_ascii=False) for row in objects_of(name)]
        (HERE / f"{name}.expected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
