"""docs/spec/proof-formats.md against itself and against our code: a second implementation, written from the page alone.

After a change of the page's inputs: python -m tests.contract.test_proof_formats
"""

import base64
import json
import re
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from infra.ledger import frames, leaves, payloads
from infra.proof import canonical, checkpoint, genesis, kinds, leaf, merkle, notes, statements, tiles
from infra.proof.checkpoint import Checkpoint
from tests.contract.test_size import REPOSITORY

PAGE = REPOSITORY / "docs" / "spec" / "proof-formats.md"
_BLOCK = re.compile(r"```json vector (\w+)\n(.*?)\n```", re.DOTALL)


def text_of(value: Any) -> str:
    """The canonical text of a value."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{text_of(key)}:{text_of(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    if isinstance(value, str):
        short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
        return '"' + "".join(short.get(ord(c), f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'
    words = {"True": "true", "False": "false", "None": "null"}
    return words.get(str(value), str(value))


def of_canonical(given: Any) -> str:
    """Section 1."""
    return text_of(given)


def of_leaf(given: dict[str, Any]) -> dict[str, str]:
    """Section 3."""
    committed = sha256(b"liucun-leaf-v1\x00" + bytes.fromhex(given["salt"]) + given["payload"].encode()).digest()
    data = b"\x01" + bytes([given["type_byte"]]) + committed
    return {"commitment": committed.hex(), "leaf": data.hex(), "leaf_hash": sha256(b"\x00" + data).hexdigest()}


def _root(hashes: list[bytes]) -> bytes:
    if len(hashes) <= 1:
        return hashes[0] if hashes else sha256(b"").digest()
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\x01" + _root(hashes[:split]) + _root(hashes[split:])).digest()


def _path(index: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return [*_path(index, hashes[:split]), _root(hashes[split:])]
    return [*_path(index - split, hashes[split:]), _root(hashes[:split])]


def _subproof(old: int, hashes: list[bytes], whole: bool) -> list[bytes]:
    if old == len(hashes):
        return [] if whole else [_root(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= split:
        return [*_subproof(old, hashes[:split], whole), _root(hashes[split:])]
    return [*_subproof(old - split, hashes[split:], False), _root(hashes[:split])]


def of_tree(given: dict[str, Any]) -> dict[str, Any]:
    """Section 4, as RFC 9162 defines it."""
    hashes = [sha256(b"\x00" + bytes.fromhex(one)).digest() for one in given["leaves"]]
    return {
        "root": _root(hashes).hex(),
        "old_root": _root(hashes[: given["old"]]).hex(),
        "inclusion": [one.hex() for one in _path(given["index"], hashes)],
        "consistency": [one.hex() for one in _subproof(given["old"], hashes, True)],
    }


def of_paths(given: list[list[Any]]) -> list[str]:
    """Section 4."""
    found = []
    for level, number, width in given:
        groups = f"{number:,}".split(",")
        groups = [groups[0].zfill(3), *groups[1:]]
        name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        found.append(f"tile/{level}/{name}" + ("" if width == 256 else f".p/{width}"))
    return found


def of_leaf_record(given: dict[str, Any]) -> str:
    """Section 4."""
    data = bytes.fromhex(given["leaf"])
    return (data + zlib.crc32(given["index"].to_bytes(8, "big") + data).to_bytes(4, "big")).hex()


def _keys(seed: str, name: str) -> tuple[Ed25519PrivateKey, bytes, str]:
    """Section 5: key, key id, and the text form of the public key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    public = b"\x01" + key.public_key().public_bytes_raw()
    key_id = sha256(name.encode() + b"\n" + public).digest()[:4]
    return key, key_id, f"{name}+{key_id.hex()}+{base64.b64encode(public).decode()}"


def of_checkpoint(given: dict[str, Any]) -> dict[str, str]:
    """Section 5."""
    key, key_id, public = _keys(given["seed"], given["origin"])
    text = f"{given['origin']}\n{given['size']}\n{base64.b64encode(bytes.fromhex(given['root'])).decode()}\n"
    signature = base64.b64encode(key_id + key.sign(text.encode())).decode()
    secret = base64.b64encode(b"\x01" + bytes.fromhex(given["seed"])).decode()
    return {
        "public_key": public,
        "private_key": f"PRIVATE+KEY+{given['origin']}+{key_id.hex()}+{secret}",
        "note": f"{text}\n\u2014 {given['origin']} {signature}\n",
    }


def _record(state: bytes, request_id: bytes, body: bytes) -> bytes:
    head = b"\x01" + state + len(body).to_bytes(4, "big") + request_id
    return head + zlib.crc32(head + body).to_bytes(4, "big") + body


def of_payload(given: dict[str, Any]) -> dict[str, str]:
    """Section 6."""
    key, request_id = bytes.fromhex(given["payload_key"]), bytes.fromhex(given["request_id"])
    wrapped = aes_key_wrap(bytes.fromhex(given["wrapping_key"]), key)
    bound = b"liucun-payload-v1\x00" + given["index"].to_bytes(8, "big") + request_id
    plain = bytes.fromhex(given["salt"]) + given["payload"].encode()
    body = wrapped + AESGCM(key).encrypt(bytes(12), plain, bound)
    return {
        "wrapped_key": wrapped.hex(),
        "record": _record(b"\x4b", request_id, body).hex(),
        "erased_head": _record(b"\x45", bytes(16), bytes(len(body)))[:26].hex(),
    }


def of_signature(given: dict[str, Any]) -> dict[str, str]:
    """Section 7."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given["seed"]))
    message = b"liucun-signature-v1\x00" + text_of(given["statement"]).encode()
    return {"public_key": key.public_key().public_bytes_raw().hex(), "signature": key.sign(message).hex()}


def of_genesis(given: dict[str, Any]) -> dict[str, Any]:
    """Section 8."""
    types = ["ADMIN", "AUTHORIZATION", "INTENT", "SEGMENT", "OUTCOME", "REFUSAL", "RETENTION", "READ"]
    statement = {
        "type": "liucun-genesis-v1",
        "origin": given["origin"],
        "log_key": _keys(given["log_seed"], given["origin"])[2],
        "policy_version": given["policy_version"],
        "erase_after_days": dict.fromkeys(types, given["days"]),
        "created_time": given["created_time"],
        "persons": [
            {
                "name": name,
                "display_name": name.removeprefix("persons/"),
                "roles": given["roles"][name],
                "public_key": of_signature({"seed": seed, "statement": {}})["public_key"],
            }
            for name, seed in given["seeds"].items()
        ],
    }
    return {
        "statement_sha256": sha256(text_of(statement).encode()).hexdigest(),
        "signatures": {
            name: of_signature({"seed": seed, "statement": statement})["signature"]
            for name, seed in given["seeds"].items()
        },
        "statement": statement,
    }


def of_frame(given: dict[str, Any]) -> str:
    """Section 9."""
    body = text_of(given).encode()
    return (len(body).to_bytes(4, "big") + body).hex()


def vectors() -> dict[str, dict[str, Any]]:
    """The page's blocks."""
    return {name: json.loads(body) for name, body in _BLOCK.findall(PAGE.read_text(encoding="utf-8"))}


def compute(name: str) -> Callable[[Any], Any]:
    """How a block is computed."""
    found: Callable[[Any], Any] = globals()[f"of_{name}"]
    return found


VECTORS = vectors()


@pytest.mark.parametrize("name", VECTORS)
def test_the_page_gives_what_it_says(name: str) -> None:
    assert VECTORS[name]["gives"] == compute(name)(VECTORS[name]["given"])


def test_no_vector_is_missing() -> None:
    known = {name.removeprefix("of_") for name in globals() if name.startswith("of_")}
    assert set(VECTORS) == known


def given(name: str) -> tuple[Any, Any]:
    """A vector's two sides."""
    return VECTORS[name]["given"], VECTORS[name]["gives"]


def test_our_code_agrees_on_json_leaves_and_frames() -> None:
    value, text = given("canonical")
    assert canonical.encode(value) == text.encode()
    value, gives = given("leaf")
    found = leaf.encode(value["type_byte"], leaf.commitment(bytes.fromhex(value["salt"]), value["payload"].encode()))
    assert (found.hex(), merkle.leaf_hash(found).hex()) == (gives["leaf"], gives["leaf_hash"])
    value, text = given("leaf_record")
    assert leaves.encode(value["index"], bytes.fromhex(value["leaf"])).hex() == text
    value, text = given("frame")
    assert frames.encode(value).hex() == text


def test_our_code_agrees_on_trees_and_tiles() -> None:
    value, gives = given("tree")
    hashes = [merkle.leaf_hash(bytes.fromhex(one)) for one in value["leaves"]]

    def node(level: int, index: int) -> bytes:
        return merkle.root(hashes[index << level : (index + 1) << level])

    assert merkle.root(hashes).hex() == gives["root"]
    assert [one.hex() for one in merkle.inclusion_proof(value["index"], 5, node)] == gives["inclusion"]
    assert [one.hex() for one in merkle.consistency_proof(value["old"], 5, node)] == gives["consistency"]
    value, paths = given("paths")
    made = [tiles.Tile(tiles.ENTRIES if level == "entries" else level, n, width).path for level, n, width in value]
    assert made == paths


def test_our_code_agrees_on_checkpoints_and_signatures() -> None:
    value, gives = given("checkpoint")
    signer = notes.Signer.parse(gives["private_key"])
    assert (signer.seed.hex(), str(signer.verifier)) == (value["seed"], gives["public_key"])
    head = Checkpoint(value["origin"], value["size"], bytes.fromhex(value["root"]))
    assert checkpoint.sign(head, signer) == gives["note"]
    assert checkpoint.verify(gives["note"].encode(), value["origin"], [signer.verifier]) == head
    value, gives = given("signature")
    public, signature = bytes.fromhex(gives["public_key"]), bytes.fromhex(gives["signature"])
    assert statements.verify(public, value["statement"], signature)


def test_our_code_agrees_on_payloads() -> None:
    value, gives = given("payload")
    (record,) = payloads.walk(bytes.fromhex(gives["record"]))
    salt, payload = payloads.unseal(bytes.fromhex(value["wrapping_key"]), value["index"], record)
    assert (salt.hex(), payload.decode()) == (value["salt"], value["payload"])
    assert payloads.blank(record).hex().startswith(gives["erased_head"])
    assert record.request_id.hex() == value["request_id"]


def test_our_code_agrees_on_the_genesis() -> None:
    _, gives = given("genesis")
    found = genesis.parse({"statement": gives["statement"], "signatures": gives["signatures"]})
    assert found.unsigned() == []
    assert sha256(canonical.encode(found.statement)).hexdigest() == gives["statement_sha256"]


def test_the_page_lists_every_kind() -> None:
    rows = re.findall(r"^\| `([A-Z]+)` \| (\d) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {kind: int(number) for _, number, names in rows for kind in re.findall(r"`(\w+)`", names)}
    assert listed == kinds.KINDS
    assert {name: int(number) for name, number, _ in rows} == kinds.TYPES


def fill(path: Path) -> None:
    """Write what each vector gives, as this file computes it."""

    def filled(match: re.Match[str]) -> str:
        block = json.loads(match[2])
        block["gives"] = compute(match[1])(block["given"])
        return f"```json vector {match[1]}\n{json.dumps(block, ensure_ascii=False)}\n```"

    path.write_text(_BLOCK.sub(filled, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    fill(PAGE)
