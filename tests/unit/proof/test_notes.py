"""Notes against the published example of Go's sumdb/note, checkpoints, and every way to be malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.proof import checkpoint, notes
from infra.proof.checkpoint import Checkpoint
from infra.proof.errors import NoteError, UnsignedError
from infra.proof.notes import Signer, Verifier

KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NOTE = (TEXT + "\n" + SIGNATURE).encode()
OURS = Signer("log.example/ledger", bytes(range(32)))
OTHER = Signer("witness.example", bytes(32))


def test_published_example() -> None:
    key = Verifier.parse(KEY)
    assert (key.name, key.key_id.hex()) == ("PeterNeumann", "c74f20a3")
    assert notes.open_note(NOTE, [key]) == (TEXT, [key])


def test_published_example_changed_anywhere() -> None:
    """No bit of a note is without meaning; only a name that becomes another's makes it merely unsigned."""
    key = Verifier.parse(KEY)
    for at in range(len(NOTE)):
        for bit in range(8):
            changed = bytearray(NOTE)
            changed[at] ^= 1 << bit
            with pytest.raises(NoteError):
                notes.open_note(bytes(changed), [key])


def test_keys_there_and_back() -> None:
    assert Signer.parse(OURS.encode()) == OURS
    assert Verifier.parse(str(OURS.verifier)) == OURS.verifier
    assert OURS.encode() not in repr(OURS)
    assert "AAECAwQF" not in repr(OURS)


@pytest.mark.parametrize(
    "text",
    [
        "", "name", KEY[:-1], KEY[:-1] + "X", KEY.replace("c74f20a3", "c74f20a4"), KEY.replace("PeterN", "PaterN"),
        KEY.replace("+AR", "+AB"), " +00000000+AA==", KEY + "\n", KEY.replace("c74f20a3", "C74F20A3"),
    ],
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(NoteError):
        Verifier.parse(text)
    with pytest.raises(NoteError):
        Signer.parse("PRIVATE+KEY+" + text)
    with pytest.raises(NoteError):
        Signer.parse(text)


def test_unknown_signatures_are_ignored() -> None:
    note = notes.sign("text\n", OTHER, OURS).encode()
    assert notes.open_note(note, [OURS.verifier]) == ("text\n", [OURS.verifier])
    assert len(notes.open_note(note, [OURS.verifier, OTHER.verifier])[1]) == 2
    with pytest.raises(UnsignedError):
        notes.open_note(note, [Verifier.parse(KEY)])


def test_one_wrong_signature_of_a_known_key_refuses_the_note() -> None:
    one, other = notes.sign("text\n", OURS), notes.sign("another\n", OTHER)
    mixed = (one + other.partition("\n\n")[2]).encode()
    assert notes.open_note(mixed, [OURS.verifier])[0] == "text\n"
    with pytest.raises(NoteError, match="does not verify"):
        notes.open_note(mixed, [OURS.verifier, OTHER.verifier])


def test_a_key_counts_once() -> None:
    note = notes.sign("text\n", OURS)
    assert notes.open_note((note + note.partition("\n\n")[2]).encode(), [OURS.verifier])[1] == [OURS.verifier]


@pytest.mark.parametrize(
    "note",
    [
        b"", b"text\n", b"text\n\n", TEXT.encode() + b"\n" + SIGNATURE.encode()[:-1], b"\xff\n\n" + SIGNATURE.encode(),
        b"a\x01\n\n" + SIGNATURE.encode(), NOTE.replace(b"\n\n", b"\n\n\n"), NOTE + b"- x AAAAAAAA\n",
        NOTE.replace("— ".encode(), b"-- "), NOTE + "— x AAAA\n".encode(), NOTE + "— x+y AAAAAAAA\n".encode(),
        NOTE + "— x AAAAAAAA\n".encode() * 100, bytes(1_000_001),
    ],
)  # fmt: skip
def test_what_is_no_note(note: bytes) -> None:
    with pytest.raises(NoteError):
        notes.open_note(note, [Verifier.parse(KEY)])


def test_a_text_that_cannot_be_signed() -> None:
    for text in ("no line end", "tab\t\n", ""):
        with pytest.raises(NoteError):
            notes.sign(text, OURS)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_checkpoints_there_and_back(size: int, root: bytes) -> None:
    found = Checkpoint(OURS.name, size, root)
    note = checkpoint.sign(found, OURS).encode()
    assert checkpoint.verify(note, OURS.name, [OURS.verifier]) == found


def test_a_checkpoint_of_another_log() -> None:
    note = checkpoint.sign(Checkpoint("another", 1, bytes(32)), OURS).encode()
    with pytest.raises(NoteError, match="another log"):
        checkpoint.verify(note, OURS.name, [OURS.verifier])


def test_extension_lines_are_ignored() -> None:
    found = Checkpoint(OURS.name, 1, bytes(32))
    assert checkpoint.parse(found.text + "extension\n") == found


@pytest.mark.parametrize(
    "text",
    [
        "", "log\n", "log\n1\n", "\n1\n" + "A" * 43 + "=\n", "log\n01\n" + "A" * 43 + "=\n", "log\n-1\n" + "A" * 43 + "=\n",
        "log\n1\nAAAA\n", "log\n1\n" + "A" * 43 + "=", "log\n1\n" + "A" * 42 + "B=\n", "log\n1\n!\n",
        "log\n9223372036854775808\n" + "A" * 43 + "=\n", "log\n1\n" + "A" * 43 + "=\n\nx\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteError):
        checkpoint.parse(text)
