"""Errors of what is proved.

ValueError
├── CanonicalError   a value has no canonical form, or bytes are not one
├── ProofError       a proof does not prove what it is said to prove
└── NoteError        a signed note is malformed, or has no valid signature of a known key
    └── UnsignedError    it is well formed, but no known key has signed it

They are ValueErrors and not LiucunErrors: this package stands below `infra.platform`, and other programs import it.
"""


class CanonicalError(ValueError):
    """No canonical form."""


class ProofError(ValueError):
    """The proof fails."""


class NoteError(ValueError):
    """The note fails."""


class UnsignedError(NoteError):
    """No known key has signed the note."""
