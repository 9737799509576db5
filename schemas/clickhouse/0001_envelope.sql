-- purpose:   the envelope records, one row a record, in daily partitions of the legal zone
-- dangerous: no (creates only)
-- way back:  DROP TABLE {{database}}.envelope (destroys evidence; only before the first record)
-- size:      about 90 bytes a row without indexes (docs/performance.md)
--
-- Partition, order and TTL:
--   * {{legal_zone}} is written here at the first start and cannot be changed afterwards.
--   * The TTL is a backstop, three days behind the job that drops a day at the start of D+{{drop_after_days}}.
--     toDateTime(date, zone) and not the bare date: a date expires at the server's own midnight.
--   * The window deduplicates by the loader's token; its default without replication is 0, which would
--     let a retried batch in twice.
-- Columns are in the order of the Avro record, after what the loader puts before it. No LowCardinality: it
-- halves the speed of the Avro reader and saves nothing once sorted (docs/architecture.md).
CREATE TABLE IF NOT EXISTS {{database}}.envelope
(
    topic_epoch FixedString(16) CODEC(ZSTD(1)),
    schema_id Int32 CODEC(ZSTD(1)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    stored_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'decided_at of the batch, so that a replayed batch has the same bytes',
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    record_id FixedString(16) CODEC(NONE),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    accept_time Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    observed_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    time_quality Enum8('EXACT' = 0, 'YEAR_INFERRED' = 1, 'ZONE_ASSUMED' = 2, 'AMBIGUOUS_HOUR' = 3) CODEC(ZSTD(1)),
    alternative_event_time Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    mta Enum8('POSTFIX' = 0, 'EXIM' = 1, 'SENDMAIL' = 2, 'OPENSMTPD' = 3, 'EXCHANGE' = 4, 'DOVECOT' = 5) CODEC(ZSTD(1)),
    host String CODEC(ZSTD(1)),
    instance String CODEC(ZSTD(1)),
    queue_id String CODEC(ZSTD(1)),
    message_key FixedString(16) CODEC(ZSTD(1)),
    parent_message_key Nullable(FixedString(16)) CODEC(ZSTD(1)),
    parent_queue_id Nullable(String) CODEC(ZSTD(1)),
    next_queue_id Nullable(String) CODEC(ZSTD(1)),
    message_id Nullable(String) CODEC(ZSTD(1)),
    event Enum8('DELIVERY' = 0, 'REFUSAL' = 1, 'MAILBOX_ACCESS' = 2) CODEC(ZSTD(1)),
    kind Enum8('MESSAGE' = 0, 'BOUNCE' = 1, 'DELAY_NOTICE' = 2, 'DELIVERY_NOTICE' = 3) CODEC(ZSTD(1)),
    direction Enum8('INBOUND' = 0, 'OUTBOUND' = 1, 'INTERNAL' = 2, 'TRANSIT' = 3, 'UNKNOWN' = 4) CODEC(ZSTD(1)),
    sender Nullable(String) CODEC(ZSTD(1)),
    recipient Nullable(String) CODEC(ZSTD(1)),
    original_recipient Nullable(String) CODEC(ZSTD(1)),
    sender_logged Nullable(String) CODEC(ZSTD(1)),
    recipient_logged Nullable(String) CODEC(ZSTD(1)),
    authenticated_user Nullable(String) CODEC(ZSTD(1)),
    local_uid Nullable(Int32) CODEC(ZSTD(1)),
    sender_ip Nullable(IPv6) CODEC(ZSTD(1)),
    sender_port Nullable(Int32) CODEC(ZSTD(1)),
    sender_ip_origin Enum8('CONNECTION' = 0, 'FORWARDED' = 1, 'PARENT' = 2, 'LOCAL_PROCESS' = 3, 'NOT_LOGGED' = 4, 'UNKNOWN_TO_MTA' = 5) CODEC(ZSTD(1)),
    sender_host Nullable(String) CODEC(ZSTD(1)),
    helo Nullable(String) CODEC(ZSTD(1)),
    recipient_ip Nullable(IPv6) CODEC(ZSTD(1)),
    recipient_port Nullable(Int32) CODEC(ZSTD(1)),
    recipient_ip_origin Enum8('NEXT_HOP' = 0, 'LOCAL_DELIVERY' = 1, 'MAILBOX_CLIENT' = 2, 'NOT_CONNECTED' = 3, 'NOT_LOGGED' = 4) CODEC(ZSTD(1)),
    recipient_host Nullable(String) CODEC(ZSTD(1)),
    server_ip Nullable(IPv6) CODEC(ZSTD(1)),
    outcome Enum8('SENT' = 0, 'DELIVERED' = 1, 'DEFERRED' = 2, 'BOUNCED' = 3, 'EXPIRED' = 4, 'REFUSED' = 5, 'DISCARDED' = 6, 'HELD' = 7, 'DELETED' = 8, 'ACCESSED' = 9, 'ACCESS_DENIED' = 10, 'UNKNOWN' = 11) CODEC(ZSTD(1)),
    is_final Bool CODEC(ZSTD(1)),
    attempts Int32 CODEC(ZSTD(1)),
    dsn Nullable(String) CODEC(ZSTD(1)),
    smtp_code Nullable(Int32) CODEC(ZSTD(1)),
    size_bytes Nullable(Int64) CODEC(ZSTD(1)),
    recipient_count Nullable(Int32) CODEC(ZSTD(1)),
    tls Nullable(String) CODEC(ZSTD(1)),
    access_protocol Nullable(String) CODEC(ZSTD(1)),
    session_id Nullable(String) CODEC(ZSTD(1)),
    flags Array(String) CODEC(ZSTD(1)),
    agent_id String CODEC(ZSTD(1)),
    agent_epoch Int32 CODEC(ZSTD(1)),
    agent_sequence Int64 CODEC(Delta, ZSTD(1)),
    source_name String CODEC(ZSTD(1)),
    source_offset Int64 CODEC(Delta, ZSTD(1)),
    kafka_offset_fence Int64 EPHEMERAL COMMENT 'the offset again, behind the payload',
    fence_ok Bool DEFAULT kafka_offset = kafka_offset_fence COMMENT 'a payload one byte short, or holding two records, shifts the fence',
    CONSTRAINT fence CHECK fence_ok
)
ENGINE = MergeTree
PARTITION BY toDate(event_time, '{{legal_zone}}')
ORDER BY (lower(ifNull(recipient, '')), event_time)
TTL toDateTime(toDate(event_time, '{{legal_zone}}') + {{ttl_days}}, '{{legal_zone}}')
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 100000
COMMENT 'Envelope records of Order 38, Article 10; schemas/envelope.py says what each column means';
