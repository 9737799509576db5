"""Sealed files are there after a power cut."""

import os
from pathlib import Path

import pytest

from query_service.vault import Vault


def test_a_sealed_file_is_durable_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Vault(tmp_path / "documents").write("group", "name", b"content", b"what")
    assert {tmp_path, tmp_path / "documents", tmp_path / "documents" / "group"} <= set(synced)
