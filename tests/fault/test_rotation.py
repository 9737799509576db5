"""The real agent over rotation as it goes wrong, and over every way in which lines arrive: nothing lost, nothing twice.

After the list that Vector's file source is tested by. What a follower alone can show is in tests/unit/producers.
"""

import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from infra.local.process import child_environment
from infra.platform.settings import Settings
from tests.conftest import missing
from tests.fault.test_kill import _mail as mail
from tests.pipeline import LIUCUN, Program, count, exactly_once, rows, run, until, write_settings
from tests.unit.producers.carried import docker, export, journal


@pytest.fixture
def file(fresh: Settings, tmp_path: Path) -> Path:
    """Settings for agent and loader."""
    return write_settings(
        tmp_path / "liucun.toml", fresh, agent_id="mx1", outbox_dir=tmp_path / "outbox", log=tmp_path / "mail.log"
    )


@pytest.fixture
def live(file: Path) -> Path:
    """The live log."""
    return file.parent / "mail.log"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as log:
        log.write(data)


def recipients(settings: Settings) -> list[int]:
    """Numbers of the messages in the store, sorted."""
    found = rows(settings, "SELECT recipient FROM envelope")
    return sorted(int(row[0].split("@")[0][1:]) for row in found)


def markers(settings: Settings) -> dict[str, int]:
    """Loss markers of all coverage, and why lines were not understood."""
    total: dict[str, int] = {}
    for (sources,) in rows(settings, "SELECT toJSONString(sources) FROM coverage"):
        for source in json.loads(sources):
            for kind in ("loss_markers", "lines_not_understood"):
                for name, number in dict(source[kind]).items():
                    total[name] = total.get(name, 0) + int(number)
    return total


def test_copytruncate_while_it_runs_and_while_it_is_away(fresh: Settings, file: Path, live: Path) -> None:
    agent = Program(file, "producer", "run")
    loader = Program(file, "consumer", "run")
    append(live, mail(0, 10))
    until(lambda: count(fresh) >= 10)
    shutil.copy2(live, live.with_name("mail.log.1"))
    os.truncate(live, 0)
    append(live, mail(10, 5))
    until(lambda: count(fresh) >= 15)
    assert agent.stop() == 0, agent.said()
    append(live, mail(15, 5))
    live.with_name("mail.log.1").rename(live.with_name("mail.log.2"))
    shutil.copy2(live, live.with_name("mail.log.1"))
    os.truncate(live, 0)
    append(live, mail(20, 5))
    agent = Program(file, "producer", "run")
    until(lambda: count(fresh) >= 25)
    assert agent.stop() == 0, agent.said()
    assert loader.stop() == 0
    exactly_once(fresh, 25)
    assert recipients(fresh) == list(range(25))


def test_its_file_is_deleted_and_others_were_rotated_meanwhile(fresh: Settings, file: Path, live: Path) -> None:
    append(live, mail(0, 10))
    killed = Program(file, "producer", "run", kill_at="agent.snapshot")
    assert killed.wait() == -9
    live.unlink()
    live.with_name("mail.log.2.gz").write_bytes(gzip.compress(mail(10, 10)))
    time.sleep(0.05)
    live.with_name("mail.log.1").write_bytes(mail(20, 10))
    append(live, mail(30, 10))
    agent = Program(file, "producer", "run")
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 40)
    assert agent.stop() == 0, agent.said()
    until(lambda: markers(fresh).get("file-gone") == 1)
    assert loader.stop() == 0
    exactly_once(fresh, 40)
    assert recipients(fresh) == list(range(40))


@pytest.mark.parametrize("program", ["gzip", "zstd"])
def test_compressed_while_it_is_caught_up_with(fresh: Settings, file: Path, live: Path, program: str) -> None:
    if shutil.which(program) is None:
        missing(f"the program {program}")
    append(live, mail(0, 400))
    killed = Program(file, "producer", "run", kill_at="agent.committed")
    assert killed.wait() == -9
    live.rename(live.with_name("mail.log.1"))
    append(live, mail(400, 20))
    agent = Program(file, "producer", "run")
    remove = ["--rm", "-q"] if program == "zstd" else []
    subprocess.run([program, *remove, str(live.with_name("mail.log.1"))], check=True)
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 420)
    live.rename(live.with_name("mail.log.0"))
    append(live, mail(420, 10))
    until(lambda: count(fresh) >= 430)
    assert agent.stop() == 0, agent.said()
    assert loader.stop() == 0
    exactly_once(fresh, 430)
    assert recipients(fresh) == list(range(430))


def test_killed_inside_of_a_line_that_is_too_long(fresh: Settings, file: Path, live: Path) -> None:
    """Its tail looks like the lines of a message; it is none, and is counted once."""
    false = mail(99, 1).replace(b"\n", b" ")
    append(live, mail(0, 5) + b"x" * 700_000)
    killed = Program(file, "producer", "run", kill_at="agent.snapshot")
    assert killed.wait() == -9
    append(live, false + b"\n" + mail(5, 5))
    agent = Program(file, "producer", "run")
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 10)
    assert agent.stop() == 0, agent.said()
    until(lambda: markers(fresh).get("line-too-long") == 1)
    assert loader.stop() == 0
    assert recipients(fresh) == list(range(10))
    assert markers(fresh) == {"line-too-long": 1, "entered-in-the-middle": 1}


def test_killed_with_a_container_s_line_in_parts(fresh: Settings, file: Path, live: Path) -> None:
    """docker's json-file: the first part is read before the kill, the rest after it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime())
    lines = [docker(line.decode() + "\n", stamp) for line in mail(0, 10).splitlines()]
    cut = mail(10, 1).splitlines()
    append(live, b"".join(lines) + b"".join(docker(line.decode() + "\n", stamp) for line in cut[:3]))
    append(live, docker(cut[3][:80].decode(), stamp))
    killed = Program(file, "producer", "run", kill_at="agent.snapshot")
    assert killed.wait() == -9
    append(live, docker(cut[3][80:].decode() + "\n", stamp) + docker(cut[4].decode() + "\n", stamp))
    agent = Program(file, "producer", "run")
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 11)
    assert agent.stop() == 0, agent.said()
    assert loader.stop() == 0
    exactly_once(fresh, 11)
    assert recipients(fresh) == list(range(11))


def test_killed_while_it_reads_the_journal(fresh: Settings, file: Path, tmp_path: Path) -> None:
    """`journalctl` is a fake; the real one is in tests/integration/test_journald.py."""
    from tests.unit.producers.test_journal import FAKE

    fake = tmp_path / "fake"
    (fake / "entries").mkdir(parents=True)
    (fake / "journalctl").write_text(FAKE)
    (fake / "journalctl").chmod(0o755)
    text = file.read_text().replace(f'path = "{tmp_path}/mail.log"', 'journal = ["SYSLOG_FACILITY=2"]')
    file.write_text(text)
    path = {"PATH": f"{fake}:{os.environ['PATH']}"}
    number = 0

    def entries(data: bytes) -> None:
        nonlocal number
        for line in data.splitlines():
            number += 1
            tag, _, message = line[len(b"2026-11-24T09:00:00.000000+00:00 mx1 ") :].partition(b": ")
            fields = {
                "__CURSOR": f"s={number:05d}",
                "_SOURCE_REALTIME_TIMESTAMP": str(time.time_ns() // 1000),
                "SYSLOG_TIMESTAMP": None,
                "SYSLOG_IDENTIFIER": tag.partition(b"[")[0].decode(),
                "SYSLOG_PID": tag.partition(b"[")[2].rstrip(b"]").decode(),
                "MESSAGE": message.decode(),
            }
            entry = {name: value for name, value in (journal() | fields).items() if value is not None}
            (fake / "entries" / f".{number:05d}").write_bytes(export(entry))
            (fake / "entries" / f".{number:05d}").rename(fake / "entries" / f"{number:05d}")

    data = mail(0, 20)
    entries(data[: len(data) // 2].rpartition(b"\n")[0])
    for step in ("synced", "committed", "snapshot"):
        killed = Program(file, "producer", "run", kill_at=f"agent.{step}", **path)
        assert killed.wait() == -9, killed.said()
    entries(data[len(data[: len(data) // 2].rpartition(b"\n")[0]) + 1 :])
    agent = Program(file, "producer", "run", **path)
    loader = Program(file, "consumer", "run")
    until(lambda: count(fresh) >= 20)
    assert agent.stop() == 0, agent.said()
    assert "reading the journal" in agent.said()
    assert loader.stop() == 0
    exactly_once(fresh, 20)
    assert recipients(fresh) == list(range(20))


@pytest.mark.parametrize("kind", ["nothing", "folder", "fifo", "device"])
def test_a_backfill_of_what_is_no_log_is_one_sentence(fresh: Settings, file: Path, tmp_path: Path, kind: str) -> None:
    target = Path("/dev/null") if kind == "device" else tmp_path / "mail.log.1"
    if kind == "folder":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    for command in (("producer", "run", "--once", str(target)), ("producer", "replay", str(target))):
        environment = child_environment(tmp_path)
        settings = ["--settings", str(file)] if command[1] == "run" else []
        answer = subprocess.run(
            [LIUCUN, *command, *settings], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert answer.returncode == 2
        (sentence,) = answer.stderr.splitlines()
        assert str(target) in sentence
        assert not sentence.startswith("Traceback")


def test_a_backfill_of_another_program_s_log_says_so(fresh: Settings, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "mail.log.1"
    other.write_bytes(b"2026-11-24T09:00:00Z web nginx: GET / HTTP/1.1\n" * 20)
    answer = run(file, "producer", "run", "--once", str(other))
    assert answer.returncode == 0, answer.stderr
    assert "no line was understood" in answer.stderr
