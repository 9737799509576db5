"""The tree against the published vectors of RFC 6962's authors, and against a naive one."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.proof import merkle
from infra.proof.errors import ProofError

# The reference tree of the certificate-transparency project: eight leaves, its roots and its proofs.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
_A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
_B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
_C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
_D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
_E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
_F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = {  # (index, size)
    (0, 1): [],
    (0, 8): [_A, _B, _C],
    (5, 8): [_D, _E, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], _B, _D],
}
CONSISTENCY = {(1, 1): [], (1, 8): [_A, _B, _C], (6, 8): [_F, _E, ROOTS[4]], (2, 5): [_B, _D]}
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def naive_root(hashes: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, as it is written there."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + naive_root(hashes[:split]) + naive_root(hashes[split:])).digest()


def node_of(hashes: list[bytes]) -> merkle.Node:
    """Complete subtrees of a list."""
    return lambda level, index: naive_root(hashes[index << level : (index + 1) << level])


def hashes(size: int) -> list[bytes]:
    """That many different leaf hashes."""
    return [merkle.leaf_hash(b"%d" % number) for number in range(size)]


SIZES = st.integers(1, 80)


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert merkle.root(HASHES[:size]).hex() == ROOTS[size]
    assert merkle.subtree(0, size, node_of(HASHES)).hex() == ROOTS[size]


@pytest.mark.parametrize("place", INCLUSION)
def test_published_inclusion_proofs(place: tuple[int, int]) -> None:
    index, size = place
    proof = merkle.inclusion_proof(index, size, node_of(HASHES))
    assert [one.hex() for one in proof] == INCLUSION[place]
    merkle.verify_inclusion(HASHES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize("sizes", CONSISTENCY)
def test_published_consistency_proofs(sizes: tuple[int, int]) -> None:
    old, new = sizes
    proof = merkle.consistency_proof(old, new, node_of(HASHES))
    assert [one.hex() for one in proof] == CONSISTENCY[sizes]
    merkle.verify_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), proof)


@given(SIZES)
def test_root_is_the_naive_one(size: int) -> None:
    assert merkle.root(hashes(size)) == naive_root(hashes(size))


@given(SIZES, st.data())
def test_inclusion(size: int, data: st.DataObject) -> None:
    """The proof holds where it belongs, and nowhere else."""
    index = data.draw(st.integers(0, size - 1))
    all_hashes = hashes(size)
    root = naive_root(all_hashes)
    proof = merkle.inclusion_proof(index, size, node_of(all_hashes))
    merkle.verify_inclusion(all_hashes[index], index, size, proof, root)
    for wrong_index in {data.draw(st.integers(-1, size)), index ^ 1} - {index}:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(all_hashes[index], wrong_index, size, proof, root)
    for wrong in (proof[:-1], [*proof, root], [root, *proof]):
        if wrong != proof:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(all_hashes[index], index, size, wrong, root)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(merkle.leaf_hash(b"another"), index, size, proof, root)


@given(SIZES, st.data())
def test_consistency(new: int, data: st.DataObject) -> None:
    """The proof holds for these two trees, and for no tree in which one leaf was different."""
    old = data.draw(st.integers(1, new))
    all_hashes = hashes(new)
    roots = naive_root(all_hashes[:old]), naive_root(all_hashes)
    proof = merkle.consistency_proof(old, new, node_of(all_hashes))
    merkle.verify_consistency(old, roots[0], new, roots[1], proof)
    changed = list(all_hashes)
    changed[data.draw(st.integers(0, old - 1))] = merkle.leaf_hash(b"another")
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, naive_root(changed[:old]), new, roots[1], proof)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, roots[0], new, naive_root(changed), proof)
    for wrong in (proof[:-1], [*proof, roots[0]]):
        if wrong != proof:
            with pytest.raises(ProofError):
                merkle.verify_consistency(old, roots[0], new, roots[1], wrong)
    if old < new:
        with pytest.raises(ProofError):
            merkle.verify_consistency(new, roots[1], old, roots[0], proof)


@given(SIZES)
def test_subtrees_that_a_leaf_completes(size: int) -> None:
    frontier: list[bytes] = []
    all_hashes = hashes(size)
    for at, one in enumerate(all_hashes):
        completed = merkle.grow(frontier, at, one)
        for level, found in enumerate(completed):
            assert (at + 1) % (1 << level) == 0
            assert found == naive_root(all_hashes[at + 1 - (1 << level) : at + 1])
    assert merkle.fold(frontier) == naive_root(all_hashes)


def test_empty_tree_and_places_that_are_not_there() -> None:
    merkle.verify_consistency(0, merkle.EMPTY_ROOT, 8, bytes.fromhex(ROOTS[8]), [])
    with pytest.raises(ProofError):
        merkle.verify_consistency(0, bytes(32), 8, bytes.fromhex(ROOTS[8]), [])
    with pytest.raises(ProofError):
        merkle.verify_consistency(8, bytes.fromhex(ROOTS[8]), 8, bytes(32), [])
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no such leaf"):
            merkle.inclusion_proof(index, size, node_of(HASHES))
    for old, new in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no such sizes"):
            merkle.consistency_proof(old, new, node_of(HASHES))


def test_a_proof_is_made_of_hashes_and_has_a_bound() -> None:
    with pytest.raises(ProofError, match="63 hashes"):
        merkle.verify_inclusion(HASHES[0], 0, 2, [b"short"], bytes(32))
    with pytest.raises(ProofError, match="63 hashes"):
        merkle.verify_inclusion(HASHES[0], 0, 2, [bytes(32)] * 64, bytes(32))
