"""The rules of migration files and of the book, without a store."""

import pytest

from infra.ops import migrate
from infra.ops.errors import MigrationError
from infra.platform.errors import SettingsError
from infra.platform.settings import Legal

HEADER = "-- purpose:   p\n-- dangerous: {}\n-- way back:  w\n-- size:      s\n"
BOOK = {one.number: (one.sha256, migrate.parameters(Legal(), "liucun")) for one in migrate.migrations()}


def test_committed_files_have_all_parameters() -> None:
    values = migrate.parameters(Legal(zone="Asia/Shanghai"), "liucun")
    assert values == {
        "database": "liucun",
        "legal_zone": "Asia/Shanghai",
        "retention_days": "60",
        "ttl_days": "63",
        "drop_after_days": "61",
    }
    for one in migrate.migrations():
        statements = one.statements(values)
        assert statements
        assert all(statement.startswith("CREATE TABLE IF NOT EXISTS liucun.") for statement in statements)
        assert not any("{{" in statement for statement in statements)
    first = migrate.migrations()[0].statements(values)[0]
    assert "PARTITION BY toDate(event_time, 'Asia/Shanghai')" in first
    assert "TTL toDateTime(toDate(event_time, 'Asia/Shanghai') + 63, 'Asia/Shanghai')" in first


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("CREATE TABLE x", "lacks its header"),
        (HEADER.format("no").replace("-- size:      s\n", ""), "lacks its header"),
        (HEADER.format("no").replace("-- way back:  w", "-- way back:"), "lacks its header"),
        (HEADER.format("nothing known"), "whether it is dangerous"),
        (HEADER.format("perhaps"), "whether it is dangerous"),
        ("\n" + HEADER.format("no"), "lacks its header"),
    ],
)
def test_a_file_must_say_what_it_does(text: str, told: str) -> None:
    with pytest.raises(MigrationError, match=told):
        migrate.migration("0004_x.sql", text)


@pytest.mark.parametrize("name", ["4_x.sql", "0004-x.sql", "0004_X.sql", "x.sql", "0004_x.sql.bak"])
def test_a_file_must_be_numbered(name: str) -> None:
    with pytest.raises(MigrationError, match="not named like"):
        migrate.migration(name, HEADER.format("no"))


@pytest.mark.parametrize(("said", "dangerous"), [("no", False), ("no (creates only)", False), ("yes: rewrites", True)])
def test_danger_is_read_from_the_header(said: str, dangerous: bool) -> None:
    assert migrate.migration("0004_x.sql", HEADER.format(said)).dangerous is dangerous


def test_unknown_parameter_is_refused() -> None:
    one = migrate.migration("0004_x.sql", HEADER.format("no") + "SELECT {{colour}};")
    with pytest.raises(MigrationError, match="does not exist"):
        one.statements({"database": "liucun"})


def test_numbers_have_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate.files, "names", lambda *_: ["0001_a.sql", "0003_c.sql"])
    monkeypatch.setattr(migrate.files, "read_text", lambda *_: HEADER.format("no"))
    with pytest.raises(MigrationError, match="not numbered"):
        migrate.migrations()


def test_a_value_that_could_end_a_string_is_refused() -> None:
    with pytest.raises(SettingsError, match="legal_zone"):
        migrate.parameters(Legal.model_construct(zone="x', 1)", retention_days=60, ttl_margin_days=3), "liucun")


def test_book_that_has_all() -> None:
    assert migrate.missing(BOOK) == []
    assert [one.number for one in migrate.missing({})] == [1, 2, 3]
    assert [one.number for one in migrate.missing({1: BOOK[1]})] == [2, 3]


def test_changed_file_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"0002_coverage_batch\.sql was changed"):
        migrate.missing(BOOK | {2: ("0" * 64, {})})


def test_newer_store_is_left_alone() -> None:
    with pytest.raises(MigrationError, match="migration 0009, which this version does not know"):
        migrate.missing(BOOK | {9: ("0" * 64, {})})


def test_hole_in_the_book_is_refused() -> None:
    with pytest.raises(MigrationError, match="is missing from a store that has later ones"):
        migrate.missing({1: BOOK[1], 3: BOOK[3]})


@pytest.mark.parametrize(
    ("legal", "told"),
    [
        (Legal(zone="UTC"), "legal_zone = Asia/Shanghai; the settings say UTC"),
        (Legal(retention_days=90), "retention_days = 60; the settings say 90"),
        (Legal(ttl_margin_days=5), "ttl_days = 63; the settings say 65"),
    ],
)
def test_legal_settings_cannot_change(legal: Legal, told: str) -> None:
    migrate.check_legal(BOOK, Legal(), "liucun")
    with pytest.raises(SettingsError, match=told):
        migrate.check_legal(BOOK, legal, "liucun")
