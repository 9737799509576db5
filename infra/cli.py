"""The `liucun` command: noun groups by dotted name, imported only when used.

So `liucun verify` from a bare wheel imports neither Kafka nor ClickHouse, and an extra that is not
installed is one sentence, not a traceback.
"""

import errno
import importlib
import os
import sys
from importlib.metadata import version
from typing import Final, NoReturn

import click

from infra.platform.errors import LiucunError

# noun: (module:attribute, extra that installs what it needs, one line of help)
NOUNS: Final[dict[str, tuple[str, str, str]]] = {
    "producer": ("producers.cli:producer", "agent", "The agent beside the mail server: log line to Kafka."),
    "consumer": ("consumers.cli:consumer", "loader", "The loader: Kafka to the store, and its proof."),
    "schema": ("infra.ops.cli:schema", "ops", "Tables and topics: check, migrate, show."),
    "retention": ("infra.ops.cli:retention", "ops", "Sixty days: state of each day, and the drop."),
    "ledger": ("infra.ledger.cli:ledger", "server", "The query log's one writer, and its check."),
    "audit": ("infra.ledger.cli:audit", "server", "What is in the query log, and whether it is what was written."),
    "agency": ("query_service.cli:agency", "server", "Agencies that may ask, and their officers."),
    "person": ("query_service.cli:person", "server", "People of the provider, and tokens."),
    "authorization": ("query_service.cli:authorization", "server", "Legal instruments, signed by two people."),
    "lookup": ("query_service.cli_lookup:lookup", "server", "Lawful questions and their answers."),
    "server": ("query_service.cli_server:server", "server", "The query service."),
    "certs": ("query_service.cli_server:certs", "server", "Certificates for development."),
    "ops": ("infra.ops.cli:ops", "ops", "The scheduler."),
    "doctor": ("infra.ops.cli:doctor", "ops", "What is wrong with this installation, in sentences."),
    "demo": ("infra.demo.cli:demo", "ops", "The whole way on this machine, on real parts."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """All nouns, in the order of the data's way."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one noun's command; a missing extra becomes advice."""
        if cmd_name not in NOUNS:
            return None
        target, extra, _ = NOUNS[cmd_name]
        module, attribute = target.split(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"`liucun {cmd_name}` needs the Python package {error.name}, which is not installed here. "
                f"Install liucun[{extra}]."
            ) from None
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The help list, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(noun, text) for noun, (_, _, text) in NOUNS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("liucun"), prog_name="liucun")
def liucun() -> None:
    """Liucun (留存) keeps the envelope records of e-mail for as long as the law says and no longer.

    Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 it worked and found a problem.
    """


def main() -> None:
    """Run the command; an error of ours is one clear sentence and its exit code."""
    try:
        liucun(prog_name="liucun")
    except LiucunError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)  # the reader of our output has gone
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            _fault(error)
        click.echo("error: A disk is full. Free some space on it and try again; what is stored stays.", err=True)
        sys.exit(1)
    except Exception as error:
        _fault(error)


def _fault(error: Exception) -> NoReturn:
    """What nobody has thought of."""
    if os.environ.get("LIUCUN_TRACEBACK"):
        raise error
    click.echo(
        f"error: a fault in Liucun itself ({type(error).__name__}); LIUCUN_TRACEBACK=1 shows where. Please report.",
        err=True,
    )
    sys.exit(1)
