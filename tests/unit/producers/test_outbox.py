"""The outbox: what is durable stays, what is torn goes, what is damaged stops the agent."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.platform.errors import SettingsError
from producers import outbox
from producers.errors import OutboxDamagedError, OutboxFullError, OutboxInUseError
from producers.outbox import Frame, Outbox


def frame(sequence: int, payload: bytes = b"x") -> Frame:
    """A frame with one record."""
    return Frame(
        kind="CHUNK",
        observed_time=1,
        reference_time=1,
        source_name="mail",
        argument="",
        fingerprint=b"f" * 32,
        fingerprint_bytes=10,
        from_offset=sequence,
        to_offset=sequence + 1,
        stream_position=sequence + 1,
        records=[payload],
        coverage=[],
        next_sequence=sequence + 1,
        last_record_id=b"i" * 16,
        next_coverage_sequence=0,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A new, empty outbox."""
    outbox.create(tmp_path / "outbox", "mx1", 1)
    return tmp_path / "outbox"


def _sequences(box: Outbox) -> list[int]:
    return [stored["from_offset"] for stored, _ in box.frames(box.start)]


def test_frames_come_back_in_order_and_only_when_durable(folder: Path) -> None:
    box = Outbox(folder)
    ends = [box.append(frame(number)) for number in range(5)]
    assert _sequences(box) == []
    box.sync()
    assert _sequences(box) == [0, 1, 2, 3, 4]
    assert [stored["from_offset"] for stored, _ in box.frames(ends[2])] == [3, 4]
    found = box.frame_ending_at(ends[3])
    assert found is not None
    assert found["from_offset"] == 3
    assert box.frame_ending_at(ends[3] + 1) is None
    box.close()
    again = Outbox(folder)
    assert _sequences(again) == [0, 1, 2, 3, 4]
    assert again.identity == outbox.identity(folder)
    again.close()


def test_second_agent_is_refused(folder: Path) -> None:
    box = Outbox(folder)
    with pytest.raises(OutboxInUseError, match="Another agent"):
        Outbox(folder)
    box.close()


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, 400))
def test_torn_tail_is_cut_off(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Whatever is missing at the end: whole frames before it stay, and the next append continues behind them."""
    folder = tmp_path_factory.mktemp("torn") / "outbox"
    outbox.create(folder, "mx1", 1)
    box = Outbox(folder)
    ends = [box.append(frame(number, b"payload")) for number in range(3)]
    box.close()
    (segment,) = folder.glob("segment-*")
    size = max(0, segment.stat().st_size - cut)
    os.truncate(segment, size)
    again = Outbox(folder)
    whole = [number for number, end in enumerate(ends) if end <= size]
    assert _sequences(again) == whole
    again.append(frame(9))
    again.sync()
    assert _sequences(again) == [*whole, 9]
    again.close()


def test_every_flipped_byte_inside_is_found(folder: Path) -> None:
    """A change in any byte before the last frame either stops the agent or cuts nothing that was durable unseen."""
    box = Outbox(folder)
    for number in range(3):
        box.append(frame(number))
    box.close()
    (segment,) = folder.glob("segment-*")
    good = segment.read_bytes()
    first_frame = 8 + int.from_bytes(good[:4], "big")
    for at in range(8, first_frame):  # behind the length and checksum of the first frame
        segment.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(OutboxDamagedError):
            Outbox(folder)


def test_missing_segment_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEGMENT_BYTES_MAX", 200)
    box = Outbox(folder)
    for number in range(12):
        box.append(frame(number))
    box.close()
    segments = sorted(folder.glob("segment-*"))
    assert len(segments) > 2
    segments[1].unlink()
    with pytest.raises(OutboxDamagedError, match="no segment"):
        Outbox(folder)


def test_forget_keeps_what_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEGMENT_BYTES_MAX", 200)
    box = Outbox(folder)
    ends = [box.append(frame(number)) for number in range(6)]
    box.sync()
    before = box.size_bytes
    box.forget(ends[3] - 1)
    assert box.size_bytes < before
    assert box.frame_ending_at(ends[3]) is not None
    with pytest.raises(OutboxDamagedError):
        list(box.frames(0))
    box.close()
    again = Outbox(folder)
    assert _sequences(again)[-1] == 5
    again.close()


def test_full_disk_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that stops half-way leaves the file as it was; the same frame may be given again."""
    box = Outbox(folder)
    box.append(frame(0))
    real_write = os.write

    def full(descriptor: int, data: bytes) -> int:
        real_write(descriptor, bytes(data[:7]))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outbox.os, "write", full)
    with pytest.raises(OutboxFullError, match="No space left"):
        box.append(frame(1))
    monkeypatch.undo()
    box.append(frame(1))
    box.sync()
    assert _sequences(box) == [0, 1]
    box.close()


def test_unusable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be used"):
        outbox.create(tmp_path / "file" / "outbox", "mx1", 1)


def test_damaged_identity_is_one_sentence(folder: Path) -> None:
    (folder / "outbox.json").write_text("{")
    with pytest.raises(OutboxDamagedError, match=r"outbox\.json"):
        Outbox(folder)


def test_retired_outbox_is_kept_whole(folder: Path) -> None:
    box = Outbox(folder)
    box.append(frame(0))
    box.close()
    aside = outbox.retire(folder)
    assert not outbox.exists(folder)
    kept = Outbox(aside)
    assert _sequences(kept) == [0]
    kept.close()
