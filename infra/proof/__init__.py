"""What can be proved, as arithmetic: canonical JSON, leaves, Merkle trees, tiles, signed notes, signed statements.

In and out: bytes. Promise: pure; only the standard library and `cryptography`; no file, clock, socket or setting.
Every format is specified, with vectors, in docs/spec/proof-formats.md.
"""
