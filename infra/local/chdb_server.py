"""A ClickHouse server from the chdb wheel: run by path, in a folder that holds config.xml.

    python chdb_server.py DATA_DIR

clickhouse-local can listen; the wheel carries all of it. The statement never ends, and the output format must be
TabSeparated, which becomes the server's default (clickhouse-connect's first query fails on any other).
"""

import sys

import chdb

_SERVE = """\
SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP;
SELECT sleepEachRow(1) FROM system.numbers FORMAT Null
SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0, log_queries = 0, max_execution_time = 0"""

if __name__ == "__main__":
    chdb._chdb.set_signal_handlers_enabled(0)  # SIGTERM ends the process; the engine recovers as from any crash
    chdb._chdb.query(_SERVE, "TabSeparated", path=sys.argv[1])
