"""Functions that a command loads when it runs, so that its help answers without numpy, scipy and matplotlib."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def later(module: str, name: str) -> Any:
    """Return a function of a module of metaback, imported now."""
    return getattr(import_module(f"metaback.{module}"), name)
