"""A new ledger: `genesis new` on its host, three signatures, `init`.

The log's key is made with the genesis, so that all three persons sign it too. Killed half-way, `init` may be run again:
a ledger exists from its first checkpoint on.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.ledger import keys as key_files
from infra.ledger import leaves, payloads
from infra.ledger.entries import prepare, time_text
from infra.ledger.errors import GenesisRefusedError
from infra.ledger.files import Journal, lock
from infra.ledger.publish import CHECKPOINT, Publication, publish
from infra.ledger.tree import Tree
from infra.platform.clock import Clock
from infra.platform.durable import make_folder, sync_folder, write_atomically
from infra.platform.errors import SettingsError
from infra.platform.settings import Ledger
from infra.platform.steps import reached
from infra.proof import canonical, checkpoint, genesis, leaf, statements
from infra.proof.checkpoint import Checkpoint
from infra.proof.errors import ProofError
from infra.proof.genesis import Genesis
from infra.proof.kinds import KINDS

ACTOR: Final = "services/ledger"
LOG_KEY_FILE: Final = "log.vkey"
GENESIS_BYTES_MAX: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Person:
    """One of the three, as given on the command line."""

    name: str
    display_name: str
    roles: Sequence[str]
    public_key: bytes


def new(settings: Ledger, clock: Clock, policy_version: str, term_days: int, persons: Sequence[Person]) -> Genesis:
    """A genesis to be signed. Makes the log's key if it is not there yet. GenesisRefusedError, SettingsError."""
    if (settings.keys_dir / key_files.LOG_KEY).exists():
        signer = key_files.load_log_key(settings.keys_dir, settings.origin)
    else:
        signer = key_files.make_log_key(settings.keys_dir, settings.origin)
    statement = {
        "type": genesis.TYPE,
        "origin": settings.origin,
        "log_key": str(signer.verifier),
        "policy_version": policy_version,
        "erase_after_days": dict.fromkeys(genesis.TERM_TYPES, term_days),
        "created_time": time_text(clock.now()),
        "persons": [
            {
                "name": person.name,
                "display_name": person.display_name,
                "roles": list(person.roles),
                "public_key": person.public_key.hex(),
            }
            for person in persons
        ],
    }
    return _parsed({"statement": statement, "signatures": {}})


def sign(found: Genesis, name: str, key: Ed25519PrivateKey) -> Genesis:
    """Add one person's signature. GenesisRefusedError when it is not that person's key."""
    if found.public_keys.get(name) != key.public_key().public_bytes_raw():
        raise GenesisRefusedError(f"This is not the key of {name} in the genesis.", "Sign with the key named there.")
    signature = statements.sign(key, found.statement).hex()
    return _parsed({"statement": found.statement, "signatures": {**found.signatures, name: signature}})


def read(path: Path) -> Genesis:
    """A genesis file; white space does not matter. GenesisRefusedError, SettingsError."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(GENESIS_BYTES_MAX + 1))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from None
    except ValueError:
        raise GenesisRefusedError(f"{path} is not JSON.", "Make one with `liucun ledger genesis new`.") from None
    return _parsed(document)


def write(path: Path, found: Genesis) -> None:
    """A genesis file, for people to read before they sign. SettingsError."""
    document = {"statement": found.statement, "signatures": found.signatures}
    try:
        write_atomically(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).", "Check the path.") from None


def init(settings: Ledger, clock: Clock, found: Genesis) -> Checkpoint:
    """Make the ledger and its first entry. GenesisRefusedError for an incomplete genesis or an existing ledger."""
    if unsigned := _unsigned(found):
        raise GenesisRefusedError(f"{unsigned[0]} has not signed the genesis.", "Use `liucun ledger genesis sign`.")
    signer = key_files.load_log_key(settings.keys_dir, settings.origin)
    if found.log_key != signer.verifier:
        raise GenesisRefusedError(
            f"The genesis names another log key than {settings.keys_dir} holds.", "Run `genesis new` on this host."
        )
    folder = settings.folder
    _make(folder)
    held = lock(folder)
    try:
        _clear_unfinished(folder)
        if (settings.keys_dir / key_files.WRAPPING_KEY).exists():
            wrapping = key_files.load_wrapping_key(settings.keys_dir)
        else:
            wrapping = key_files.make_wrapping_key(settings.keys_dir)
        reached("ledger.keys_made")
        members: dict[str, Any] = {"statement": found.statement, "signatures": found.signatures}
        request_id, secret = os.urandom(payloads.REQUEST_ID_BYTES), os.urandom(payloads.SECRET_BYTES)
        entry = prepare(clock.now(), request_id, "GENESIS", ACTOR, members, own=True)
        record = payloads.seal(wrapping, 0, request_id, secret, entry.payload)
        one = leaf.encode(KINDS["GENESIS"], leaf.commitment(secret[: leaf.SALT_BYTES], entry.payload))
        for name, per_file, data in (
            (payloads.FOLDER, payloads.PER_FILE, record),
            (leaves.FOLDER, leaves.PER_FILE, leaves.encode(0, one)),
        ):
            journal = Journal(folder / name, per_file, 0, 0)
            journal.append([data])
            journal.sync()
            journal.close()
            reached(f"ledger.init_{name}")
        write_atomically(folder / LOG_KEY_FILE, f"{signer.verifier}\n".encode())
        tree = Tree()
        tree.append(one)
        head = Checkpoint(settings.origin, 1, tree.root)
        publish(folder, Publication(1, checkpoint.sign(head, signer), [], tree.partial()))
    finally:
        held.close()
    return head


def public_key(path: Path) -> bytes:
    """An Ed25519 public key from a PEM file, 32 bytes. SettingsError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from None
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(
            f"{path} is not an Ed25519 public key in PEM.", "openssl pkey -in KEY -pubout makes one from a private key."
        )
    return key.public_bytes_raw()


def private_key(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """An Ed25519 private key from a PEM file. SettingsError; TypeError when it needs a passphrase and has none."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from None
    except ValueError:
        raise SettingsError(f"{path} does not open.", "Check the file and its passphrase.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{path} is not an Ed25519 private key.", "openssl genpkey -algorithm ed25519 makes one.")
    return key


def _make(folder: Path) -> None:
    try:
        for path in (folder, folder / payloads.FOLDER, folder / leaves.FOLDER):
            make_folder(path)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be made ({error.strerror}).", "Check ledger.folder.") from None


def _clear_unfinished(folder: Path) -> None:
    """Take away what an `init` that was killed has left. GenesisRefusedError when there is a ledger."""
    journals = [path for name in (payloads.FOLDER, leaves.FOLDER) for path in sorted((folder / name).iterdir())]
    tiles = [path for path in folder.glob("tile/**/*") if path.is_file()]
    entries = leaves.scan(folder / leaves.FOLDER).count
    if (folder / CHECKPOINT).exists() or entries > 1 or len(tiles) > 2:
        raise GenesisRefusedError(f"There is a ledger in {folder}.", "A ledger is begun once, and never again.")
    for path in (*journals, *tiles):
        path.unlink()
        sync_folder(path.parent)


def _parsed(document: Any) -> Genesis:
    try:
        canonical.encode(document)
        found = genesis.parse(document)
        found.unsigned()
    except ValueError as error:
        raise GenesisRefusedError(f"The genesis is not valid: {error}.", "See docs/spec/proof-formats.md.") from None
    return found


def _unsigned(found: Genesis) -> list[str]:
    try:
        return found.unsigned()
    except ProofError as error:
        raise GenesisRefusedError(f"The genesis is not valid: {error}.", "Have it signed again.") from None
