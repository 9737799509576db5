"""One file of a log in zstd: by Python's module where there is one, by the program, or a clear word."""

import shutil
import subprocess
from pathlib import Path

import pytest

from producers import logfile
from producers.backfill import Backfill, FileReader
from producers.errors import InputError
from producers.follow import Chunk, Event, Lost
from producers.logfile import ends_well, fingerprint, is_plain, open_log, reaches, read_there_is
from tests.conftest import missing
from tests.unit.producers.lines import NOW, SOURCE
from tests.unit.producers.test_rotation import Reader, aged, closed, losses, restarted

__all__ = ["closed"]
LINES = b"".join(b"line %d %s\n" % (number, bytes([97 + number % 26]) * (number % 50)) for number in range(40_000))


@pytest.fixture(params=["module", "program"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read it; a way that this machine lacks is skipped."""
    if request.param == "module" and logfile._ZSTD_MODULE is None:
        pytest.skip("no Python module for zstd")
    if request.param == "program":
        monkeypatch.setattr(logfile, "_ZSTD_MODULE", None)
    return str(request.param)


def packed(path: Path, data: bytes = LINES, cut: int | None = None) -> Path:
    """A zstd file."""
    program = shutil.which("zstd")
    if program is None:
        missing("the program zstd")
    raw = subprocess.run([str(program), "-qc"], input=data, capture_output=True, check=True).stdout
    path.write_bytes(raw[:cut])
    return path


def test_it_reads_seeks_and_tells_like_a_file(tmp_path: Path, way: str) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(LINES)
    with open_log(packed(tmp_path / "mail.log.1.zst")) as file, open_log(plain) as same:
        assert not is_plain(file)
        assert fingerprint(file) == fingerprint(same)
        assert read_there_is(file, len(LINES) + 10) == LINES
        assert ends_well(file)
        assert reaches(file, 700_000)
        assert read_there_is(file, 100) == LINES[700_000:700_100]
        assert reaches(file, 5)
        assert read_there_is(file, 10) == LINES[5:15]
        assert not reaches(file, len(LINES) + 1)


def test_renamed_and_deleted_it_is_read_on(tmp_path: Path, way: str) -> None:
    path = packed(tmp_path / "mail.log.1.zst")
    with open_log(path) as file:
        assert read_there_is(file, 10) == LINES[:10]
        path.rename(tmp_path / "mail.log.2.zst")
        (tmp_path / "mail.log.2.zst").unlink()
        assert read_there_is(file, len(LINES)) == LINES[10:]


@pytest.mark.parametrize("cut", [10, 5000, -4])
def test_of_a_cut_one_what_there_is_is_read_and_the_rest_is_one_loss(tmp_path: Path, way: str, cut: int) -> None:
    files = [packed(tmp_path / "mail.log.2.zst", cut=cut), packed(tmp_path / "mail.log.1.zst", b"next\n")]
    reader = FileReader(Backfill("x", tmp_path / "once", SOURCE, files), tmp_path / "live", [])
    events: list[Event] = []
    while (event := reader.poll(NOW)) is not None:
        events.append(event)
    assert [event for event in events if not isinstance(event, Chunk)] == [Lost("mail", "file-damaged")]
    data = b"".join(event.data for event in events if isinstance(event, Chunk))
    assert data.endswith(b"next\n")
    assert LINES.startswith(data.removesuffix(b"next\n"))


def test_rotated_ones_are_followed(tmp_path: Path, way: str) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    reader.drain()
    with path.open("ab") as file:
        file.write(b"a2\n")
    packed(tmp_path / "mail.log-20261123.zst", path.read_bytes())
    packed(tmp_path / "mail.log-20261124.zst", LINES)
    aged(tmp_path / "mail.log-20261123.zst", -100)
    aged(tmp_path / "mail.log-20261124.zst", 100)
    path.write_bytes(b"z1\n")
    back = restarted(reader)
    assert back.drain() == b"a2\n" + LINES + b"z1\n"
    assert losses(back) == []


def test_where_nothing_can_unpack_it_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = packed(tmp_path / "mail.log.1.zst")
    monkeypatch.setattr(logfile, "_ZSTD_MODULE", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="compressed with zstd, and nothing here can unpack it") as caught:
        open_log(path)
    assert "backports.zstd" in caught.value.advice
