-- purpose:   what each agent read (coverage) and what each batch loaded (batch); neither holds an address
-- dangerous: no (creates only)
-- way back:  DROP TABLE {{database}}.coverage; DROP TABLE {{database}}.batch (the claim of completeness is lost with them)
-- size:      coverage: one row a minute and agent, or one per 4,096 records; batch: one row an insert; kept three years
CREATE TABLE IF NOT EXISTS {{database}}.coverage
(
    topic_epoch FixedString(16),
    schema_id Int32,
    kafka_partition Int32,
    stored_time DateTime64(6, 'UTC'),
    kafka_offset Int64,
    agent_id String,
    agent_epoch Int32,
    coverage_sequence Int64,
    first_sequence Int64,
    record_count Int32,
    event_day Nullable(Date32),
    `from` DateTime64(6, 'UTC'),
    `to` DateTime64(6, 'UTC'),
    closed Enum8('RECORDS' = 0, 'TIME' = 1, 'EVENT_DAY' = 2, 'ROTATION' = 3, 'STOP' = 4),
    sources Array(Tuple(
        source_name String,
        from_position Int64,
        to_position Int64,
        lines_read Int64,
        lines_understood Int64,
        lines_ignored Map(String, Int64),
        lines_not_understood Map(String, Int64),
        loss_markers Map(String, Int64),
        captured_through Nullable(DateTime64(6, 'UTC')))),
    kafka_offset_fence Int64 EPHEMERAL,
    fence_ok Bool DEFAULT kafka_offset = kafka_offset_fence,
    CONSTRAINT fence CHECK fence_ok
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(`to`, 'UTC')
ORDER BY (agent_id, agent_epoch, coverage_sequence)
TTL toDateTime(`to`, 'UTC') + INTERVAL 3 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 100000
COMMENT 'What each agent read and recorded, interval by interval; no addresses';

CREATE TABLE IF NOT EXISTS {{database}}.batch
(
    topic String,
    topic_epoch FixedString(16),
    kafka_partition Int32,
    first_offset Int64,
    last_offset Int64,
    record_count Int64 COMMENT 'messages in the range; control records make offset gaps, so the range is first, last and count',
    loaded_count Int64 COMMENT 'rows inserted: record_count less exclusions',
    rows_per_day Map(Date32, Int64) COMMENT 'rows inserted, by event day in the legal zone; empty for coverage',
    rows_per_schema_id Map(Int32, Int64),
    exclusions Array(Tuple(first_offset Int64, last_offset Int64, reason String)) COMMENT 'offsets that made no row, and why; each range holds only excluded messages',
    layout Int32,
    decided_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(decided_at, 'UTC')
ORDER BY (topic, topic_epoch, kafka_partition, first_offset)
TTL toDateTime(decided_at, 'UTC') + INTERVAL 3 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 100000
COMMENT 'What each insert loaded, written after the rows and before the commit; no addresses';
