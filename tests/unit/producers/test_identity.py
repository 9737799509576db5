"""record_id and message_key against the vectors of docs/spec/record-format.md."""

import re
from pathlib import Path

from producers.identity import message_key, record_id

SPEC = Path(__file__).resolve().parents[3] / "docs" / "spec" / "record-format.md"
LINE = b"Nov 24 09:00:01 mx1 postfix/virtual[4]: 4jYKJ82btYzLhNx: to=<alice@example.org>, relay=virtual"


def test_vectors_stand_in_the_specification() -> None:
    vectors = re.findall(r"`([0-9a-f]{32})`", SPEC.read_text(encoding="utf-8"))
    assert vectors == [
        record_id("mx1", "postfix", "DELIVERY", LINE, "alice@example.org", 0).hex(),
        record_id("mx1", "postfix", "DELIVERY", LINE, "alice@example.org", 1).hex(),
        record_id("mx1", "postfix", "REFUSAL", LINE, None, 0).hex(),
        message_key("mx1", "postfix", "4jYKJ82btYzLhNx", LINE, 0).hex(),
    ]


def test_parts_cannot_run_into_each_other() -> None:
    assert record_id("mx1", "postfix", "x", b"", None, 0) != record_id("mx1p", "ostfix", "x", b"", None, 0)
    assert record_id("m", "p", "x", b"", "", 0) != record_id("m", "p", "x", b"", None, 0)
