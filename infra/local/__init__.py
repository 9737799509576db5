"""Real engines on loopback for demo, tests and benchmarks: a Kafka broker, a ClickHouse server, a Postfix.

In:  a home folder. Out: running processes and their addresses.
Promise: every engine is its own process below the home, tied to the process that started it (it ends with it, however
that ends), known by id and start time, and never anyone else's; everything is written below the home.
Nothing outside this package may know how an engine is had.
"""
