"""What may stand where: imports point downwards, SQL has its places, tables are made in one."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.contract.test_size import REPOSITORY, sources

# Reading and acting SQL; everything else goes through these. DDL is in schemas/clickhouse alone.
SQL_PLACES = {
    "consumers/insert.py",
    "consumers/start.py",
    "consumers/verify.py",
    "infra/demo/tour.py",
    "infra/local/chdb_server.py",
    "query_service/projection.py",  # SQLite: what follows from the ledger
    "query_service/state.py",
    "query_service/store.py",
}
DDL_PLACES = {"infra/ops/migrate.py", "query_service/projection.py"}
_SQL = re.compile(
    r"\b(SELECT\b.+\bFROM\b|INSERT INTO\b|ALTER TABLE\b|DELETE FROM\b|SYSTEM (STOP|START|DROP|FLUSH|RELOAD)\b|TRUNCATE\b|SELECT version\(\))",
    re.DOTALL,
)
_DDL = re.compile(r"\b(CREATE|DROP|RENAME|ATTACH|DETACH|EXCHANGE) (TABLE|DATABASE|VIEW|USER|ROLE|DICTIONARY)\b")


def _strings(text: str) -> list[str]:
    """Every string of a module that is not a docstring."""
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def _ours() -> list[Path]:
    return [path for path in sources() if path.relative_to(REPOSITORY).parts[0] not in ("tests", "benchmarks")]


def test_sql_is_where_it_may_be() -> None:
    places = {
        str(path.relative_to(REPOSITORY))
        for path in _ours()
        if any(_SQL.search(text) for text in _strings(path.read_text(encoding="utf-8")))
    }
    outside = {place for place in places if not place.startswith("infra/ops/")} - SQL_PLACES
    assert outside == set()
    assert "infra/ops/retention.py" in places, "the test no longer finds SQL"


def test_tables_are_made_in_one_place() -> None:
    places = {
        str(path.relative_to(REPOSITORY))
        for path in _ours()
        if any(_DDL.search(text) for text in _strings(path.read_text(encoding="utf-8")))
    }
    assert {place for place in places if not place.endswith(("ops/sql.py", "ops/check.py"))} == DDL_PLACES | {
        "infra/ops/retention.py"  # its advice names the statement that removes detached parts
    } & places


def test_parameters_of_statements_are_the_servers() -> None:
    """No value is formatted into a statement: {name:Type} is filled in by the server.

    What may be formatted comes from validated settings, or from a closed list in the same file.
    """
    formatted = {
        (str(path.relative_to(REPOSITORY)), ast.unparse(part.value))
        for path in _ours()
        if path.is_relative_to(REPOSITORY / "infra" / "ops")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr) and _is_statement(node)
        for part in node.values
        if isinstance(part, ast.FormattedValue)
    }
    assert formatted == {
        ("infra/ops/clocks.py", "verb"),
        ("infra/ops/clocks.py", "table"),
        ("infra/ops/migrate.py", "database"),
        ("infra/ops/doctor.py", "name"),  # advice to a person, never sent
    }


def _is_statement(node: ast.JoinedStr) -> bool:
    text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    return bool(re.match(r"\s*(SELECT|INSERT|ALTER|SYSTEM|CREATE|DROP|DELETE|TRUNCATE)\b", text))


def test_imports_point_downwards() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.fail("import-linter is in the group `lint`")
    done = subprocess.run(
        [str(tool), "--no-logo", "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_layers_are_those_of_the_architecture() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = [contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers"]
    assert layers == [
        "infra.cli",
        "infra.demo",
        "producers | consumers | query_service | infra.ops",
        "(infra.ledger)",
        "infra.platform",
        "(infra.proof)",
        "schemas",
    ]


def test_nothing_connects_or_reads_the_clock_at_import() -> None:
    """Importing everything opens no socket and asks for no time: the guards below would say so."""
    code = (
        "import socket, sys, time\n"
        "import click, confluent_kafka, confluent_kafka.admin, clickhouse_connect, apscheduler.schedulers.background\n"
        "import prometheus_client, structlog, pydantic_settings, fastavro, zoneinfo\n"
        "def no(*a, **k): raise SystemExit('at import')\n"
        "socket.socket.connect = no\n"
        "import infra.ops.cli, infra.ledger.cli, producers.cli, consumers.cli\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
