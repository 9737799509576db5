"""The loader: Kafka -> batch -> intent -> spliced Avro block -> ClickHouse, or dead letter.

In:  envelope and coverage records, framed Avro, read committed (`fetch`).
Out: rows in the store, one row in `batch` for each insert, dead letters for what cannot be loaded.
Promise: each committed Kafka record is one row, one dead letter or one counted exclusion, exactly once, also after
kill -9 at any instruction, and `verify` proves it from the store. The whole way is in `load`.
"""
