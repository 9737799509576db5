"""What the documents say is there: links lead somewhere, commands exist, numbers are counted."""

import re
from pathlib import Path

import click
import pytest

from infra.cli import liucun
from tests.contract.test_size import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)]*))?\)")
_FILE = re.compile(
    r"`((?:producers|consumers|query_service|schemas|infra|tests|benchmarks|docs)/[A-Za-z0-9_./-]*[A-Za-z0-9_/])`"
)
_COMMAND = re.compile(r"`(?:\.venv/bin/)?liucun ([a-z][a-z -]*)")
_MAKE = re.compile(r"`?make ([a-z-]+)`?")
_CASE = re.compile(r"def test_cases?_(\d\d)(?:_and_(\d\d))?")


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_are_there(page: Path) -> None:
    for target, anchor in _LINK.findall(_text(page)):
        if target.startswith(("http:", "https:")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", _text(file), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, anchor
    for name in _FILE.findall(_text(page)):
        assert (REPOSITORY / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    for words in _COMMAND.findall(_text(page)):
        command: click.Command = liucun
        for word in words.split():
            if not isinstance(command, click.Group) or word.startswith("-"):
                break
            found = command.get_command(click.Context(command), word)
            assert found is not None, words
            command = found


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", _text(REPOSITORY / "Makefile"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^    |`)make ([a-z-]+)", _text(page), re.MULTILINE)}
    assert named <= targets
    assert {"demo", "test"} <= named


def test_the_number_of_hard_cases_is_counted() -> None:
    tests = "".join(_text(file) for file in (REPOSITORY / "tests" / "unit" / "producers").glob("test_h*.py"))
    cases = {number for pair in _CASE.findall(tests) for number in pair if number}
    assert f"{len(cases)} of 80 [hard cases]" in _text(REPOSITORY / "README.md")


def test_a_page_of_contributing() -> None:
    assert len(_text(REPOSITORY / "CONTRIBUTING.md").splitlines()) <= 60


def test_the_two_readmes_say_the_same() -> None:
    """Same commands, same tour, same links to files, same order and number of headings, rows and cases."""
    english, chinese = (_text(REPOSITORY / name) for name in ("README.md", "README.zh-CN.md"))
    for pattern in (r"(?m)^    .*$", r"(?s)```\n(.*?)```", r"(?m)^#+ ", r"(?m)^\|", r"`(?:liucun|make) [^`]+`"):
        assert re.findall(pattern, english) == re.findall(pattern, chinese), pattern
    links = [
        {target for target, _ in _LINK.findall(text) if not target.startswith("README")} for text in (english, chinese)
    ]
    assert links[0] == links[1]
    counted = re.search(r"(\d+) of 80", english)
    assert counted is not None
    assert f"中的 {counted[1]} 个" in chinese
