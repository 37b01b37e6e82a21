"""Reading a plan file: TOML to plain values, with the hash of its bytes."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaback.errors import FileError


@dataclass(frozen=True, slots=True)
class PlanText:
    """The content of a plan file, unchecked, and the SHA-256 of its bytes."""

    content: Mapping[str, Any]
    sha256: str


def read_plan(path: Path) -> PlanText:
    """Return what a plan file holds; a mark of the byte order and line ends of Windows are taken as they come.

    Raises `FileError` for a file that cannot be read or is no TOML.
    """
    try:
        content = path.read_bytes()
        found = tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"'{path}' is not TOML: {error}") from error
    return PlanText(found, hashlib.sha256(content).hexdigest())
