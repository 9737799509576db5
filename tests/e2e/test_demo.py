"""The demo as a newcomer and as an operator's script run it: to its end, interrupted, and killed."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.process import child_environment
from infra.local.runtime import REPOSITORY, home_from_environment, kafka_jars
from tests.pipeline import LIUCUN, until
from tests.processes import below

TOUR_LINES_MAX = 40
PROGRAMS = ("java", "ldd", "chroot", "dpkg-deb", "dpkg-query", "apt-cache")  # all that the demo calls, but apt-get


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of the demo's own, with the jars that are here; a fetched mail server stays for the next run."""
    home = home_from_environment() / "test-demo"
    (home / "kafka").mkdir(parents=True, exist_ok=True)
    if not (home / "kafka" / "libs").exists():
        (home / "kafka" / "libs").symlink_to(kafka_jars(home_from_environment()))
    yield home
    for pid in below(home):
        os.kill(pid, signal.SIGKILL)


def _start(home: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [LIUCUN, "demo", "up"],
        env=child_environment(home) | {"LIUCUN_HOME": str(home)} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _finished(home: Path, **environment: str) -> tuple[str, dict[str, Any]]:
    """What a demo said and reported; it ended well and left nothing running."""
    demo = _start(home, **environment)
    said, complained = demo.communicate(timeout=240)
    assert demo.returncode == 0, said + complained
    assert below(home) == {}
    assert len(said.splitlines()) <= TOUR_LINES_MAX
    report = json.loads((home / "demo" / "report.json").read_text(encoding="utf-8"))
    assert report["duplicates"] == report["missing"] == 0
    assert report["records_loaded"] == report["records_expected"] > 0
    assert report["messages_sent"] > 0
    assert report["lookup"].startswith("agencies/")
    assert report["lookup"] in said
    assert report["lookup_records"] == 16  # four messages a round reach alice
    assert report["refused_lookup_reason"] == "OUT_OF_SCOPE"
    assert report["audit_verified"] is True
    assert report["ledger_entries"] > 10
    assert {"setup", "stack", "pipeline", "lookup"} <= report["seconds"].keys()
    return said, report


def test_the_demo_with_a_real_postfix(home: Path) -> None:
    """What was sent is in the store, an old day is gone, and no secret word of the mails is on the screen."""
    said, report = _finished(home)
    assert report["mta"] == ("postfix-live" if os.geteuid() == 0 else "postfix-trace"), said
    assert report["oldest_day_dropped"] in said
    assert "secret" not in said
    if report["mta"] == "postfix-live":
        assert _form(said) == _form(_shown_in_readme())


def test_the_demo_without_a_mail_server_uses_the_committed_trace(home: Path, tmp_path: Path) -> None:
    for program in PROGRAMS:
        if (found := shutil.which(program)) is not None:
            (tmp_path / program).symlink_to(found)
    said, report = _finished(home, PATH=str(tmp_path))
    assert report["mta"] == "postfix-trace"
    assert "No live Postfix" in said


def _form(text: str) -> list[str]:
    """The lines without what changes from run to run: words with digits, and the folder of the report."""
    text = re.sub(r"(same facts:) .*", r"\1", text)
    return [" ".join("#" if re.search(r"\d", word) else word for word in line.split()) for line in text.splitlines()]


def _shown_in_readme() -> str:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return readme.partition("<!-- tour")[2].partition("```\n")[2].partition("```")[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_an_ended_demo_leaves_nothing_running(home: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches the whole foreground group; kill -9 only the demo itself."""
    demo = _start(home)
    assert demo.stdout is not None
    assert demo.stdout.readline().startswith("1 ")
    assert len(below(home)) >= 2, "a broker and a store run"
    if number == signal.SIGINT:
        os.killpg(demo.pid, number)
    else:
        demo.kill()
    demo.communicate(timeout=60)
    until(lambda: below(home) == {}, 60)


def test_a_second_demo_in_one_home_is_refused(home: Path) -> None:
    first = _start(home)
    assert first.stdout is not None
    assert first.stdout.readline().startswith("1 ")
    second = _start(home)
    _, complained = second.communicate(timeout=60)
    assert second.returncode == 2
    assert complained.count("\n") == 1
    assert "Another demo or test is using" in complained
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
    until(lambda: below(home) == {}, 60)
