"""PUBLISHED: tiles, then the checkpoint that needs them, each written whole or not at all.

A tile never changes once it is written. Partial tiles stay until the full one is published, for readers of an older
checkpoint.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.ledger.errors import LedgerDamagedError
from infra.ledger.tree import File
from infra.platform.durable import make_folder, sync_folder, write_atomically
from infra.platform.steps import reached
from infra.proof.tiles import TILE_WIDTH

CHECKPOINT: Final = "checkpoint"


@dataclass(frozen=True, slots=True)
class Publication:
    """A tree head and the files that it needs beyond those of the last one."""

    size: int
    note: str
    full: list[File]
    partial: list[File]


def publish(folder: Path, publication: Publication) -> None:
    """Write it, durably. OSError: nothing of it counts, and it may be tried again. LedgerDamagedError."""
    touched: set[Path] = set()
    for tile, data in (*publication.full, *publication.partial):
        path = folder / tile.path
        if path.exists():  # a publication that was interrupted
            if path.read_bytes() != data:
                raise LedgerDamagedError(
                    f"The tile {path} is not the one that was written.",
                    "Run `liucun ledger fsck` and look who has access.",
                )
            touched.update(one for one in path.parents if one.is_relative_to(folder))  # its name may not be durable
            continue
        make_folder(path.parent)
        write_atomically(path, data, sync_name=False)
        touched.add(path.parent)
    for parent in sorted(touched):
        sync_folder(parent)
    reached("ledger.tiles_written")
    write_atomically(folder / CHECKPOINT, publication.note.encode())
    reached("ledger.published")
    for tile, _ in publication.full:
        assert tile.width == TILE_WIDTH
        shutil.rmtree(folder / f"{tile.path}.p", ignore_errors=True)
