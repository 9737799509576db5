"""Payloads against leaves: opened where the keys can be read, else only their checksums."""

import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import Any

from infra.ledger import leaves, payloads
from infra.ledger.entries import time_of
from infra.ledger.errors import LedgerDamagedError
from infra.ledger.files import name_of
from infra.ledger.findings import Findings
from infra.ledger.payloads import PayloadError, Record
from infra.platform.clock import day_of
from infra.proof import canonical, genesis, leaf
from infra.proof.errors import CanonicalError, ProofError
from infra.proof.kinds import KINDS, TYPES


class PayloadCheck:
    """Takes all leaves in order."""

    def __init__(self, wrapping_key: bytes | None, day: date | None = None, zone: tzinfo = UTC) -> None:
        """`day`: count and report only the entries of that day of `zone`; all are opened to know their day."""
        self._key = wrapping_key
        self._day = day
        self._zone = zone
        self._file: list[Record] = []
        self._ordered: dict[int, int] = {}  # erased entry -> its ERASED entry
        self._gone: set[int] = set()
        self._genesis: Any = None
        self.kinds: Counter[str] = Counter()
        self.opened = 0
        self.seen: set[str] = set()

    @property
    def level(self) -> str:
        """How well payloads were checked."""
        return "opened" if self._key is not None else "checksums only: the keys cannot be read"

    @property
    def erased_count(self) -> int:
        """How many payloads are gone."""
        return len(self._gone)

    def take(self, folder: Path, index: int, one: bytes, findings: Findings) -> None:
        """The next leaf's payload. `folder`: the journal's."""
        number, offset = divmod(index, payloads.PER_FILE)
        name = f"{payloads.FOLDER}/{name_of(number)}"
        if offset == 0:
            self.seen.add(name)
            try:
                self._file = payloads.read(folder / name_of(number))
            except LedgerDamagedError as error:
                self._file = []
                findings.add(name, error.message)
        if offset >= len(self._file):
            findings.add(f"entry {index}", "has a leaf and no payload")
            return
        try:
            try:
                self._check(index, one, self._file[offset])
            except PayloadError:  # read in the middle of an erasure, perhaps: what is damaged stays so
                self._file = payloads.read(folder / name_of(number))
                self._check(index, one, self._file[offset])
        except (PayloadError, CanonicalError, ProofError, LedgerDamagedError, IndexError) as error:
            findings.add(f"entry {index}", str(error))

    def orders_behind(self, folder: Path, count: int) -> None:
        """Of a ledger in use: erasures whose ERASED entry lies behind its `count` leaves. `folder`: the ledger's."""
        if self._key is None or self._gone <= self._ordered.keys():
            return
        # ERASED is durable before its payload goes. The journal ends, or is in the middle of a write, where none reads.
        with suppress(LedgerDamagedError):
            for index, one in enumerate(leaves.read(folder / leaves.FOLDER, count, sys.maxsize), count):
                if one[1] == TYPES["ERASED"]:
                    self._order_of(folder / payloads.FOLDER, index, one)

    def _order_of(self, folder: Path, index: int, one: bytes) -> None:
        assert self._key is not None
        number, offset = divmod(index, payloads.PER_FILE)
        with suppress(PayloadError, CanonicalError, IndexError, KeyError, TypeError, ValueError):
            salt, data = payloads.unseal(self._key, index, payloads.read(folder / name_of(number))[offset])
            target = int(canonical.decode(data)["index"])
            if leaf.commitment(salt, data) == one[2:] and target in self._gone:
                self._ordered[target] = index

    def end(self, log_key: str, findings: Findings) -> None:
        """After the last leaf: the erasures, and the genesis."""
        if self._key is None:
            return
        for index in sorted(self._gone - self._ordered.keys()):
            findings.add(f"entry {index}", "its payload is gone and no ERASED entry says so")
        for index in sorted(self._ordered.keys() - self._gone):
            findings.note(f"entry {index} is ordered to be erased; the next start erases it")
        self._check_genesis(log_key, findings)

    def behind(self, folder: Path, count: int, findings: Findings) -> None:
        """What lies behind the payloads of `count` leaves, in a ledger at rest."""
        last, offset = divmod(count, payloads.PER_FILE)
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            name = f"{payloads.FOLDER}/{path.name}"
            if path.name == name_of(last) or (path.name > name_of(last) and path.name.isdigit()):
                self.seen.add(name)
                kept = payloads.read(path)[: offset if path.name == name_of(last) else 0]
                end = kept[-1].offset + len(kept[-1].data) if kept else 0
                if behind := path.stat().st_size - end:
                    findings.note(f"{name} has {behind} bytes without a leaf: never committed")
            elif name in self.seen:
                records = payloads.read(path)[: payloads.PER_FILE]
                if records and path.stat().st_size != records[-1].offset + len(records[-1].data):
                    findings.add(name, "has bytes behind its last payload")

    def _check(self, index: int, one: bytes, record: Record) -> None:
        record.check()
        if record.erased:
            self._gone.add(index)
        elif self._key is not None:
            self._open(index, one, record)

    def _open(self, index: int, one: bytes, record: Record) -> None:
        assert self._key is not None
        salt, data = payloads.unseal(self._key, index, record)
        if leaf.commitment(salt, data) != one[2:]:
            raise PayloadError("the payload is not the one of its leaf")
        payload = canonical.decode(data)
        kind = payload.get("kind") if isinstance(payload, dict) else None
        if KINDS.get(str(kind)) != one[1]:
            raise PayloadError("the payload's kind is not of the leaf's type")
        if (kind == "GENESIS") != (index == 0):
            raise PayloadError("the genesis is the first entry and no other")
        if kind == "GENESIS":
            self._genesis = {name: payload.get(name) for name in ("statement", "signatures")}
        if one[1] == TYPES["ERASED"]:
            self._ordered[int(payload["index"])] = index
        if self._day is None or day_of(time_of(payload["time"]), self._zone) == self._day:
            self.kinds[str(kind)] += 1
            self.opened += 1

    def _check_genesis(self, log_key: str, findings: Findings) -> None:
        """6."""
        if self._genesis is None:
            return  # said already: entry 0 did not open
        try:
            found = genesis.parse(self._genesis)
            if unsigned := found.unsigned():
                findings.add("entry 0", f"{unsigned[0]} has not signed the genesis")
            if str(found.log_key) != log_key:
                findings.add("entry 0", "the genesis names another log key")
        except ProofError as error:
            findings.add("entry 0", f"the genesis is not valid: {error}")
