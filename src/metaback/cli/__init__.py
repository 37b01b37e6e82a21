"""The command line: one file per command, loaded when it is asked for; no number is computed here."""

from metaback.cli.main import main

__all__ = ["main"]
