"""The `metaback` command: finds its subcommands and turns every failure into a message and an exit code."""

from __future__ import annotations

import codecs
import io
import sys
import traceback
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from metaback.errors import DataError, EstimationError, FileError, MetabackError, OptionError

COMMANDS = {
    "pool": "Pool a table of trials and write a report that anyone can check.",
    "multilevel": "Model effects that depend on each other, all in one model, and write its report.",
    "init": "Write a commented plan for a table, to be filled in before the results are seen.",
    "check": "Find the errors in a table of trials before they are pooled.",
    "verify": "Make a report again and say whether its files and numbers came back.",
    "diff": "Say what moved between two reports: studies, cells, decisions, answers.",
    "schema": "Print the JSON Schema of a plan, for editors that complete it.",
    "measures": "List the effect measures with what they are computed from and their sources.",
    "selfcheck": "Count the right digits of this machine's answers and write a dated protocol.",
}
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (OptionError, 2),
    (FileError, 2),
    (DataError, 3),
    (EstimationError, 4),
    (MetabackError, 70),
    (OSError, 2),
    (KeyboardInterrupt, 130),
)
BUG = 70
PLAIN = {"\u2212": "-", "\u2013": "-", "\u2026": "...", "\u03c4": "tau", "\u00b2": "2", "\u221e": "inf", "\u2500": "-"}


class Commands(click.Group):
    """A group whose commands are imported when they are used, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command by its name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"metaback.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an interrupt is told below in one line, after the line of progress where that stands open."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                click.echo(err=True)
            raise click.exceptions.Abort from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their purpose, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Replace what a console cannot show by plain signs: a lost minus would be a wrong number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in lost), error.end


codecs.register_error("metaback", _plainer)


def _version() -> str:
    """Return the version of the installed package."""
    try:
        return version("metaback")
    except PackageNotFoundError:
        return "not installed"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="metaback")
def group() -> None:
    """Evidence synthesis that anyone can check and run again.

    \b
    Examples:
      metaback check data/trials.csv
      metaback pool data/trials.csv --plan data/plan.toml
      metaback verify report/
      metaback pool --help

    \b
    --debug anywhere on the line prints the trace of an error.

    \b
    Exit codes: 0 done; 1 a check has open findings, a report does not hold, or two reports differ; 2 usage, option or
    file error; 3 data rejected, or errors of the check open; 4 nothing could be estimated; 70 internal error; 130
    interrupted.
    """


def main(args: list[str] | None = None) -> None:
    """Run the command and leave with its exit code."""
    words = sys.argv[1:] if args is None else args
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="metaback")
    debug = "--debug" in words
    try:
        words = [word for word in words if word != "--debug"]
        code = group.main(words, prog_name="metaback", standalone_mode=False, obj=("metaback", *words))
    except click.exceptions.Abort:
        code = _failed(KeyboardInterrupt(), debug)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last net: every failure becomes a message
        code = _failed(error, debug)
    sys.exit(code if isinstance(code, int) else 0)


def _failed(error: BaseException, debug: bool) -> int:
    """Say what went wrong on standard error and return the exit code."""
    code = next((number for kind, number in EXIT_CODES if isinstance(error, kind)), BUG)
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True)
    if isinstance(error, KeyboardInterrupt):
        click.echo("Interrupted: nothing was written.", err=True)
    elif isinstance(error, MetabackError):
        click.echo(f"Error: {error}", err=True)
    elif isinstance(error, OSError):
        click.echo(f"Error: {error.strerror or error}", err=True)
    else:
        click.echo(f"Internal error: {type(error).__name__}: {error}", err=True)
        click.echo("This is a defect of metaback. Run again with --debug and report the trace.", err=True)
    return code
