"""A tree head as a text that can be signed (C2SP tlog-checkpoint): origin, size, root. The signature: notes.py."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from infra.proof.errors import NoteError
from infra.proof.merkle import HASH_BYTES
from infra.proof.notes import Signer, Verifier, open_note
from infra.proof.notes import sign as sign_note

SIZE_MAX: Final = 2**63 - 1
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which tree: whose, how many leaves, and their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines. Extension lines are allowed by the standard and not made here."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


def sign(checkpoint: Checkpoint, *signers: Signer) -> str:
    """The signed note."""
    return sign_note(checkpoint.text, *signers)


def parse(text: str) -> Checkpoint:
    """A checkpoint from its text; extension lines are ignored. NoteError when it is none."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0] or lines[-1]:
        raise NoteError("a checkpoint has an origin, a size and a root")
    if not _SIZE.fullmatch(lines[1]) or int(lines[1]) > SIZE_MAX:
        raise NoteError("a checkpoint's size is a decimal number without leading zeros")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("a checkpoint's root is base64") from None
    if len(root) != HASH_BYTES or base64.b64encode(root).decode("ascii") != lines[2]:
        raise NoteError("a checkpoint's root is a hash of 32 bytes")
    if any(not line for line in lines[3:-1]):
        raise NoteError("an extension line is empty")
    return Checkpoint(lines[0], int(lines[1]), root)


def verify(note: bytes, origin: str, keys: Iterable[Verifier]) -> Checkpoint:
    """The checkpoint in a signed note. NoteError unless it is of this log and a known key has signed it."""
    text, _ = open_note(note, keys)
    found = parse(text)
    if found.origin != origin:
        raise NoteError("the checkpoint is another log's")
    return found
