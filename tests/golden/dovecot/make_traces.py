"""Remake own.log, syslog.log and their truths: run the scenarios on a real Dovecot and Postfix (as root on Debian).

.venv/bin/python -m tests.golden.dovecot.make_traces
"""

import json
from pathlib import Path

from infra.local import dovecot_scenario as scenario
from infra.local import postfix_to_dovecot
from infra.local.dovecot import HOST, LONG_ELEMENTS, LocalDovecot
from infra.local.runtime import home_from_environment
from infra.local.sink import Sink
from infra.local.syslog import Syslog

HERE = Path(__file__).parent


def own_file(home: Path, sink: Sink) -> None:
    """Dovecot alone, with its own log file and more elements in it than by default."""
    mailboxes = LocalDovecot(home, sink.port, to_syslog=False, elements=LONG_ELEMENTS)
    mailboxes.forget()
    mailboxes.prepare()
    mailboxes.start()
    try:
        truth = scenario.accesses(mailboxes) + scenario.deliveries(mailboxes)
    finally:
        mailboxes.stop()
    (HERE / "own.log").write_bytes(mailboxes.log_file.read_bytes())
    _write("own.truth.json", truth)


def syslog(home: Path, sink: Sink) -> None:
    """Dovecot behind a Postfix, in one syslog, with the elements that it logs by default."""
    mailboxes = LocalDovecot(home, sink.port, to_syslog=True)
    mailboxes.forget()
    mailboxes.prepare()
    mta = postfix_to_dovecot.PostfixToDovecot(home, sink.port, mailboxes)
    mta.forget()
    (HERE / "syslog.log").unlink(missing_ok=True)
    log = Syslog([mailboxes.root, mta.root], HERE / "syslog.log", HOST)
    log.start()
    try:
        mailboxes.start()
        mta.start()
        mta.link_socket()
        truth = scenario.accesses(mailboxes) + postfix_to_dovecot.drive(mta, mailboxes)
    finally:
        mta.stop()
        mailboxes.stop()
        log.stop()
    _write("syslog.truth.json", truth)


def _write(name: str, truth: list[scenario.Truth]) -> None:
    text = json.dumps(scenario.to_json(truth), indent=1, ensure_ascii=False)
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Run and write all files."""
    sink = Sink()
    sink.start()
    try:
        own_file(home_from_environment(), sink)
        syslog(home_from_environment(), sink)
    finally:
        sink.stop()


if __name__ == "__main__":
    main()
