"""A real Exim, unpacked and run here: what `producer replay` makes of its log is what client, sink and mailboxes saw."""

from collections import Counter
from pathlib import Path

import pytest

from infra.local import exim
from infra.local.exim import LocalExim
from infra.local.runtime import home_from_environment
from infra.platform.clock import SystemClock
from infra.platform.settings import Source
from producers.replay import replay
from tests.conftest import missing
from tests.golden.exim import from_inside, from_outside
from tests.golden.exim.make_expected import SITE
from tests.golden.exim.parties import LyingSink
from tests.golden.exim.run import Run, records

SCENARIOS = (
    from_inside.a_bounce_to_a_mailbox,
    from_inside.recipients_by_hand,
    from_inside.sender_by_hand,
    from_inside.handed_in_here,
    from_outside.several_recipients,
    from_outside.odd_addresses,
    from_outside.refused_recipients,
    from_outside.names_of_clients,
    from_outside.authenticated,
    from_outside.cut_through,
    from_outside.two_hops,
)


@pytest.mark.timeout(300)
def test_records_of_a_running_exim_are_the_truth(tmp_path: Path) -> None:
    if (why_not := exim.unavailable()) is not None:
        missing(why_not)
    sink = LyingSink()
    sink.start()
    mta = LocalExim(home_from_environment() / "test", sink.port, "all")
    mta.forget()
    mta.start()
    try:
        run = Run(mta, sink)
        for scenario in SCENARIOS:
            scenario(run)
        run.wait_until_gone()
        run.settle()
        log = tmp_path / "mainlog"
        log.write_bytes(mta.log())
    finally:
        mta.stop()
        sink.stop()
    got = records(list(replay([log], Source(name="mail", path=log), SITE, None, SystemClock())))
    assert (Counter(run.truth) - got, got - Counter(run.truth)) == (Counter(), Counter())
