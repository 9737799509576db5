"""Remake trace.log and trace.truth.json: play every scenario on a real Sendmail (as root on Debian).

.venv/bin/python -m tests.golden.sendmail.make_trace
"""

import json
from pathlib import Path

from infra.local.runtime import home_from_environment
from infra.local.scenario import to_json
from infra.local.sendmail import LocalSendmail
from infra.local.sendmail_milter import Milter
from infra.local.sendmail_scenario import drive
from infra.local.sendmail_scenario_here import SCENARIOS
from infra.local.sink import Sink

HERE = Path(__file__).parent


def main() -> None:
    """Run and write both files."""
    sink, milter = Sink(), Milter()
    sink.start()
    milter.start()
    mta = LocalSendmail(home_from_environment(), sink.port, milter.port)
    mta.forget()
    mta.start()
    try:
        truth = drive(mta, sink, SCENARIOS)
    finally:
        mta.stop()
        milter.stop()
        sink.stop()
    (HERE / "trace.log").write_bytes(mta.log_file.read_bytes())
    (HERE / "trace.truth.json").write_text(json.dumps(to_json(truth), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
