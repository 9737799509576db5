"""What a start makes durable before it signs, answers or erases."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.ledger.errors import StorageUnknownError
from infra.proof import checkpoint
from tests.unit.ledger.ledgers import LATER, append, filled, opened

FIRST = "0000000000"


class Killed(BaseException):
    """In the place of a kill."""


class Disk:
    """What was written and synced below a folder, and what was signed, in its order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.events: list[str] = []
        self._folder = folder
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._noting("sync", getattr(os, name)))
        monkeypatch.setattr(os, "pwrite", self._noting("erase", os.pwrite))
        real = checkpoint.sign

        def sign(*arguments: Any) -> str:
            self.events.append("sign")
            return real(*arguments)

        monkeypatch.setattr(checkpoint, "sign", sign)

    def _noting(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def noted(descriptor: int, *arguments: Any) -> Any:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self.events.append(f"{what} {path.relative_to(self._folder)}")
            return real(descriptor, *arguments)

        return noted


def killed_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The store stops there, as if killed."""

    def reached(name: str) -> None:
        if name == step:
            raise Killed

    monkeypatch.setattr("infra.ledger.store.reached", reached)


def test_what_was_never_synced_is_synced_before_it_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between write and sync: the next start reads the leaf from memory, and the disk need not have it."""
    settings = filled(tmp_path, 1)
    store = opened(settings)
    with monkeypatch.context() as patch:
        killed_at(patch, "ledger.leaf_written")
        with pytest.raises(Killed):
            append(store, 77)
    store.close()
    before = {name: (settings.folder / name).stat().st_mtime_ns for name in (f"leaves/{FIRST}", f"payloads/{FIRST}")}
    with monkeypatch.context() as patch:
        disk = Disk(patch, settings.folder)
        again = opened(settings)
        assert disk.events == [
            f"sync payloads/{FIRST}", "sync payloads", f"sync leaves/{FIRST}", "sync leaves", "sync .", "sign",
        ]  # fmt: skip
        assert all((settings.folder / name).stat().st_mtime_ns > then for name, then in before.items()), "pages dirty"
        assert append(again, 77) == 2
        assert again.publish()
        assert disk.events[-1] == "sync ."
    again.close()


def test_a_start_whose_syncs_fail_signs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    settings = filled(tmp_path, 1, publish=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        patch.setattr(checkpoint, "sign", lambda *_: pytest.fail("signed"))
        with pytest.raises(StorageUnknownError):
            opened(settings)
    opened(settings).close()


def test_nothing_is_erased_before_its_order_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut takes ERASED away, and the payload is gone without a word."""
    settings = filled(tmp_path, 3)
    store = opened(settings, LATER)
    with monkeypatch.context() as patch:
        killed_at(patch, "ledger.leaf_written")
        with pytest.raises(Killed):
            store.erase(2, "persons/li", "past its term")
    store.close()
    with monkeypatch.context() as patch:
        disk = Disk(patch, settings.folder)
        opened(settings).close()
        assert disk.events.index("sync leaves") < disk.events.index(f"erase payloads/{FIRST}")


def test_names_of_tiles_of_a_publication_that_was_interrupted_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = filled(tmp_path, 3)
    store = opened(settings)
    append(store, 50)
    note = (settings.folder / "checkpoint").read_bytes()
    store.publish()
    store.close()
    (settings.folder / "checkpoint").write_bytes(note)
    again = opened(settings)
    with monkeypatch.context() as patch:
        disk = Disk(patch, settings.folder)
        again.publish()
        assert {"sync tile/0/000.p", "sync tile/0", "sync tile", "sync ."} <= set(disk.events)
    again.close()
