"""The command itself: help, exit codes, one sentence for every kind of error."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from infra import cli
from infra.platform.errors import FoundError, LiucunError, SettingsError, UnreachableError

LIUCUN = str(Path(sys.executable).with_name("liucun"))
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "postfix" / "demo.log"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user has it."""
    monkeypatch.delenv("LIUCUN_TRACEBACK", raising=False)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command."""
    return subprocess.run(
        [LIUCUN, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


def ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> tuple[Any, str, str]:
    """Exit code, standard output and standard error of a command in which `error` is raised."""

    @click.command()
    def broken() -> None:
        """Raise."""
        raise error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: broken)
    monkeypatch.setattr(sys, "argv", ["liucun", "broken"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    captured = capsys.readouterr()
    return caught.value.code, captured.out, captured.err


def test_help_names_every_noun_with_its_sentence() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3" in done.stdout
    for noun, (_, _, text) in cli.NOUNS.items():
        assert noun in done.stdout
        assert text.split(":")[0] in done.stdout


def test_help_and_version_import_no_part() -> None:
    """So a bare wheel, without Kafka or ClickHouse, can print them."""
    code = (
        "import sys; sys.argv = ['liucun', '--help']\n"
        "from infra.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} "
        "& {'confluent_kafka', 'clickhouse_connect', 'pydantic', 'fastavro', 'producers', 'consumers'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_the_distribution_s() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"liucun, version {importlib.metadata.version('liucun')}\n")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("producer", "nonsense"), ("producer", "replay"), ("producer", "replay", "--nonsense")]
)
def test_wrong_usage_is_exit_2_on_standard_error(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "--help" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("noun", cli.NOUNS)
def test_a_missing_extra_is_advice_that_names_package_and_extra(noun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'confluent_kafka'", name="confluent_kafka")

    monkeypatch.setattr(cli.importlib, "import_module", missing)
    result = CliRunner().invoke(cli.liucun, [noun])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: `liucun {noun}` needs the Python package confluent_kafka, which is not installed here. "
        f"Install liucun[{cli.NOUNS[noun][1]}].\n"
    )


@pytest.mark.parametrize(
    ("kind", "code"), [(LiucunError, 1), (UnreachableError, 1), (SettingsError, 2), (FoundError, 3)]
)
def test_an_error_of_ours_is_one_line_and_its_exit_code(
    kind: type[LiucunError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("The disk is full.", "Free some.")
    assert ended(monkeypatch, capsys, error) == (code, "", "error: The disk is full. Free some.\n")


def test_an_error_of_ours_is_one_line_also_when_tracebacks_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIUCUN_TRACEBACK", "1")
    assert ended(monkeypatch, capsys, SettingsError("No.")) == (2, "", "error: No.\n")


def test_an_unexpected_exception_is_one_sentence_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its text may hold an address."""
    code, out, err = ended(monkeypatch, capsys, RuntimeError("alice@example.org"))
    assert (code, out) == (1, "")
    assert err == ("error: a fault in Liucun itself (RuntimeError); LIUCUN_TRACEBACK=1 shows where. Please report.\n")


def test_an_unexpected_exception_is_raised_when_tracebacks_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        """Raise."""
        raise RuntimeError("where")

    monkeypatch.setenv("LIUCUN_TRACEBACK", "1")
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: broken)
    monkeypatch.setattr(sys, "argv", ["liucun", "broken"])
    with pytest.raises(RuntimeError, match="where"):
        cli.main()


def test_a_reader_that_has_gone_is_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(monkeypatch, capsys, BrokenPipeError()) == (1, "", "")


def test_an_interrupt_is_one_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(monkeypatch, capsys, KeyboardInterrupt())
    assert (code, out, err.split()) == (1, "", ["Aborted!"])


def test_a_pipe_that_is_closed_half_way_is_silence(tmp_path: Path) -> None:
    """Far more than a pipe holds, read by a reader that takes one line and goes."""
    many = [str(GOLDEN)] * 60
    with subprocess.Popen(
        [LIUCUN, "producer", "replay", *many], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"record_id":"')
        process.stdout.close()
        said = process.stderr.read()
        code = process.wait(timeout=60)
    assert (code, said) == (1, b"")


def test_output_that_cannot_be_written_is_a_sentence_about_the_output() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [LIUCUN, "producer", "replay", str(GOLDEN)], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert done.returncode == 1
    assert b"fault in Liucun" not in done.stderr
