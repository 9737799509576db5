"""A clock that is set while the scheduler runs is seen, also where store and application share it."""

import pytest

from infra.ops.clocks import JUMP_SECONDS_MAX, Steady
from infra.ops.errors import ClockError
from infra.platform.clock import HOUR, SECOND

NOW = 1_790_000_000 * SECOND


def test_the_first_round_and_an_even_clock_are_fine() -> None:
    steady = Steady()
    steady.check(NOW, None)
    steady.note(NOW)
    steady.check(NOW + SECOND, NOW)
    steady.check(NOW + JUMP_SECONDS_MAX * SECOND - SECOND, NOW)


@pytest.mark.parametrize("jump", [23 * HOUR, -23 * HOUR, (JUMP_SECONDS_MAX + 1) * SECOND])
def test_a_jump_is_refused_again_and_again_until_it_is_confirmed(jump: int) -> None:
    """Less than a day, which the agreed time alone would let pass."""
    steady = Steady()
    steady.note(NOW)
    for _ in range(2):
        with pytest.raises(ClockError, match="was set by"):
            steady.check(NOW + jump, NOW)
    confirmed = NOW + jump + 1
    steady.check(NOW + jump + 2, confirmed)
