"""The pages in docs/reference are what the code says, and every setting, metric and command is explained."""

from collections.abc import Iterator

import click
import pytest
from prometheus_client import Counter

from infra.cli import NOUNS, liucun
from infra.ops import reference
from infra.platform import metrics

# interfaces.md: what users' scripts and outside checks call, as far as it exists.
PROMISED = {
    "schema check": {"--settings", "--json"},
    "schema migrate": {"--settings", "--json", "--execute"},
    "schema show": {"--settings", "--json"},
    "retention status": {"--settings", "--json"},
    "retention enforce": {"--settings", "--json", "--execute"},
    "retention confirm-clock": {"--settings", "--json", "--execute"},
    "ledger init": {"--settings", "--genesis"},
    "ledger run": {"--settings"},
    "ledger fsck": {"--settings", "--json"},
    "ledger erase": {"--settings", "--json", "--execute"},
    "audit list": {"--settings", "--json"},
    "audit show": {"--settings", "--json"},
    "audit verify": {"--settings", "--json", "--day", "--folder"},
    "audit export": {"--settings", "--output"},
    "ops run": {"--settings"},
    "ops clock-guard": {"--settings", "--json"},
    "doctor": {"--settings", "--json"},
    "consumer run": {"--settings"},
    "consumer lag": {"--settings", "--json"},
    "consumer verify": {"--settings", "--json"},
    "producer run": {"--settings", "--once", "--new-outbox"},
    "producer replay": {"--mta", "--json", "--host", "--year", "--time-zone"},
}
UNITS = (
    "_total", "_seconds", "_bytes", "_records", "_entries", "_days_overdue", "_transactions", "_info", "_streams",
)  # fmt: skip


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below one, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}".strip())


COMMANDS = dict(commands(liucun, ""))


@pytest.mark.parametrize("name", reference.documents())
def test_page_is_made_from_the_code(name: str) -> None:
    """`make reference` writes them anew."""
    assert (reference.FOLDER / name).read_text(encoding="utf-8") == reference.documents()[name]


def test_no_page_is_left_over() -> None:
    made = set(reference.documents())
    marked = {
        p.name for p in reference.FOLDER.glob("*.md") if "Made by `python -m infra.ops.reference`" in p.read_text()
    }
    assert marked == made


def test_every_setting_has_a_sentence() -> None:
    rows = [line for line in reference.settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    for row in rows:
        meaning = row.split(" | ")[3].removesuffix(" |")
        assert meaning.endswith((".", "...")), row


def test_every_metric_is_named_and_explained() -> None:
    names = []
    for metric in metrics.CATALOGUE:
        described = next(iter(metric.describe()))
        name = described.name + ("_total" if isinstance(metric, Counter) else "")
        names.append(name)
        assert name.startswith("liucun_")
        assert name.endswith(UNITS), name
        assert described.documentation.endswith("."), name
        assert not {"host", "address", "agency", "case", "officer", "message_id"} & set(metric._labelnames), name
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", [path for path in COMMANDS if path])
def test_every_command_and_option_has_help(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.opts[0]}"


@pytest.mark.parametrize("path", PROMISED)
def test_promised_commands_have_their_options(path: str) -> None:
    assert PROMISED[path] <= {option for parameter in COMMANDS[path].params for option in parameter.opts}


def test_nouns_are_imported_by_the_table() -> None:
    assert set(NOUNS) == {path for path in COMMANDS if path and " " not in path}


def test_what_destroys_is_a_dry_run_by_default() -> None:
    erase = ["1", "--actor", "persons/li", "--reason", "past its term"]
    for path, given in (
        ("schema migrate", []),
        ("retention enforce", []),
        ("retention confirm-clock", []),
        ("ledger erase", erase),
    ):
        (option,) = [p for p in COMMANDS[path].params if p.name == "execute"]
        assert isinstance(option, click.Option)
        assert option.is_flag
        assert COMMANDS[path].make_context(path, list(given)).params["execute"] is False
