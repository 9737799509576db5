"""Measurements: ours and what a user would use instead, on the same work in the same run, as ratios of medians.

    python -m benchmarks.ship --json      reading a Postfix log
    python -m benchmarks.load --json      Kafka to the store
    python -m benchmarks.ledger --json    appends to the ledger

Never part of a timed test. Results, with the command that makes them, are in docs/performance.md.
"""
