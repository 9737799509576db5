"""The query log: one writer, and the client through which everybody else writes and reads it.

In:  entries from local processes, over a Unix socket, known by their uid. Out: an index once the entry is durable; and
static files (C2SP tlog-tiles) from which anyone can check that nothing was changed, taken out or put in between.
Promise: no answer without an entry that outlives a power cut; payloads readable with the ledger's keys only; no entry
is ever changed, and a payload is destroyed only after its term, leaving its leaf.
The whole way is in `run`; formats are in docs/spec/proof-formats.md.
"""
