"""Remake demo.log and demo.truth.json: run the demo's scenario on a real Postfix (as root on Debian).

.venv/bin/python tests/golden/postfix/make_demo_trace.py
"""

import json
from pathlib import Path

from infra.local.postfix import LocalPostfix
from infra.local.runtime import home_from_environment
from infra.local.scenario import drive, to_json
from infra.local.sink import Sink

HERE = Path(__file__).parent


def main() -> None:
    """Run and write both files."""
    sink = Sink()
    sink.start()
    mta = LocalPostfix(home_from_environment(), sink.port)
    mta.forget()
    mta.start()
    try:
        truth = drive(mta, sink)
        (HERE / "demo.log").write_bytes(mta.log_file.read_bytes())
        (HERE / "demo.truth.json").write_text(json.dumps(to_json(truth), indent=1) + "\n", encoding="utf-8")
    finally:
        mta.stop()
        sink.stop()


if __name__ == "__main__":
    main()
