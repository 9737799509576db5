"""Files fit into a head and functions onto a screen: a rule that only a script remembers."""

import ast
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("schemas", "producers", "consumers", "query_service", "infra", "tests", "benchmarks")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
WAY_LINES_MAX = 120


def sources() -> list[Path]:
    """Every Python file of ours that is not generated."""
    found = (path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))
    return sorted(path for path in found if not path.is_relative_to(REPOSITORY / "schemas" / "gen"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_file_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES_MAX
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {f"{node.name} (line {node.lineno})": (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES_MAX} == {}


@pytest.mark.parametrize("way", ["infra/ops/scheduler.py", "infra/ledger/run.py"])
def test_the_way_is_short(way: str) -> None:
    """The file that shows the whole path has no room for detail."""
    assert len((REPOSITORY / way).read_text(encoding="utf-8").splitlines()) <= WAY_LINES_MAX


def test_no_path_of_this_machine_and_no_registry_host_is_in_the_repository() -> None:
    """Nothing that works only here: what git knows is searched, and what it would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    forbidden = [str(REPOSITORY) + "/", "/work" + "/shared", "files.pythonhosted" + ".org", "repo1.maven" + ".org"]
    found = []
    for name in listed.stdout.splitlines():
        path = REPOSITORY / name
        if path.suffix in {".py", ".toml", ".md", ".sql", ".service", ".conf", ".xml", ".lock"} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {word}" for word in forbidden if word in text]
    assert found == []
