"""The store's driver says nothing by itself: its warnings hold URLs, and URLs hold the values that are looked for."""

import subprocess
import sys


def test_a_retry_is_not_written_anywhere() -> None:
    code = (
        "from infra.platform.clickhouse import connect\n"
        "from infra.platform.settings import ClickHouse\n"
        "from infra.platform.errors import UnreachableError\n"
        "store = ClickHouse(port=1)\n"
        "try:\n    connect(store, store.reader)\n"
        "except UnreachableError:\n    print('unreachable')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("unreachable\n", "")
