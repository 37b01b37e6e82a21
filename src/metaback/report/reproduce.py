"""A script for the folder of a report that makes its pooled numbers again through the Python functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pprint import pformat
from typing import Any, cast

NAME = "reproduce.py"
_HEAD = '''\
"""Make the {what} of this report again and compare them with tables/{file}.csv.

    python reproduce.py [TABLE]

Exit status: 0 the same to 1e-8; 1 numbers differ; 2 the table was not found, or is another one.
"""

import csv
import hashlib
import math
import sys
from pathlib import Path

import metaback as mb

HERE = Path(__file__).resolve().parent
TABLE = {table}
SHA256 = {sha256}
'''
_POOLED = """\
COLUMNS = ("estimate", "se", "statistic", "p_value", "ci_low", "ci_high", "pi_low", "pi_high", "k")
"""
_FIND = '''\
CHOICES = {choices}
ROLES = {roles}


def find() -> Path:
    """Return the table: the one that is named, else the one of that name here or above the report."""
    roots = (Path(), *HERE.parents[:3])
    places = [Path(word) for word in sys.argv[1:2]] or [root / TABLE for root in roots]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        sys.exit(stop(f"{{places[0]}} was not found; name the table: python reproduce.py TABLE"))
    if hashlib.sha256(found.read_bytes()).hexdigest() != SHA256:
        sys.exit(stop(f"{{found}} is not the table of this report: its SHA-256 is another one"))
    return found


def stop(words: str) -> int:
    """Say what stands in the way."""
    print(words, file=sys.stderr)
    return 2


def number(value: object) -> float:
    """Return a number of a table, nan where there is none."""
    return math.nan if value in ("", None) else float(value)


'''
_POOLS = '''\
def main() -> int:
    """Pool the table again and compare."""
    results = mb.pool_table(mb.read_trials(find(), roles=ROLES), **CHOICES)
    rows = [row for result in results if result.k > 1 for row in result.to_frame().to_dict("records")]
    with (HERE / "tables" / "pooled.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    different = len(rows) != len(written)
    for new, old in zip(rows, written):
        same = all(
            math.isclose(number(new[name]), number(old[name]), rel_tol=1e-8, abs_tol=1e-14)
            or (math.isnan(number(new[name])) and math.isnan(number(old[name])))
            for name in COLUMNS
        )
        different = different or not same
        where = " ".join(filter(None, (old["outcome"], old["treatment_1"], old["treatment_2"], old["term"])))
        shown = " ".join(f"{{name}} {{number(new[name]):.6g}}" for name in ("estimate", "ci_low", "ci_high", "k"))
        print(("same  " if same else "DIFFERS ") + ascii(where)[1:-1] + ": " + shown)
    print("Numbers differ." if different else f"All {{len(rows)}} pools are the same.")
    return int(different)


'''
_LEVELLED = """\
COLUMNS = ("estimate", "se", "statistic", "df", "p_value", "ci_low", "ci_high", "k")
"""
_LEVELS = '''\
def main() -> int:
    """Fit the model again and compare coefficients and components."""
    fit = mb.multilevel(mb.read_trials(find(), roles=ROLES), **CHOICES)
    different = False
    for name, columns, key, frame in (
        ("coefficients", COLUMNS, "term", fit.to_frame()),
        ("components", ("estimate",), "component", fit.components),
    ):
        with (HERE / "tables" / f"{{name}}.csv").open(encoding="utf-8", newline="") as file:
            written = list(csv.DictReader(file))
        different = different or len(frame) != len(written)
        for new, old in zip(frame.to_dict("records"), written):
            same = all(
                math.isclose(number(new[name]), number(old[name]), rel_tol=1e-8, abs_tol=1e-14)
                or not (math.isfinite(number(new[name])) or math.isfinite(number(old[name])))
                for name in columns
            )
            different = different or not same
            shown = " ".join(f"{{name}} {{number(new[name]):.6g}}" for name in columns)
            print(("same  " if same else "DIFFERS ") + ascii(old[key])[1:-1] + ": " + shown)
    print("Numbers differ." if different else "Every coefficient and component is the same.")
    return int(different)


'''
_TAIL = """\
if __name__ == "__main__":
    sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Call:
    """The call that makes the pools of a report: the table as it was named, its SHA-256, the keywords, named roles."""

    table: str
    sha256: str
    choices: Mapping[str, Any]
    roles: Mapping[str, str] = field(default_factory=dict[str, str])


def decision_words(decisions: Iterable[Any]) -> list[dict[str, Any]]:
    """Return decisions about findings as the mappings that `accept` takes."""
    names = ("finding", "action", "reason", "by", "values", "rows")
    return [{name: _plain(getattr(one, name)) for name in names if getattr(one, name)} for one in decisions]


def reproduce_script(call: Call) -> str:
    """Return the script; texts of the table and of the request stand in it as Python literals only.

    >>> script = reproduce_script(Call("trials.csv", "ab12", {"outcome": "pain", "level": 0.9}))
    >>> "CHOICES = {'outcome': 'pain', 'level': 0.9}" in script
    True
    """
    script = f"{_HEAD}{_POOLED}{_FIND}{_POOLS}{_TAIL}"
    return _written(script, call, what="pooled numbers", file="pooled")


def reproduce_levels(call: Call) -> str:
    """Return the script for one model of dependent effects, whose keywords are those of `multilevel`.

    >>> "mb.multilevel(" in reproduce_levels(Call("trials.csv", "ab12", {"random": ("CHE",)}))
    True
    """
    script = f"{_HEAD}{_LEVELLED}{_FIND}{_LEVELS}{_TAIL}"
    return _written(script, call, what="coefficients and components", file="coefficients")


def _written(script: str, call: Call, **words: str) -> str:
    """Fill in the table, its hash and the choices as literals."""
    choices = {name: _plain(value) for name, value in call.choices.items() if not _nothing(value)}
    return script.format(
        **words,
        table=ascii(call.table),
        sha256=ascii(call.sha256),
        choices=pformat(choices, width=100, sort_dicts=False),
        roles=pformat(_plain(call.roles), width=100, sort_dicts=False),
    )


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, Sequence | Mapping) and not value)


def _plain(value: Any) -> Any:
    """Return a value as what its literal makes again."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, tuple | list):
        return tuple(_plain(part) for part in cast("Sequence[Any]", value))
    return value if isinstance(value, str | int | float | bool | None) else str(value)
