"""The store's errors in our words: a code is kept, the driver's text never is."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from hypothesis import given
from hypothesis import strategies as st

from infra.platform import clickhouse
from infra.platform.clickhouse import StoreError, code_of, neutral
from infra.platform.errors import SettingsError, UnreachableError
from infra.platform.settings import ClickHouse, StoreUser

STORE = ClickHouse(host="192.0.2.8", port=8123)
LEAK = "alice@example.org"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("HTTPDriver for http://192.0.2.8:8123 received ClickHouse error code 516\n Code: 516. DB::Exception: x", 516),
        ("Received ClickHouse exception, code: 60, server response: Code: 60. DB::Exception: Unknown table", 60),
        ("Code: 469. DB::Exception: Constraint `fence` is violated", 469),
        (":HTTPDriver for http://192.0.2.8:8123 returned response code 404)", 404),
        ("Error HTTPConnectionPool(host='192.0.2.8', port=8123): Max retries exceeded", 0),
        ("", 0),
        ("barcode 12", 0),
    ],
)
def test_the_code_is_found_in_the_driver_s_text(text: str, code: int) -> None:
    assert code_of(DatabaseError(text)) == code


def test_the_first_code_is_the_store_s_own() -> None:
    assert code_of(DatabaseError("error code 60\nCode: 60. ... 'text in a row, code: 999'")) == 60


def test_no_code_is_a_store_that_does_not_answer() -> None:
    error = neutral(OperationalError(f"Error connecting: {LEAK}"), STORE)
    assert isinstance(error, UnreachableError)
    assert str(error).startswith("The store at 192.0.2.8:8123 does not answer.")


@pytest.mark.parametrize(
    ("code", "word"), [(192, "account"), (193, "account"), (194, "account"), (516, "account"), (497, "right")]
)
def test_a_refused_account_and_a_refused_right_are_told_apart(code: int, word: str) -> None:
    error = neutral(DatabaseError(f"Code: {code}. DB::Exception: {LEAK}: nope"), STORE)
    assert isinstance(error, StoreError)
    assert error.code == code
    assert f"refused {'the' if word == 'account' else 'a'} {word} (code {code})" in error.message
    assert "infra/deploy/clickhouse" in error.advice


@given(st.integers(1, 2000), st.text(st.characters(codec="utf-8"), max_size=60))
def test_the_driver_s_text_never_leaks(code: int, text: str) -> None:
    """Whatever rows the store quotes: the same code gives the same sentence."""
    quiet = neutral(DatabaseError(f"Code: {code}. DB::Exception: "), STORE)
    loud = neutral(DatabaseError(f"Code: {code}. DB::Exception: {LEAK} {text}"), STORE)
    assert (type(loud), str(loud)) == (type(quiet), str(quiet))
    assert LEAK not in str(loud) + repr(loud)


def test_connecting_raises_our_error_without_the_driver_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise DatabaseError(f"Code: 516. DB::Exception: {LEAK}")

    monkeypatch.setattr(clickhouse.clickhouse_connect, "get_client", refuse)
    with pytest.raises(StoreError) as caught:
        clickhouse.connect(STORE, StoreUser(user="u"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert LEAK not in str(caught.value)


def test_a_client_is_asked_for_with_the_role_s_account_and_database(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(clickhouse.clickhouse_connect, "get_client", lambda **options: asked.append(options))
    role = StoreUser.model_validate({"user": "liucun_ops", "password": "p"})
    clickhouse.connect(STORE, role)
    clickhouse.connect(STORE.model_copy(update={"tls": True}), role, in_database=False)
    assert (asked[0]["username"], asked[0]["password"], asked[0]["database"]) == ("liucun_ops", "p", "liucun")
    assert (asked[0]["interface"], asked[0]["autogenerate_session_id"]) == ("http", False)
    assert (asked[1]["interface"], asked[1]["database"]) == ("https", "default")


def test_a_password_file_that_is_gone_is_a_settings_error_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clickhouse.clickhouse_connect, "get_client", lambda **_: pytest.fail("asked"))
    with pytest.raises(SettingsError):
        clickhouse.connect(STORE, StoreUser.model_validate({"user": "u", "password_file": "/nonexistent/x"}))
