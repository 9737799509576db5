"""The .sql files as data: statements one by one, and the columns that a CREATE TABLE makes. Pure.

No SQL parser, only ClickHouse's lexical rules: a `;` in a string, a quoted name or a comment ends nothing. What those
rules cannot be sure of (an open quote, a heredoc) is refused, never guessed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from infra.ops.errors import MigrationError

_TOKEN: Final = re.compile(
    r"""(?P<comment>--[^\n]*|\#[!\s][^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
      | (?P<end>;)
      | (?P<open>['"`$]|/\*)
      | (?P<plain>[^-'"`;/\#$]+|.)""",
    re.DOTALL | re.VERBOSE,
)
_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (?:\S+\.)?(\w+) \((.*)", re.DOTALL)
_NO_COLUMN: Final = frozenset({"CONSTRAINT", "INDEX", "PROJECTION"})
_BEHIND_TYPE: Final = re.compile(r" (?:CODEC\b|COMMENT\b|DEFAULT\b|EPHEMERAL\b|MATERIALIZED\b|ALIAS\b|TTL\b)")


@dataclass(frozen=True, slots=True)
class Table:
    """What a CREATE TABLE makes: its name, (column, type) in order, and everything behind the columns."""

    name: str
    columns: list[tuple[str, str]]
    ephemeral: frozenset[str]
    options: str


def statements(text: str, name: str) -> list[str]:
    """The statements of a file, without comments. MigrationError, naming `name`, for what cannot be split for sure."""
    found: list[str] = []
    begun: list[str] = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "open":
            line = text.count("\n", 0, match.start()) + 1
            raise MigrationError(
                f"{name} cannot be split into statements: an open quote, comment or heredoc in line {line}.",
                "Close it; heredocs are not understood here.",
            )
        if match.lastgroup == "end":
            found.append("".join(begun).strip())
            begun = []
        else:
            begun.append(" " if match.lastgroup == "comment" else match[0])
    return [statement for statement in (*found, "".join(begun).strip()) if statement]


def table(statement: str) -> Table | None:
    """The table that a statement creates; None for any other statement."""
    matched = _TABLE.fullmatch(_single_spaced(statement))
    if matched is None:
        return None
    parts = list(_top_level(matched[2]))
    options = parts.pop()
    entries = [part.strip() for part in parts if part.strip().partition(" ")[0] not in _NO_COLUMN]
    named = [(entry.partition(" ")[0].strip("`"), " " + entry.partition(" ")[2]) for entry in entries]
    return Table(
        name=matched[1],
        columns=[(column, _BEHIND_TYPE.split(_mask(rest))[0].strip()) for column, rest in named],
        ephemeral=frozenset(column for column, rest in named if " EPHEMERAL" in _mask(rest)),
        options=options.strip(),
    )


def _single_spaced(statement: str) -> str:
    """One form for one meaning: outside quotes, white space is one blank, and none at the inner side of brackets."""

    def plain(text: str) -> str:
        return re.sub(r"\s+", " ", text).replace("( ", "(").replace(" )", ")")

    return "".join(match[0] if match.lastgroup == "quoted" else plain(match[0]) for match in _tokens(statement))


def _mask(text: str) -> str:
    """The same text; a comment's words must not be taken for keywords, but Enum's and DateTime64's quotes stay."""
    return re.sub(r" COMMENT '(?:[^'\\]|\\.|'')*'", " COMMENT ''", text)


def _top_level(text: str) -> Iterator[str]:
    """The parts between commas of the bracket that is open at the start of `text`; last, what follows the bracket."""
    depth = 1
    part: list[str] = []
    position = 0
    for match in _tokens(text):
        for character in [match[0]] if match.lastgroup == "quoted" else match[0]:
            position += len(character)
            depth += (character == "(") - (character == ")")
            if depth == 0:
                yield "".join(part)
                yield text[position:]
                return
            if character == "," and depth == 1:
                yield "".join(part)
                part = []
            else:
                part.append(character)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    return _TOKEN.finditer(text)
