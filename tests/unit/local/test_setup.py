"""The set-up of a clone: what is missing is one sentence, exit 1, and no traceback. Nothing is installed here.

The module is run as a program of its own, with its globals set before `main`; the virtual environment and the jars
of this clone are never touched.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local import setup

RUN = """
import json, sys
from pathlib import Path
from infra.local import setup
setup._install = lambda packages: False
setup._make_venv = lambda: (_ for _ in ()).throw(AssertionError("a virtual environment was made"))
setup._with_tries = lambda command, failure: (_ for _ in ()).throw(AssertionError(command))
for name, value in json.loads(sys.argv[1]).items():
    setattr(setup, name, Path(value) if isinstance(value, str) else value)
for step in sys.argv[2:]:
    setattr(setup, step, lambda: None)
sys.exit(setup.main())
"""


def run(*without: str, globals_: dict[str, Any] | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """`main` in a process of its own, without these steps."""
    return subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(globals_ or {}), *without],
        cwd=setup.REPOSITORY,
        env={key: value for key, value in os.environ.items() if key != "JAVA_HOME"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with nothing on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def program(folder: Path, name: str, text: str) -> None:
    """Put a program on that PATH."""
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_no_java_is_one_sentence_that_says_what_to_install(bare: Path, tmp_path: Path) -> None:
    done = run("_virtual_environment", "_kafka_jars", PATH=str(bare), LIUCUN_HOME=str(tmp_path / "home"))
    assert "no Java runtime of version 17 or newer" in sentence(done)
    assert "default-jre-headless" in done.stderr
    assert "JAVA_HOME" in done.stderr


@pytest.mark.parametrize("version", ['java version "1.8.0_402"', 'openjdk version "11.0.22"', "no version at all"])
def test_an_old_java_is_like_none(bare: Path, tmp_path: Path, version: str) -> None:
    program(bare, "java", f"#!/bin/sh\necho '{version}' >&2\n")
    done = run("_virtual_environment", "_kafka_jars", PATH=str(bare), LIUCUN_HOME=str(tmp_path / "home"))
    assert "no Java runtime" in sentence(done)


def test_java_by_java_home_is_enough(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "jdk" / "bin").mkdir(parents=True)
    program(tmp_path / "jdk" / "bin", "java", "#!/bin/sh\necho 'openjdk version \"21.0.2\"' >&2\n")
    home = tmp_path / "home"
    done = run(
        "_virtual_environment", "_kafka_jars", PATH=str(bare), LIUCUN_HOME=str(home), JAVA_HOME=str(tmp_path / "jdk")
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert float((home / "setup.seconds").read_text()) >= 0


def test_a_java_that_cannot_be_executed_is_like_none(bare: Path, tmp_path: Path) -> None:
    """Of another processor, say, or a file that was cut."""
    program(bare, "java", "\x7fELF nonsense")
    done = run("_virtual_environment", "_kafka_jars", PATH=str(bare), LIUCUN_HOME=str(tmp_path / "home"))
    assert "no Java runtime" in sentence(done)


def test_no_maven_is_one_sentence(bare: Path, tmp_path: Path) -> None:
    done = run("_virtual_environment", "_java", PATH=str(bare), LIUCUN_HOME=str(tmp_path / "home"))
    assert "There is no mvn; install Maven" in sentence(done)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_home_that_is_no_folder_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    done = run("_virtual_environment", "_java", "_kafka_jars", LIUCUN_HOME=str(tmp_path / name))
    line = sentence(done)
    assert f"{tmp_path / name} cannot be written (" in line
    assert "set LIUCUN_HOME to a folder of your own" in line


def test_a_home_that_may_not_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(setup, "HOME", tmp_path / "home")
    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(setup.SetupError, match="cannot be written \\(Permission denied\\)"):
        setup._folders()


def test_too_little_disk_for_the_environment_is_said_before_anything_is_made(tmp_path: Path) -> None:
    globals_ = {"DISK_FREE_BYTES_MIN": 1 << 62, "VENV": str(tmp_path / "venv")}
    done = run("_java", "_kafka_jars", globals_=globals_, LIUCUN_HOME=str(tmp_path / "home"))
    assert f"MiB free and {(1 << 62) >> 20} MiB are needed" in sentence(done)
    assert not (tmp_path / "venv").exists()


def test_too_little_disk_for_the_jars_is_said_before_anything_is_fetched(bare: Path, tmp_path: Path) -> None:
    program(bare, "mvn", "#!/bin/sh\nexit 1\n")
    home = tmp_path / "home"
    done = run(
        "_virtual_environment",
        "_java",
        globals_={"DISK_FREE_BYTES_MIN": 1 << 62},
        PATH=str(bare),
        LIUCUN_HOME=str(home),
    )
    assert f"{home} has " in sentence(done)
    assert not (home / "kafka").exists()


def test_a_python_that_is_too_old_is_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    monkeypatch.setattr(setup, "_folders", lambda: pytest.fail("went on"))
    assert setup.main() == 2
    assert capsys.readouterr().err == "error: Python 3.11 or newer is needed; run this with a newer python3.\n"


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A set-up whose jars are one of our own, fetched by a function instead of Maven."""
    place = SimpleNamespace(home=tmp_path / "home", libs=tmp_path / "home" / "kafka" / "libs", fetched=0, data=b"jar")
    place.home.mkdir()
    (tmp_path / "jars.sha256").write_text(f"{hashlib.sha256(b'jar').hexdigest()}  a.jar\n")

    def fetch(_command: list[str], _failure: str) -> None:
        place.fetched += 1
        place.libs.mkdir(parents=True)
        (place.libs / "a.jar").write_bytes(place.data)

    monkeypatch.setattr(setup, "HOME", place.home)
    monkeypatch.setattr(setup, "JARS", tmp_path / "jars.sha256")
    monkeypatch.setattr(setup, "DISK_FREE_BYTES_MIN", 0)
    monkeypatch.setattr(setup, "_with_tries", fetch)
    monkeypatch.setattr(setup, "_install", lambda _: pytest.fail("installed"))
    monkeypatch.setattr(setup.shutil, "which", lambda name: f"/usr/bin/{name}")
    return place


def test_jars_are_fetched_once_and_again_when_the_list_changes(jars: SimpleNamespace) -> None:
    setup._kafka_jars()
    setup._kafka_jars()
    assert jars.fetched == 1
    setup.JARS.write_text(setup.JARS.read_text().replace("  ", " "))
    setup._kafka_jars()
    assert jars.fetched == 2


def test_a_jar_with_other_bytes_is_one_sentence_that_names_it(jars: SimpleNamespace) -> None:
    jars.data = b"other"
    with pytest.raises(setup.SetupError, match=r"a\.jar is not the jar"):
        setup._kafka_jars()
    jars.data = b"jar"
    setup._kafka_jars()
    assert jars.fetched == 2


def test_an_environment_with_its_stamp_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "VENV", tmp_path)
    monkeypatch.setattr(setup, "_need_space", lambda _: None)
    monkeypatch.setattr(setup, "_make_venv", lambda: None)
    commands: list[list[str]] = []
    monkeypatch.setattr(setup, "_with_tries", lambda command, _: commands.append(command))
    setup._virtual_environment()
    setup._virtual_environment()
    locked, ours = commands
    assert {"--require-hashes", "--only-binary", ":all:"} <= set(locked)
    assert {"--no-index", "--no-deps"} <= set(ours)


def test_a_failure_after_all_tries_is_one_sentence_with_the_tool_s_word(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[list[str]] = []

    def fail(command: list[str], _environment: Any = None) -> subprocess.CompletedProcess[str]:
        tries.append(command)
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: no route to host\nmore\n" + "x" * 999)

    monkeypatch.setattr(setup, "_run", fail)
    monkeypatch.setattr(setup.time, "sleep", lambda _: None)
    with pytest.raises(setup.SetupError) as caught:
        setup._with_tries(["pip"], "It could not be installed")
    assert len(tries) == setup.TRIES
    assert str(caught.value) == (
        "It could not be installed after 3 tries (ERROR: no route to host); check the network and the free space."
    )


def test_a_program_that_hangs_is_a_failure_not_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "DOWNLOAD_SECONDS_MAX", 0.1)
    done = setup._run([sys.executable, "-c", "import threading; threading.Event().wait()"])
    assert (done.returncode, done.stderr) == (1, "error: it did not end in time")


@pytest.mark.parametrize(("user", "apt"), [(1000, "/usr/bin/apt-get"), (0, None)])
def test_nothing_is_installed_by_a_user_or_without_apt(
    monkeypatch: pytest.MonkeyPatch, user: int, apt: str | None
) -> None:
    monkeypatch.setattr(setup.os, "geteuid", lambda: user)
    monkeypatch.setattr(setup.shutil, "which", lambda _: apt)
    monkeypatch.setattr(setup, "_run", lambda *_: pytest.fail("ran"))
    assert setup._install(["default-jre-headless"]) is False
