"""Kill -9 between the entry that ends a lookup and the end of its records: the next start ends them."""

import pytest

from query_service.client import RefusedError
from tests import desk as kit
from tests.desk import OFFICER
from tests.fault.test_desk_kill import SELECTOR, Asking, asking, real, rows
from tests.pipeline import until
from tests.places import cancel

__all__ = ["asking", "real", "rows"]


def folders(asking: Asking) -> set[str]:
    return {path.name for path in (asking.real.folder / "query" / "segments").glob("*")}


def test_killed_between_cancelled_and_destroyed(asking: Asking) -> None:
    real = asking.real
    real.stop()
    program = real.start(kill_at="desk.cancelled")
    until(lambda: _asks(asking), 30)
    before = folders(asking)
    assert len(before) == 1
    with real.desk.client(OFFICER) as officer, pytest.raises(RefusedError):
        cancel(officer, asking.lookups[-1])
    assert program.wait() == -9
    assert folders(asking) == before
    real.start()
    until(lambda: folders(asking) == set(), 10)


def test_killed_between_aborted_and_destroyed(asking: Asking) -> None:
    real = asking.real
    real.stop()
    program = real.start(kill_at="desk.segment")
    asking.until_killed(program)
    left = folders(asking)
    assert len(left) == 1
    assert real.start(kill_at="desk.aborted").wait() == -9
    assert folders(asking) == left
    real.start()
    until(lambda: folders(asking) == set(), 10)


def _asks(asking: Asking) -> bool:
    try:
        with asking.real.desk.client(OFFICER, seconds=10) as officer:
            asking.lookups.append(officer.create_lookup(kit.question(asking.one, SELECTOR)).name)
    except RefusedError:
        return False
    return True
