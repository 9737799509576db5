"""The agent: MTA log line -> event -> envelope record -> Avro -> outbox -> Kafka.

In:  log files that a mail server writes, followed over rotation (`follow`).
Out: envelope and coverage records on Kafka, in transactions (`publish`).
Promise: every line is read, ignored by a named rule, or counted with a reason; every record gets its sequence
once, in the outbox, before anything leaves this host; after kill -9 at any instruction nothing is lost and
nothing comes twice. The whole way is in `ship`.
"""
