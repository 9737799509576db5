"""The Merkle tree of RFC 9162 (the same as RFC 6962's): hashes, roots, and both proofs, made and verified.

Proofs are made from a function `node(level, index)` that gives the hash of a complete subtree: `level` 0 is a leaf's
hash, and (level, index) covers the leaves [index * 2^level, (index + 1) * 2^level). Where those hashes lie is not
asked here. At most 63 hashes a proof: a tree has fewer than 2^63 leaves.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from infra.proof.errors import ProofError

HASH_BYTES: Final = 32
PROOF_HASHES_MAX: Final = 63
EMPTY_ROOT: Final = sha256(b"").digest()

Node = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """RFC 9162, 2.1.1: SHA-256(00 || data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162, 2.1.1: SHA-256(01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def grow(frontier: list[bytes], size: int, leaf: bytes) -> list[bytes]:
    """Put one leaf hash behind `size` others; `frontier` = the complete subtrees of the tree, largest first.

    Changes `frontier`. The hashes of the subtrees that this leaf completes, from itself upwards: level 0, 1, 2 ...
    """
    completed = [leaf]
    while size & 1:
        completed.append(node_hash(frontier.pop(), completed[-1]))
        size >>= 1
    frontier.append(completed[-1])
    return completed


def fold(frontier: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, largest first."""
    if not frontier:
        return EMPTY_ROOT
    found = frontier[-1]
    for left in reversed(frontier[:-1]):
        found = node_hash(left, found)
    return found


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root of a tree, from its leaf hashes, in memory that grows with the logarithm of their number."""
    frontier: list[bytes] = []
    for size, one in enumerate(leaf_hashes):
        grow(frontier, size, one)
    return fold(frontier)


def subtree(start: int, end: int, node: Node) -> bytes:
    """The root over the leaves [start, end); `start` is a multiple of the largest power of two below the length."""
    length = end - start
    if length == 0:
        return EMPTY_ROOT
    if length & (length - 1) == 0:
        level = length.bit_length() - 1
        return node(level, start >> level)
    split = start + _split(length)
    return node_hash(subtree(start, split, node), subtree(split, end, node))


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """RFC 9162, 2.1.3.1: PATH(index, size), from the leaf upwards. ValueError when there is no such leaf."""
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    start, end = 0, size
    found = []
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            found.append(subtree(split, end, node))
            end = split
        else:
            found.append(subtree(start, split, node))
            start = split
    return found[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """RFC 9162, 2.1.4.1: PROOF(old, new); empty for equal sizes. ValueError unless 0 < old <= new."""
    if not 0 < old <= new:
        raise ValueError("no such sizes")
    start, end, found = 0, new, []
    while end != old:
        split = start + _split(end - start)
        if old <= split:
            found.append(subtree(split, end, node))
            end = split
        else:
            found.append(subtree(start, split, node))
            start = split
    if start != 0:
        found.append(subtree(start, end, node))
    return found[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_: bytes) -> None:
    """RFC 9162, 2.1.3.2. ProofError unless the leaf hash `leaf` stands at `index` in the tree with this root."""
    if not 0 <= index < size:
        raise ProofError("the index is not in the tree")
    _check_hashes(proof)
    first, last, found = index, size - 1, leaf
    for one in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if first & 1 or first == last:
            found = node_hash(one, found)
            while first and not first & 1:
                first >>= 1
                last >>= 1
        else:
            found = node_hash(found, one)
        first >>= 1
        last >>= 1
    if last != 0 or found != root_:
        raise ProofError("the inclusion proof does not lead to the root")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """RFC 9162, 2.1.4.2. ProofError unless the tree of size `new` is that of size `old` with leaves added behind."""
    if not 0 <= old <= new:
        raise ProofError("the tree has become shorter")
    _check_hashes(proof)
    if old in (0, new):
        expected = EMPTY_ROOT if old == 0 else new_root
        if proof or old_root != expected:
            raise ProofError("the roots are not those of one tree")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofError("the consistency proof is too short")
    first, last = old - 1, new - 1
    while first & 1:
        first >>= 1
        last >>= 1
    old_found = new_found = path[0]
    for one in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if first & 1 or first == last:
            old_found, new_found = node_hash(one, old_found), node_hash(one, new_found)
            while first and not first & 1:
                first >>= 1
                last >>= 1
        else:
            new_found = node_hash(new_found, one)
        first >>= 1
        last >>= 1
    if last != 0 or old_found != old_root or new_found != new_root:
        raise ProofError("the consistency proof does not lead to both roots")


def _split(length: int) -> int:
    """The largest power of two that is smaller than `length` (RFC 9162's k)."""
    return 1 << ((length - 1).bit_length() - 1)


def _check_hashes(proof: Sequence[bytes]) -> None:
    if len(proof) > PROOF_HASHES_MAX or any(len(one) != HASH_BYTES for one in proof):
        raise ProofError("the proof is not made of at most 63 hashes of 32 bytes")
