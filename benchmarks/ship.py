"""Reading a Postfix log: ours in three stages, against pflogsumm and a plain regex parser, on the same file.

python -m benchmarks.ship --json [--rows MESSAGES]
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import click

from benchmarks import measure, postfix_log
from infra.local import unpack
from infra.local.runtime import home_from_environment
from infra.platform.clock import SystemClock
from infra.platform.settings import Legal, Site, Source
from producers import outbox
from producers.assemble import Assembler
from producers.capture import Capture
from producers.follow import Follower
from producers.outbox import Identity, Outbox

RUNS: Final = 3
STAGES: Final = ("parse", "outbox")


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--rows", "messages", default=20_000, show_default=True, help="Messages in the log.")
@click.option("--stage", type=click.Choice(STAGES), hidden=True)
@click.argument("log", required=False, type=click.Path(path_type=Path))
def main(as_json: bool, messages: int, stage: str | None, log: Path | None) -> None:
    """Measure, or (hidden) be one contender."""
    if stage is not None:
        assert log is not None
        _parse(log) if stage == "parse" else _outbox(log)
        return
    result = _measure(messages)
    click.echo(json.dumps(result) if as_json else json.dumps(result, indent=2))


def _measure(messages: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=_work()) as folder:
        log = Path(folder) / "mail.log"
        lines = postfix_log.write(log, messages)
        contenders = _contenders(log)
        runs: dict[str, list[measure.Run]] = {name: [] for name in contenders}
        for _ in range(RUNS):
            for name, command in contenders.items():  # in turn, so that a slow minute is everybody's
                runs[name].append(measure.run(command))
        size = log.stat().st_size
    out = {name: measure.median(found) for name, found in runs.items()}
    for figures in out.values():
        figures["lines_per_cpu_second"] = round(lines / figures["cpu_seconds"])
    reference = out.get("pflogsumm", out["plain regex"])["lines_per_cpu_second"]
    ratios = {name: round(figures["lines_per_cpu_second"] / reference, 2) for name, figures in out.items()}
    return {
        "lines": lines,
        "log_bytes": size,
        "runs": RUNS,
        "contenders": out,
        "reference": "pflogsumm" if "pflogsumm" in out else "plain regex",
        "ratios": ratios,
    }


def _work() -> Path:
    folder = home_from_environment() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _contenders(log: Path) -> dict[str, list[str]]:
    python, here = sys.executable, ["-m", "benchmarks.ship"]
    found = {
        "ours: parse and join": [python, *here, "--stage", "parse", str(log)],
        "ours: to the outbox, durable": [python, *here, "--stage", "outbox", str(log)],
        "ours: producer replay": [str(Path(python).with_name("liucun")), "producer", "replay", str(log), "--json"],
        "plain regex": [python, "-m", "benchmarks.plain_regex", str(log)],
    }
    if (summary := _pflogsumm()) is not None:
        found["pflogsumm"] = ["perl", *summary, str(log)]
    return found


def _pflogsumm() -> list[str] | None:
    """Debian's pflogsumm, unpacked below var (never installed); None where it cannot be had."""
    if unpack.unavailable() is not None or shutil.which("perl") is None:
        return None
    root = _work() / "pflogsumm"
    unpack.unpack(["pflogsumm"], root, _work() / "pflogsumm.unpacked")
    scripts = [path for path in root.rglob("pflogsumm*") if path.is_file() and os.access(path, os.X_OK)]
    libraries = [option for folder in root.glob("usr/**/perl5*") for option in ("-I", str(folder))]
    return [*libraries, str(scripts[0])] if scripts else None


def _parse(log: Path) -> None:
    """Lines to records, thrown away."""
    source = Source(name="mail", path=log)
    assembler = Assembler(Site(), [source])
    follower, clock = Follower("mail", log, None, 0), SystemClock()
    while (event := follower.poll(clock.now())) is not None:
        assembler.read("mail", event.data, event.from_offset, 0, event.reference_time)  # type: ignore[union-attr]
    follower.close()


def _outbox(log: Path) -> None:
    """Lines to records, encoded, in an outbox, synced every megabyte as the agent does."""
    source, clock = Source(name="mail", path=log), SystemClock()
    folder = log.parent / "outbox"
    shutil.rmtree(folder, ignore_errors=True)
    outbox.create(folder, "bench", 1)
    box = Outbox(folder)
    capture = Capture(Identity(b"", "bench", 1), Legal().zone_info, Site(), [source], clock.now())
    follower = Follower("mail", log, None, 0)
    while (event := follower.poll(clock.now())) is not None:
        box.append(capture.chunk(event, clock.now()))  # type: ignore[arg-type]
        if box.bytes_unsynced >= 1024**2:
            box.sync()
    follower.close()
    box.close()


if __name__ == "__main__":
    main()
