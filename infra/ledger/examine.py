"""Everything computed anew from the files: `ledger fsck` and `audit verify`. Reads only.

1. The checkpoint is this log's, signed by its key; the key is the one that the genesis names.
2. The leaves are whole, and at least as many as the checkpoint counts.
3. Every tile and bundle of the checkpoint's tree is there and is what the leaves give; so is every other one that lies
   there (older, partial; or newer, from a publication that was interrupted).
4. The root is the checkpoint's.
5. Every leaf has its payload: it opens, is canonical, of the leaf's type, and what the leaf commits to. An erased one
   is named by an ERASED entry, and every ERASED entry has erased. Without keys only checksums are compared.
6. The genesis is signed by its three persons.
7. No other file lies in the folder.
8. (verify) The running writer's published tree has this one in it.

Files that carry no claim: `lock`, which is empty. What a kill leaves behind (a torn append, a payload without a leaf,
`*.new`) is noted, and is no finding: the next start takes it away. While a writer runs, only what its checkpoint
counts is looked at: what lies behind moves. Only ERASED entries are looked for there, when a payload is gone.
"""

import errno
import os
from datetime import date, tzinfo
from pathlib import Path
from typing import Any, Final

from infra.ledger import keys as key_files
from infra.ledger import leaves, payloads
from infra.ledger.client import LedgerClient, LedgerUnavailableError
from infra.ledger.errors import LedgerDamagedError
from infra.ledger.examine_payloads import PayloadCheck
from infra.ledger.examine_tiles import TileCheck
from infra.ledger.files import in_use, journal_files, lock
from infra.ledger.findings import Findings
from infra.ledger.init import LOG_KEY_FILE
from infra.ledger.publish import CHECKPOINT
from infra.platform.durable import NEW_SUFFIX
from infra.platform.errors import LiucunError, SettingsError
from infra.platform.settings import Ledger
from infra.proof import checkpoint, merkle
from infra.proof.checkpoint import Checkpoint
from infra.proof.errors import NoteError, ProofError
from infra.proof.notes import Verifier

NO_CLAIM: Final = frozenset({"lock"})


def fsck(settings: Ledger) -> dict[str, Any]:
    """1 to 7, with the keys and under the lock. LedgerInUseError while a writer runs, SettingsError without keys."""
    keys = key_files.load(settings.keys_dir, settings.origin)
    if not (settings.folder / CHECKPOINT).exists() and not (settings.folder / leaves.FOLDER).exists():
        raise SettingsError(f"There is no ledger in {settings.folder}.", "Check ledger.folder.")
    held = lock(settings.folder)
    try:
        return _examine(settings.folder, settings.origin, keys.log.verifier, PayloadCheck(keys.wrapping), live=False)
    finally:
        held.close()


def verify(settings: Ledger, *, folder: Path | None, key: str | None, day: date | None, zone: tzinfo) -> dict[str, Any]:
    """1 to 8, of a ledger in use or of a copy; with what keys can be read. SettingsError."""
    where = folder or settings.folder
    _check_readable(where)
    verifier = _verifier(settings, where, key)
    try:
        wrapping = key_files.load_wrapping_key(settings.keys_dir)
    except SettingsError:
        if day is not None:
            raise
        wrapping = None
    if isinstance(verifier, str):
        findings = Findings()
        findings.add(LOG_KEY_FILE, verifier)
        return {"ok": False, "folder": str(where), "findings": findings.found, "notes": []}
    check = PayloadCheck(wrapping, day, zone)
    report = _examine(where, settings.origin, verifier, check, live=in_use(where))
    report["writer"] = _compare_with_writer(settings, verifier, report)
    report["ok"] = not report["findings"]
    return report


def _check_readable(folder: Path) -> None:
    """What this user may not read is no damage. SettingsError for that, and when there is no folder."""
    advice = "Run it as the ledger's user, or on a copy: see docs/runbook.md, Auditors."
    try:
        if not folder.is_dir():
            raise SettingsError(f"There is no ledger in {folder}.", "Check --folder or ledger.folder.")
        for place, folders, names in os.walk(folder, onerror=_raise_denied):
            for name in (*folders, *names):
                path = Path(place) / name
                if not os.access(path, os.R_OK, effective_ids=True) and os.path.lexists(path):  # else gone meanwhile
                    raise PermissionError(errno.EACCES, "Permission denied", str(path))
    except PermissionError as error:
        raise SettingsError(f"{error.filename} may not be read by this user.", advice) from None


def _raise_denied(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise error


def sentences(report: dict[str, Any]) -> list[str]:
    """A report for people."""
    lines = [f"{one['place']}: {one['message']}" for one in report["findings"]]
    lines += [f"note: {text}" for text in report["notes"]]
    if report["ok"]:
        lines.append(
            f"{report['entries']} entries, {report['published']} of them published, {report['erased']} erased: "
            f"all as written ({report['payloads']})."
        )
    return lines


def _examine(folder: Path, origin: str, verifier: Verifier, check: PayloadCheck, *, live: bool) -> dict[str, Any]:
    findings = Findings()
    head = _checkpoint(folder, origin, verifier, findings)
    published = head.size if head else 0
    count = published if live else _leaves_at_rest(folder, published, findings)
    tile_check = TileCheck(folder, published, findings)
    try:
        for index, one in enumerate(leaves.read(folder / leaves.FOLDER, 0, count)):
            tile_check.take(one)
            check.take(folder / payloads.FOLDER, index, one, findings)
    except LedgerDamagedError as error:
        findings.add(leaves.FOLDER, error.message)
    tile_check.end()
    if live:
        check.orders_behind(folder, count)
    check.end(str(verifier), findings)
    if head is not None and tile_check.published_root not in (None, head.root):
        findings.add(CHECKPOINT, "its root is not that of the leaves")
    _log_key(folder, verifier, findings)
    if not live:
        check.behind(folder / payloads.FOLDER, count, findings)
        _other_files(folder, tile_check.seen | check.seen, findings)
    return {
        "ok": not findings.found,
        "folder": str(folder),
        "origin": origin,
        "entries": count,
        "published": published,
        "root": head.root.hex() if head else None,
        "payloads": check.level,
        "opened": check.opened,
        "erased": check.erased_count,
        "kinds": dict(sorted(check.kinds.items())),
        "findings": findings.found,
        "notes": findings.notes,
    }


def _leaves_at_rest(folder: Path, published: int, findings: Findings) -> int:
    """2. How many leaves there are."""
    try:
        scan = leaves.scan(folder / leaves.FOLDER)
    except (LedgerDamagedError, OSError) as error:
        findings.add(leaves.FOLDER, getattr(error, "message", type(error).__name__))
        return 0
    if scan.torn_bytes:
        findings.note(f"{scan.torn_bytes} bytes of an append that was torn")
    if scan.count < published:
        findings.add(leaves.FOLDER, f"{scan.count} leaves; the checkpoint counts {published}")
    return scan.count


def _checkpoint(folder: Path, origin: str, verifier: Verifier, findings: Findings) -> Checkpoint | None:
    """1."""
    try:
        return checkpoint.verify((folder / CHECKPOINT).read_bytes(), origin, [verifier])
    except OSError as error:
        findings.add(CHECKPOINT, f"cannot be read ({error.strerror})")
    except NoteError as error:
        findings.add(CHECKPOINT, str(error))
    return None


def _verifier(settings: Ledger, folder: Path, key: str | None) -> Verifier | str:
    """The key to believe; a text when the folder's own is none."""
    if key is not None:
        try:
            return Verifier.parse(key)
        except NoteError as error:
            raise SettingsError(f"--key is {error}.", "`liucun ledger init` printed it.") from None
    try:
        return key_files.load_log_key(settings.keys_dir, settings.origin).verifier
    except SettingsError:
        pass
    try:
        return Verifier.parse((folder / LOG_KEY_FILE).read_text(encoding="utf-8").removesuffix("\n"))
    except (OSError, ValueError) as error:
        return f"the log's key cannot be read ({type(error).__name__})"


def _log_key(folder: Path, verifier: Verifier, findings: Findings) -> None:
    """1, second half."""
    try:
        text = (folder / LOG_KEY_FILE).read_bytes()
    except OSError as error:
        findings.add(LOG_KEY_FILE, f"cannot be read ({error.strerror})")
        return
    if text != f"{verifier}\n".encode():
        findings.add(LOG_KEY_FILE, "is not the log's key")


def _other_files(folder: Path, seen: set[str], findings: Findings) -> None:
    """7."""
    seen |= {f"{leaves.FOLDER}/{path.name}" for path in _journal(folder)}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in seen or name in (CHECKPOINT, LOG_KEY_FILE):
            continue
        if name in NO_CLAIM:
            if path.stat().st_size:
                findings.add(name, "is not empty")
        elif name.endswith(NEW_SUFFIX):
            findings.note(f"{name} is left from a write that was interrupted")
        else:
            findings.add(name, "does not belong to a ledger")


def _journal(folder: Path) -> list[Path]:
    try:
        return journal_files(folder / leaves.FOLDER)
    except (LedgerDamagedError, OSError):
        return []  # said already by 2


def _compare_with_writer(settings: Ledger, verifier: Verifier, report: dict[str, Any]) -> dict[str, Any] | None:
    """8. None when no writer answers."""
    size, root = report["published"], report["root"]
    client = LedgerClient(settings, patient=False)
    try:
        if not size:
            return None
        committed = checkpoint.verify(client.checkpoint().encode(), settings.origin, [verifier])
        proof, note = client.consistency(size)
        published = checkpoint.verify(note.encode(), settings.origin, [verifier])
        merkle.verify_consistency(size, bytes.fromhex(root), published.size, published.root, proof)
    except LedgerUnavailableError:
        return None
    except (NoteError, ProofError, LiucunError) as error:
        report["findings"].append({"place": "writer", "message": f"the running writer has another tree: {error}"})
        return {"agrees": False}
    finally:
        client.close()
    return {"agrees": True, "committed": committed.size, "published": published.size}
