"""A clock that is far from the last agreed time is not believed."""

from pathlib import Path

import pytest

from infra.ops import clock_guard
from infra.ops.errors import ClockError
from infra.platform.clock import DAY, HOUR, MovedClock, SystemClock
from infra.platform.errors import SettingsError

AGREED = 1_790_000_000_000_000


class At:
    """A clock that stands."""

    def __init__(self, moment: int) -> None:
        self.moment = moment

    def now(self) -> int:
        """The moment."""
        return self.moment


def test_written_and_read_again(tmp_path: Path) -> None:
    assert clock_guard.agreed_time(tmp_path / "none") is None
    clock_guard.write_agreed_time(tmp_path / "new" / "folder", AGREED)
    assert clock_guard.agreed_time(tmp_path / "new" / "folder") == AGREED
    clock_guard.write_agreed_time(tmp_path / "new" / "folder", AGREED + 1)
    assert clock_guard.agreed_time(tmp_path / "new" / "folder") == AGREED + 1
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["agreed-time.json"]


@pytest.mark.parametrize("moved", [0, DAY, -DAY, 23 * HOUR])
def test_within_a_day(tmp_path: Path, moved: int) -> None:
    clock_guard.write_agreed_time(tmp_path, AGREED)
    assert clock_guard.check(tmp_path, At(AGREED + moved)) == AGREED
    assert "2026-09-21" in clock_guard.check_start(tmp_path, At(AGREED + moved), synchronised=False)


@pytest.mark.parametrize("moved", [DAY + 1, -DAY - 1, 61 * DAY, -400 * DAY])
@pytest.mark.parametrize("synchronised", [True, False, None])
def test_away_is_refused_even_when_synchronised(tmp_path: Path, moved: int, synchronised: bool | None) -> None:
    clock_guard.write_agreed_time(tmp_path, AGREED)
    with pytest.raises(ClockError, match="last agreed with the store's it was 2026-09-21") as caught:
        clock_guard.check_start(tmp_path, At(AGREED + moved), synchronised=synchronised)
    assert "confirm-clock --execute" in caught.value.advice
    assert caught.value.exit_code == 1
    with pytest.raises(ClockError):
        clock_guard.check(tmp_path, At(AGREED + moved))


def test_confirmed_by_a_person(tmp_path: Path) -> None:
    clock_guard.write_agreed_time(tmp_path, AGREED)
    clock = At(AGREED + 30 * DAY)
    clock_guard.write_agreed_time(tmp_path, clock.now())
    assert clock_guard.check(tmp_path, clock) == clock.now()


def test_first_start_needs_a_clock_that_is_kept_in_step(tmp_path: Path) -> None:
    assert "first start" in clock_guard.check_start(tmp_path, At(AGREED), synchronised=True)
    assert "first start" in clock_guard.check_start(tmp_path, At(AGREED), synchronised=None)
    with pytest.raises(ClockError, match="not synchronised"):
        clock_guard.check_start(tmp_path, At(AGREED), synchronised=False)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"agreed_time": "soon"}', '{"agreed_time": true}', "\x00"])
def test_damaged_file_is_not_taken_for_a_first_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "agreed-time.json").write_text(text)
    with pytest.raises(ClockError, match="cannot be read"):
        clock_guard.check_start(tmp_path, At(AGREED), synchronised=True)


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        clock_guard.write_agreed_time(tmp_path / "file" / "below", AGREED)


def test_the_kernel_is_asked() -> None:
    assert clock_guard.synchronised() in (True, False, None)


def test_margin_covers_what_the_guard_lets_pass() -> None:
    """A clock that is a day ahead and passes must not make the TTL delete what the law still wants kept."""
    from infra.platform.settings import Legal

    least = Legal.model_fields["ttl_margin_days"].metadata[0].ge
    assert least * DAY > clock_guard.AWAY_MAX


def test_moved_clock() -> None:
    assert abs(MovedClock(SystemClock(), DAY).now() - SystemClock().now() - DAY) < HOUR
