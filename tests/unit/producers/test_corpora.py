"""Public log lines of other projects: no line that is not understood holds envelope facts. Needs LIUCUN_CORPORA."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from producers.events import NotUnderstood
from producers.sources import postfix

FACTS = re.compile(rb"\b(?:from|to|client|uid|status|message-id)=|reject|discard|queued as|removed|queue active")
TAGGED = re.compile(rb"postfix[^ ]*/([a-z-]+)\[(\d+)\]: (.*)")


def grok_lines(corpora: Path) -> Iterator[tuple[bytes, bytes]]:
    """Daemon and text of the lines of postfix-grok-patterns' tests; their patterns for parts of lines are left out."""
    for path in sorted((corpora / "whyscream-postfix-grok-patterns" / "test").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        found = re.search(r"^data: *(.*)$", text, re.MULTILINE)
        assert found is not None
        data = found[1].strip()
        if data.startswith('"'):
            data = json.loads(data)
        elif data.startswith("'"):
            data = data[1:-1].replace("''", "'")
        yield path.name.rpartition("_")[0].encode(), data.encode()


def log_lines(corpora: Path) -> Iterator[tuple[bytes, bytes]]:
    """The same of whole logs."""
    for folder in ("modoboa", "youyo-postfix-log-parser"):
        for path in sorted((corpora / folder).rglob("*")):
            if path.is_file():
                for line in path.read_bytes().splitlines():
                    if (found := TAGGED.search(line)) is not None:
                        yield found[1], found[3]


@pytest.mark.parametrize("lines", [grok_lines, log_lines])
def test_what_is_not_understood_holds_no_facts(
    lines: Callable[[Path], Iterator[tuple[bytes, bytes]]], corpora: Path
) -> None:
    seen = 0
    hidden = []
    for daemon, text in lines(corpora):
        seen += 1
        event = postfix.parse(daemon, b"1", text)
        if isinstance(event, NotUnderstood) and FACTS.search(text):
            hidden.append((event.reason, text))
    assert seen > 20
    assert hidden == []
