"""Statements are split at the semicolons that end them, and at no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ops import sql
from infra.ops.errors import MigrationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1;SELECT 2;\n;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';\n';\nSELECT 2", ["SELECT ';\n'", "SELECT 2"]),
        ("SELECT 'a\\';b', 'it''s; so';", ["SELECT 'a\\';b', 'it''s; so'"]),
        ('SELECT `a;b`, "c;d"; SELECT 2', ['SELECT `a;b`, "c;d"', "SELECT 2"]),
        ("-- one; two\nSELECT 1 -- three; four\n;", ["SELECT 1"]),
        ("/* one; */ SELECT /* two; '*/ 1;", ["SELECT   1"]),
        ("SELECT '-- no comment;', '/*;' ;", ["SELECT '-- no comment;', '/*;'"]),
        ("SELECT 3 - 1, 4 / 2; SELECT 5", ["SELECT 3 - 1, 4 / 2", "SELECT 5"]),
        ("#! a comment;\nSELECT 1", ["SELECT 1"]),
        ("-- nothing\n", []),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    assert sql.statements(text, "0001_x.sql") == expected


@pytest.mark.parametrize(
    "text", ["SELECT 'open; SELECT 2", "SELECT `open", 'SELECT "open', "SELECT 1 /* open", "SELECT $$a$$"]
)
def test_what_cannot_be_split_for_sure_is_refused(text: str) -> None:
    with pytest.raises(MigrationError, match=r"0007_x\.sql cannot be split .* line 2"):
        sql.statements("SELECT 1;\n" + text, "0007_x.sql")


PIECE = st.one_of(
    st.sampled_from(["SELECT a", " + 1", "(b, c)", "\n", " - x", " / 2"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(
        lambda text: "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    ),
    st.text(st.sampled_from("a;'\"`-/* "), max_size=6).map(lambda text: "`" + text.replace("`", "``") + "`"),
)


@given(st.lists(st.lists(PIECE, min_size=1).map("".join).filter(str.strip), min_size=1, max_size=5))
def test_joined_statements_come_apart_again(parts: list[str]) -> None:
    assert sql.statements(";\n-- note; here\n".join(parts), "x") == [part.strip() for part in parts]


def test_columns_of_a_table() -> None:
    table = sql.table(
        """CREATE TABLE IF NOT EXISTS {{database}}.thing
        (
            `from` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
            kind Enum8('A' = 0, 'B, C' = 1) COMMENT 'a DEFAULT, or (none)',
            sources Array(Tuple(
                name String,
                counts Map(String, Int64))),
            fence Int64 EPHEMERAL COMMENT 'again',
            ok Bool DEFAULT a = b,
            CONSTRAINT c CHECK ok,
            INDEX i kind TYPE minmax
        )
        ENGINE = MergeTree ORDER BY (kind, `from`)"""
    )
    assert table is not None
    assert table.name == "thing"
    assert table.columns == [
        ("from", "DateTime64(6, 'UTC')"),
        ("kind", "Enum8('A' = 0, 'B, C' = 1)"),
        ("sources", "Array(Tuple(name String, counts Map(String, Int64)))"),
        ("fence", "Int64"),
        ("ok", "Bool"),
    ]
    assert table.ephemeral == {"fence"}
    assert table.options == "ENGINE = MergeTree ORDER BY (kind, `from`)"


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE x.y (a Int32) ENGINE = Memory", "ALTER TABLE x.y ADD COLUMN b Int32", "DROP TABLE IF EXISTS x.y"],
)
def test_only_tables_that_may_be_there_already(statement: str) -> None:
    """A file that was killed halfway is run again; without IF NOT EXISTS it would fail for ever."""
    assert sql.table(statement) is None
