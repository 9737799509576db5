"""Mutated lines: whatever stands in a log, reading goes on and every line is counted.

10,000 lines; 1,000,000 with LIUCUN_LONG=1.
"""

import random
from collections.abc import Iterator

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from schemas import avro
from schemas.envelope import FIELDS, FLAGS
from tests.conftest import LONG
from tests.golden.exim import make_expected as exim
from tests.golden.postfix import worlds
from tests.golden.postfix.make_demo_expected import LOG
from tests.unit.producers.lines import NOW, SOURCE

LINES = 1_000_000 if LONG else 10_000
CHUNK_LINES = 100
SEED = 20261125
# Lines of real runs of each mail system that is read.
TRACES = {
    "postfix": [line for log in (LOG, *map(worlds.log_of, worlds.NAMES)) for line in log.read_bytes().splitlines()],
    "exim": [line for name in exim.LOGGINGS for line in (exim.HERE / f"{name}.log").read_bytes().splitlines()],
}


def mutations(source: random.Random, lines: list[bytes]) -> Iterator[bytes]:
    """Lines of a trace: as they are, with bytes changed, cut, two joined, doubled, or nothing of a line at all."""
    while True:
        line = bytearray(source.choice(lines))
        kind = source.randrange(8)
        at = source.randrange(len(line))
        if kind == 1:
            line[at] = source.randrange(256)
        elif kind == 2:
            del line[at:]
        elif kind == 3:
            del line[:at]
        elif kind == 4:
            line[at:] = source.choice(lines)[source.randrange(60) :]
        elif kind == 5:
            line[at:at] = source.choice(
                (b"<", b">", b'"', b"[", b"]:", b", ", b"\x00", b"\xff", b": ", b"=", b"\\x", b"\r")
            )
        elif kind == 6:
            line[at:at] = line[at : at + 40] * source.randint(1, 60)
        elif kind == 7:
            line[:] = source.randbytes(source.randrange(120))
        yield bytes(line).replace(b"\n", b" ")


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("name", TRACES)
def test_mutated_lines_never_raise_and_counts_add_up(name: str) -> None:
    source = random.Random(SEED)
    lines = mutations(source, TRACES[name])
    assembler = Assembler(Site(own_domains=["example.org"], own_networks=["192.0.2.0/24"]), [SOURCE])
    read = understood = records = given = 0
    for number in range(LINES // CHUNK_LINES):
        mutated = [next(lines) for _ in range(CHUNK_LINES)]
        given += sum(bool(line) for line in mutated)
        for record in assembler.read("mail", b"\n".join(mutated) + b"\n", number * 10**6, NOW, NOW):
            assert tuple(record) == FIELDS
            assert set(record["flags"]) <= set(FLAGS)
            avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})
            records += 1
        counts = assembler.take_tallies()["mail"]
        assert "fault" not in counts.lines_not_understood
        known = counts.lines_understood + sum(counts.lines_ignored.values())
        assert counts.lines_read == known + sum(counts.lines_not_understood.values())
        read += counts.lines_read
        understood += counts.lines_understood
    records += len(assembler.finish())
    assert read == given
    assert understood > LINES // 10
    assert records > LINES // 100


@pytest.mark.parametrize("name", TRACES)
def test_mutated_lines_give_the_same_records_again(name: str) -> None:
    """What the agent reads again after a crash must come out the same, also when it is junk."""
    lines = mutations(random.Random(SEED + 1), TRACES[name])
    chunks = [b"\n".join(next(lines) for _ in range(CHUNK_LINES)) + b"\n" for _ in range(20)]
    results = []
    for restart_at in (None, 7):
        assembler = Assembler(Site(), [SOURCE])
        got = []
        for number, chunk in enumerate(chunks):
            if number == restart_at:
                assembler = Assembler.restore(assembler.snapshot(), Site(), [SOURCE])
            got += assembler.read("mail", chunk, 0, NOW, NOW)
            assembler.take_tallies()
        results.append(got + assembler.finish())
    assert results[0] == results[1]
    assert results[0]
