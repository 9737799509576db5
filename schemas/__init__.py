"""Every contract of Liucun and nothing else: the record, its wire form, the topics, the tables.

In:  nothing. Out: `envelope` (the record and its JSON form), `avro` (schemas and Confluent framing),
`topics` (Kafka topics as code), `files` (the committed .avsc, .sql and .toml files).
Promise: imports only the standard library and fastavro; never does I/O except reading its own files.
The tests in tests/contract hold all forms to each other.
"""
