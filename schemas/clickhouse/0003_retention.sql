-- purpose:   what was dropped, when, by which rule, with counts; no addresses
-- dangerous: no (creates only)
-- way back:  DROP TABLE {{database}}.retention (the ledger still has the record of deletions)
-- size:      two rows a day; kept three years
CREATE TABLE IF NOT EXISTS {{database}}.retention
(
    recorded_time DateTime64(6, 'UTC') COMMENT 'application clock',
    ledger_index Int64 COMMENT 'the entry that this row repeats',
    kind Enum8('DROP_INTENT' = 0, 'DROP_DONE' = 1, 'DROP_FAILED' = 2),
    event_day Date32 COMMENT 'the legal day',
    attempt_id UUID COMMENT 'joins an intent with its outcome',
    rule String,
    legal_zone String,
    retention_days Int32,
    actor String,
    row_count Int64 COMMENT 'INTENT: before; DONE and FAILED: found afterwards; DONE only with 0',
    bytes_on_disk Int64,
    part_count Int32,
    min_event_time Nullable(DateTime64(6, 'UTC')),
    max_event_time Nullable(DateTime64(6, 'UTC')),
    detached_part_count Int32,
    statement String,
    query_id String COMMENT 'of the statement; in the server''s query_log and part_log while those keep it',
    detail String COMMENT 'FAILED: what was found'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recorded_time, 'UTC')
ORDER BY (event_day, recorded_time)
TTL toDateTime(recorded_time, 'UTC') + INTERVAL 3 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1, fsync_part_directory = 1  -- an intent must outlive a power cut that the drop outlives
COMMENT 'Deletions: intent before, outcome after; a projection of the ledger';
