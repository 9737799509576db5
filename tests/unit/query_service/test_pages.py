"""Page tokens: good for what they were made for, and for nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.platform.errors import SettingsError
from query_service.errors import DeskError
from query_service.pages import Pages, page_key

PAGES = Pages(bytes(32))


@given(st.integers(0, 2**62), st.lists(st.text(max_size=20), max_size=4))
def test_round_trip(position: int, arguments: list[str]) -> None:
    assert PAGES.position(PAGES.token(position, *arguments), *arguments) == position


def test_no_token_is_the_beginning() -> None:
    assert PAGES.position("", "records") == 0


@pytest.mark.parametrize("arguments", [(), ("records",), ("records", "b"), ("records", "a", 1), ("recordsa",)])
def test_other_arguments(arguments: tuple[str | int, ...]) -> None:
    token = PAGES.token(5, "records", "a")
    with pytest.raises(DeskError) as caught:
        PAGES.position(token, *arguments)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_another_key_and_every_flipped_bit() -> None:
    token = PAGES.token(5, "records")
    with pytest.raises(DeskError):
        Pages(b"x" * 32).position(token, "records")
    for at in range(len(token)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(DeskError):
            PAGES.position(changed, "records")


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(DeskError) as caught:
        PAGES.position(text, "records")
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_the_key_is_made_once_and_is_secret(tmp_path: Path) -> None:
    key = page_key(tmp_path)
    assert page_key(tmp_path) == key
    assert len(key) == 32
    assert (tmp_path / "page.key").stat().st_mode & 0o777 == 0o600


def test_half_a_key_is_none(tmp_path: Path) -> None:
    """A short one can be guessed."""
    (tmp_path / "page.key").write_bytes(b"")
    with pytest.raises(SettingsError, match="is no key"):
        page_key(tmp_path)
