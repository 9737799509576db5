"""Remake the traces NAME.log and their NAME.truth.json: run the scenarios on a real OpenSMTPD (as root on Debian).

.venv/bin/python -m tests.golden.opensmtpd.make_traces [NAME...]
"""

import json
import sys
from pathlib import Path

from infra.local import opensmtpd_mail as mail
from infra.local.opensmtpd import LocalOpenSmtpd
from infra.local.opensmtpd_scenarios import HOST_NAMES, NumberingSink, Run, to_json
from infra.local.runtime import home_from_environment

HERE = Path(__file__).parent
# name: (scenarios, does the next hop offer STARTTLS, the queue's time to live in seconds)
TRACES = {
    "day": (mail.DAY, False, 3600),
    "users": (mail.USERS_AND_TLS, True, 3600),
    "ends": (mail.ENDS, False, 20),
}


def main() -> None:
    """Run and write all files."""
    home = home_from_environment()
    for name in sys.argv[1:] or TRACES:
        scenarios, tls, ttl_seconds = TRACES[name]
        sink = NumberingSink(home / "mta" / "sink" if tls else None)
        mta = LocalOpenSmtpd(home, sink.port, ttl_seconds=ttl_seconds, host_names=HOST_NAMES)
        mta.forget()
        sink.start()
        mta.start()
        try:
            truth = Run(mta, sink).play(scenarios)
        finally:
            mta.stop()
            sink.stop()
        (HERE / f"{name}.log").write_bytes(mta.log_file.read_bytes())
        text = json.dumps(to_json(truth), indent=1, ensure_ascii=False)
        (HERE / f"{name}.truth.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
