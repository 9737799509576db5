"""A Sendmail of this machine's packages: the records of its log are what its clients, sink and mailboxes saw.

The committed trace is held at every run (tests/unit/producers/test_golden_sendmail.py); this plays all of it anew.
"""

from collections import Counter
from pathlib import Path

import pytest

from infra.local import scenario, sendmail
from infra.local.sendmail_milter import Milter
from infra.local.sendmail_scenario import drive
from infra.local.sendmail_scenario_here import SCENARIOS
from infra.local.sink import Sink
from infra.platform.clock import SystemClock
from infra.platform.settings import Site, Source
from producers.replay import replay
from tests.conftest import missing


@pytest.mark.long
@pytest.mark.timeout(900)
def test_all_scenarios_on_a_sendmail_of_this_machine(tmp_path: Path) -> None:
    if (why := sendmail.unavailable()) is not None:
        missing(why)
    sink, milter = Sink(), Milter()
    sink.start()
    milter.start()
    mta = sendmail.LocalSendmail(tmp_path, sink.port, milter.port)
    try:
        mta.start()
        truth = drive(mta, sink, SCENARIOS)
    finally:
        mta.stop()
        milter.stop()
        sink.stop()
    source = Source(name="mail", path=mta.log_file)
    records = list(replay([mta.log_file], source, Site(), None, SystemClock()))
    assert scenario.records(records) == Counter(truth)
