"""What a report that was made in Python keeps of its making: its table or its effects, and the calls that followed."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import pandas as pd

from metaback.checks.decisions import Decision
from metaback.data.trials import Source, Trials, make_trials
from metaback.design.random_terms import KnownCorrelation
from metaback.effects.choices import EffectChoices
from metaback.effects.dependence import SamplingCovariance
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.instruments import Instrument
from metaback.errors import FileError, MetabackError
from metaback.models.specs import PoolSpec, chosen
from metaback.report.kept_values import NotKeptError, kept_text, restored_text
from metaback.report.records import csv_text, json_text, restored
from metaback.report.reproduce import decision_words
from metaback.stats.blocks import BlockMatrix

TABLE = "tables/input.csv"
VALUES = "inputs.json"
EFFECTS = "effects"  # the input that stands in the place of a table
NAME = "recipe.json"
SCHEMA = "metaback/recipe"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """The name of an input of a call that is no plain value and is kept beside the calls."""

    name: str


@dataclass(frozen=True)
class Made:
    """How a result was made: the table as it was read, and the calls in order, each with its words.

    trials: None where effects were given instead, which `inputs` has as "effects". calls: "pool", "pool_table",
    "regress" or "multilevel" first; then "item" (one comparison of a table), "update" and "robust". inputs: values that
    words of the calls name by `Kept`: effects, covariances, known correlations.
    """

    trials: Trials | None
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def told(self) -> dict[str, str]:
        """Return what the provenance of a report says of its recipe."""
        return {"recipe": NAME} | ({"keeps": VALUES} if self.trials is None else {})

    @property
    def source(self) -> str:
        """Return the name of the table or of the effects."""
        return self.inputs[EFFECTS].source if self.trials is None else self.trials.source.name

    def then(self, verb: str, **words: Any) -> Made:
        """Add a call; what is no plain value among its words goes to the inputs."""
        inputs, told = dict(self.inputs), dict[str, Any]()
        for word, value in words.items():
            told[word] = value
            if _by_name(value):
                name = word if word not in inputs else f"{word} {len(inputs)}"
                inputs[name], told[word] = value, Kept(name)
        return replace(self, calls=(*self.calls, (verb, told)), inputs=inputs)


def made_from(data: Trials | EffectSizes) -> Made:
    """Return how a result begins: with a table, or with effects."""
    return Made(None, (), {EFFECTS: data}) if isinstance(data, EffectSizes) else Made(data)


def _by_name(value: Any) -> bool:
    """Tell whether a word of a call is kept beside it."""
    if isinstance(value, Mapping):
        return any(isinstance(part, KnownCorrelation) for part in cast("Mapping[Any, Any]", value).values())
    return isinstance(value, SamplingCovariance | BlockMatrix)


def call_words(
    spec: PoolSpec, choices: EffectChoices, decisions: Iterable[Decision] = (), **others: Any
) -> dict[str, Any]:
    """Return the keywords of a call of `pool` or `pool_table` that asks for the same, without what says nothing.

    others: the keywords of that verb alone, e.g. `by` and `measure`.
    """
    words = {**others, **chosen(spec), **choices.words(), "accept": decision_words(decisions)}
    return {name: value for name, value in words.items() if value is not None and not _empty(value)}


def kept_files(made: Made, **look: Any) -> dict[str, bytes | str]:
    """Return the recipe that makes a report again, and what it needs: the table as CSV with every digit, the inputs.

    look: how the report is written, as `Results.report` takes it. Nothing where an input cannot be kept.
    """
    calls = [{"verb": verb, "words": _plain(words)} for verb, words in made.calls]
    recipe = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "calls": calls, "report": _plain(look)}
    files: dict[str, bytes | str] = {}
    if made.inputs:
        try:
            files[VALUES] = kept_text(made.inputs)
        except NotKeptError:
            return {}
    if made.trials is not None:
        files[TABLE], recipe["table"] = _table(made.trials)
    return files | {NAME: json_text(recipe)}


def _table(trials: Trials) -> tuple[str, dict[str, Any]]:
    """Return a table as CSV, and what brings it back from there."""
    frame = trials.frame
    columns = [_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    rows = zip(*(cells for _, cells in columns), strict=True)
    source = asdict(trials.source)
    return csv_text([str(name) for name in frame.columns], rows), {
        "columns": [kind for kind, _ in columns],
        "roles": {role: str(column) for role, column in trials.roles.items()},
        "rows": list(trials.rows),
        "source": source | {"roles": _plain(trials.source.roles), "notes": list(trials.source.notes)},
        "notes": list(trials.notes),
    }


def read_kept(files: Mapping[str, bytes]) -> tuple[Made, dict[str, Any]]:
    """Return how a report was made, and how it was written, from the files that it keeps, by name.

    Raises `FileError` where they cannot be read, and `DataError` for a table that no reader would take.
    """
    try:
        record = json.loads(files[NAME])
        if (record["schema"], record["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
            raise FileError(f"The {NAME} of the report is of another version.")
        inputs = restored_text(files[VALUES].decode("utf-8")) if VALUES in files else {}
        trials = _trials(record["table"], files[TABLE].decode("utf-8")) if "table" in record else None
        if trials is None:
            _check_effects(inputs)
        calls = tuple((str(call["verb"]), _given(_mapping(call["words"]), inputs)) for call in record["calls"])
        look = _mapping(record["report"])
    except MetabackError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise FileError(f"What the report keeps of its making ({NAME}) cannot be read: {error}") from error
    return Made(trials, calls, inputs), look


def _check_effects(inputs: Mapping[str, Any]) -> None:
    """Refuse inputs without effects."""
    if not isinstance(inputs.get(EFFECTS), EffectSizes):
        raise TypeError("neither a table nor effects are there")


def _given(words: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Put the inputs in the place of their names."""
    return {word: inputs[_mapping(value)["kept"]] if _is_kept(value) else value for word, value in words.items()}


def _is_kept(value: Any) -> bool:
    return isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"kept"}


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError(f"{found!r} is no record")
    return cast("dict[str, Any]", found)


def _trials(said: Mapping[str, Any], text: str) -> Trials:
    """Make the table again, and check it as any table is checked."""
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    names = [restored(name) for name in head]
    if len(names) != len(said["columns"]) or len(rows) != len(said["rows"]):
        raise ValueError(f"{TABLE} has other rows or columns than were written")
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    series = [_series(kind, column) for kind, column in zip(said["columns"], cells, strict=True)]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = pd.Index(names)
    was = said["source"]
    numbers = (int(was["rows"]), int(was["columns"]))
    known = Source(str(was["name"]), str(was["sha256"]), *numbers, dict(was["roles"]), tuple(map(str, was["notes"])))
    roles, labels = dict(said["roles"]), tuple(map(str, said["rows"]))
    make_trials(frame, labels, known, roles)
    return Trials(frame, roles, labels, known, tuple(said["notes"]))


def _column(values: pd.Series[Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what kind of values a column holds, and each as a text that brings it back."""
    cells: list[Any] = values.tolist()
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = {"kind": "category", "values": _plain(list(values.cat.categories)), "ordered": bool(values.cat.ordered)}
        return names, ["" if code < 0 else str(code) for code in values.cat.codes.tolist()]
    blank = values.isna().tolist()
    missing = [place for place, nothing in enumerate(blank) if nothing]
    there = [cell for cell, nothing in zip(cells, blank, strict=True) if not nothing]
    kind = "number" if values.dtype.kind == "f" else _kind(there)
    texts = ["" if nothing else _WRITE[kind](cell) for cell, nothing in zip(cells, blank, strict=True)]
    return {"kind": kind, **({"missing": missing} if missing and kind != "number" else {})}, texts


def _kind(cells: Sequence[Any]) -> str:
    """Name the kind of a column; one of several kinds of values is "mixed"."""
    types: set[type] = {type(cell) for cell in cells}
    if types <= {bool}:
        return "flag" if types else "text"
    if types == {int}:
        return "whole"
    if types == {float}:
        return "number"
    return "mixed" if types & {bool, int, float} else "text"


def _mixed(cell: Any) -> str:
    """Write a value of a column with several kinds of them."""
    return json.dumps(cell if isinstance(cell, bool | int | float | str) else str(cell), ensure_ascii=False)


_WRITE: Mapping[str, Callable[[Any], str]] = {
    "flag": lambda cell: "true" if cell else "false",
    "whole": str,
    "number": repr,
    "text": str,
    "mixed": _mixed,
}
_READ: Mapping[str, Callable[[str], Any]] = {
    "flag": lambda text: {"true": True, "false": False}[text],
    "whole": int,
    "number": lambda text: float(text) if text else math.nan,
    "text": str,
    "mixed": json.loads,
}


def _series(kind: Mapping[str, Any], cells: Sequence[str]) -> pd.Series[Any]:
    """Bring a column back."""
    if kind["kind"] == "category":
        codes = [int(cell) if cell else -1 for cell in cells]
        return pd.Series(pd.Categorical.from_codes(codes, kind["values"], ordered=kind["ordered"]))
    read, missing = _READ[kind["kind"]], frozenset(kind.get("missing", ()))
    values = [None if place in missing else read(restored(cell)) for place, cell in enumerate(cells)]
    if kind["kind"] == "number":
        return pd.Series(values, dtype=float)
    return pd.Series(values, dtype=object) if missing and kind["kind"] != "text" else pd.Series(values)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, np.ndarray):
        return _plain(cast("Any", value).tolist())
    if isinstance(value, Kept | Instrument):
        named = {"kept": value.name} if isinstance(value, Kept) else asdict(value)
        return _plain({name: part for name, part in named.items() if part is not None})
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in cast("Sequence[Any]", value)]
    if value is None or isinstance(value, bool | np.bool):
        return None if value is None else bool(cast("bool", value))
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else str(value)


def _empty(value: Any) -> bool:
    return isinstance(value, Sequence | Mapping) and not value
