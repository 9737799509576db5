"""What an auditor sees through the read socket. Each look is an entry first: no entry, no look."""

import getpass
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from infra.ledger.client import Entry, LedgerClient
from infra.platform.errors import FoundError, SettingsError
from infra.platform.settings import Ledger
from infra.proof import canonical, checkpoint, leaf, merkle
from infra.proof.errors import NoteError, ProofError
from infra.proof.kinds import KINDS, TYPE_NAMES
from infra.proof.notes import Verifier

PAGE: Final = 1000
EXPORT_TYPE: Final = "liucun-export-v1"


class Desk:
    """One auditor at one ledger."""

    def __init__(self, settings: Ledger, actor: str | None) -> None:
        """Nothing is connected yet."""
        self._client = LedgerClient(settings)
        self._origin = settings.origin
        self._actor = actor or _unix_user()

    def entries(self, start: int, limit: int, kind: str | None) -> Iterator[Entry]:
        """Entries [start, start + limit) as far as there are any, of one kind if given; a LEDGER_READ comes first."""
        if kind is not None and kind not in KINDS:
            raise SettingsError(f"{kind} is not a kind of entry.", f"Kinds are {', '.join(KINDS)}.")
        end = min(start + limit, self._client.size())
        self._client.append("LEDGER_READ", self._actor, purpose="list", start=start, limit=limit, only_kind=kind)
        while start < end:
            page = self._client.read(start, min(PAGE, end - start))
            yield from (entry for entry in page if kind is None or entry.kind == kind)
            start += len(page)

    def show(self, index: int) -> dict[str, Any]:
        """One entry with its leaf, what opens it, and a proof that was checked here. FoundError when it fails."""
        if index >= self._client.size():
            raise SettingsError(f"There is no entry {index}.", "See `liucun audit list`.")
        self._client.append("LEDGER_READ", self._actor, purpose="show", start=index, limit=1)
        (entry,) = self._client.open(index, 1)
        one, proof, note = self._client.inclusion(index)
        (genesis,) = self._client.read(0, 1)
        assert genesis.payload is not None  # it is never erased
        try:
            head = checkpoint.verify(
                note.encode(), self._origin, [Verifier.parse(genesis.payload["statement"]["log_key"])]
            )
            merkle.verify_inclusion(merkle.leaf_hash(entry.leaf), index, head.size, proof, head.root)
        except (NoteError, ProofError) as error:
            raise FoundError(f"Entry {index} is not proved: {error}.", "Run `liucun audit verify`.") from None
        if entry.salt is not None and leaf.commitment(entry.salt, entry.payload or b"") != one[2:]:
            raise FoundError(f"The payload of entry {index} is not the one of its leaf.", "Run `liucun audit verify`.")
        return {
            "index": index,
            "type": TYPE_NAMES[entry.leaf[1]],
            "payload": None if entry.payload is None else canonical.decode(entry.payload),
            "leaf": entry.leaf.hex(),
            "salt": None if entry.salt is None else entry.salt.hex(),
            "inclusion_proof": [each.hex() for each in proof],
            "checkpoint": note,
        }

    def export(self, output: Path) -> int:
        """Write every entry to a new file, mode 0600; how many. A LEDGER_EXPORTED comes first, and is not in it."""
        size = self._client.size()
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise SettingsError(
                f"{output} cannot be written ({error.strerror}).", "Name a file that is not there yet."
            ) from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            self._client.append("LEDGER_EXPORTED", self._actor, start=0, limit=size)
            head = {"type": EXPORT_TYPE, "entries": size, "checkpoint": self._client.checkpoint()}
            file.write(json.dumps(head, ensure_ascii=False) + "\n")
            start = 0
            while start < size:
                for entry in self._client.open(start, min(PAGE, size - start)):
                    document = {
                        "index": entry.index,
                        "leaf": entry.leaf.hex(),
                        "salt": None if entry.salt is None else entry.salt.hex(),
                        "payload": None if entry.payload is None else entry.payload.decode(),
                    }
                    file.write(json.dumps(document, ensure_ascii=False) + "\n")
                    start = entry.index + 1
            file.flush()
            os.fsync(file.fileno())
        return size


def line(entry: Entry) -> str:
    """An entry for people: index, time, kind, actor."""
    if entry.payload is None:
        return f"{entry.index:>8}  (erased)                     {entry.kind}"
    return f"{entry.index:>8}  {entry.payload['time']}  {entry.kind:<24} {entry.payload['actor']}"


def _unix_user() -> str:
    """The Unix user as an actor; a name that is no resource name becomes the number."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return f"users/{name if re.fullmatch(r'[A-Za-z0-9._-]{1,64}', name) else os.getuid()}"
