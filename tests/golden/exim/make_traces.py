"""Remake the traces: run every scenario on a real Exim, once for each way to log (as root on Debian).

.venv/bin/python -m tests.golden.exim.make_traces [default|all|syslog ...]
"""

import json
import sys
from pathlib import Path

from infra.local.exim import LocalExim, Logging
from infra.local.runtime import home_from_environment
from tests.golden.exim import from_inside, from_outside
from tests.golden.exim.parties import LyingSink
from tests.golden.exim.run import Run, to_json

HERE = Path(__file__).parent
LOGGINGS: tuple[Logging, ...] = ("default", "all", "syslog")


def make(logging: Logging) -> None:
    """Run and write log and truth."""
    sink = LyingSink()
    sink.start()
    mta = LocalExim(home_from_environment(), sink.port, logging)
    mta.forget()
    mta.start()
    try:
        run = Run(mta, sink)
        for scenario in (*from_inside.SCENARIOS, *from_outside.SCENARIOS):
            scenario(run)
            run.wait_until_gone()
            run.scenarios.append(scenario.__name__)
        run.settle()
        (HERE / f"{logging}.log").write_bytes(mta.log())
        truth = json.dumps({"scenarios": run.scenarios, "truth": to_json(run.truth)}, ensure_ascii=False, indent=1)
        (HERE / f"{logging}.truth.json").write_text(truth + "\n", encoding="utf-8")
    finally:
        mta.stop()
        sink.stop()


if __name__ == "__main__":
    for word in sys.argv[1:] or LOGGINGS:
        make(word)  # type: ignore[arg-type]
