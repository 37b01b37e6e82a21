"""Plans as TOML text: a plan with everything resolved, and a commented one to begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, cast

from metaback.data.comparisons import comparisons
from metaback.data.trials import Trials
from metaback.effects.compute import default_measure
from metaback.errors import DataError, OptionError
from metaback.models.multilevel_spec import MultilevelSpec, said_in
from metaback.models.plans import Plan
from metaback.models.specs import PoolSpec
from metaback.report.words import one_line

HEAD = (
    "# Made by metaback: the plan with every choice resolved. `metaback pool --plan` on it makes the same analysis.\n"
)
LISTED = 20  # comparisons that a first plan names
BARE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


def resolved_toml(plan: Plan, spec: PoolSpec) -> str:
    """Return a plan with the choices that its preset made, as TOML that reads back to the same plan."""
    content = plan.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    content["model"] = {**content.get("model", {}), **spec.model_dump(mode="json", exclude_none=True)}
    if spec.model in ("equal", "fixed"):  # these have no tau2, and saying one is refused
        for name in ("tau2", "pi", "subgroup_tau2"):
            content["model"].pop(name, None)
    return HEAD + toml_text(content)


def resolved_levels_toml(plan: Plan, spec: MultilevelSpec, said: Mapping[str, Any]) -> str:
    """Return the plan of one model of dependent effects with every choice resolved, as TOML that makes the same model.

    said: what the run asked for, of which outcome, compare, measure, V ("table") and rho are written down. What a plan
    said of pools is left out where a run made one model in their place.
    """
    content = plan.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    model = content.get("model", {})
    kept = {name: model[name] for name in ("preset",) if name in model}
    kept |= {name: said[key] for name, key in (("covariance", "V"), ("rho", "rho")) if said.get(key) is not None}
    own: dict[str, Any] = {name: value for name, value in said_in(spec).items() if value not in (None, {}, ())}
    parts = (("analysis", "outcome"), ("analysis", "compare"), ("effect", "measure"))
    for section, name in parts:
        if said.get(name) is not None:
            value: Any = said[name]
            content.setdefault(section, {})[name] = list(value) if name == "compare" else value
    if plan.model.random is None:
        for name in ("subgroup", "sensitivity"):
            content.pop(name, None)
        content.get("analysis", {}).pop("by", None)
    content["model"] = kept | {name: list(part) if name in ("random", "struct") else part for name, part in own.items()}
    return HEAD + toml_text(content)


def toml_text(content: Mapping[str, Any]) -> str:
    """Return a mapping of plain values as TOML: first values, then sections, then lists of sections.

    >>> print(toml_text({"model": {"tau2": "REML", "level": 0.95}, "deviation": [{"date": "2026-03-01"}]}))
    [model]
    tau2 = "REML"
    level = 0.95
    <BLANKLINE>
    [[deviation]]
    date = "2026-03-01"
    <BLANKLINE>
    """
    return "\n".join(_lines(content, ()))


def _lines(content: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Write one section and those below it."""
    plain = {name: value for name, value in content.items() if not isinstance(value, Mapping) and not _sections(value)}
    lines = [f"{_key(name)} = {_value(value)}" for name, value in plain.items()]
    if path and lines:
        lines = [f"[{'.'.join(map(_key, path))}]", *lines]
    lines += [""] if lines else []
    for name, value in content.items():
        if isinstance(value, Mapping):
            lines += _lines(cast("Mapping[str, Any]", value), (*path, name))
        elif _sections(value):
            for part in cast("Sequence[Mapping[str, Any]]", value):
                lines += [f"[[{'.'.join(map(_key, (*path, name)))}]]"]
                lines += [f"{_key(key)} = {_inline(item)}" for key, item in part.items()]
                lines += [""]
    return lines


def _sections(value: object) -> bool:
    """Tell whether a value is a list of sections."""
    parts = cast("list[object]", value) if isinstance(value, list) else []
    return bool(parts) and all(isinstance(part, Mapping) for part in parts)


def _inline(value: Any) -> str:
    """Write a value that may be a mapping in one line."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(k))} = {_inline(v)}" for k, v in cast("Mapping[str, Any]", value).items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return _value(value)


def _value(value: Any) -> str:
    """Write one value; texts with the escapes that JSON and TOML share."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(part) for part in cast('Sequence[Any]', value))}]"
    if isinstance(value, int | float):
        return repr(value)
    return _quoted(str(value))


def _key(name: str) -> str:
    """Write a key, in quotes where it needs them."""
    return name if name and all(sign in BARE for sign in name) else _quoted(name)


def _quoted(text: str) -> str:
    """Write a text in quotes with the escapes that JSON and TOML share; TOML escapes one sign more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def first_plan(trials: Trials, file: str) -> str:
    """Return a commented plan for a table: what it holds, what would be done with it, and what people have to add."""
    try:
        measure = f'measure = "{default_measure(trials)}"'
    except (DataError, OptionError):
        measure = '# measure = "SMD"'
    try:
        found = [part for part in comparisons(trials) if part.outcome or part.treatment_1]
    except DataError:
        found = []
    first = found[0] if found else None
    pair = (
        [first.treatment_1, first.treatment_2] if first is not None and first.treatment_1 else ["treatment", "control"]
    )
    return Template(
        files("metaback.report").joinpath("templates", "plan.toml.txt").read_text(encoding="utf-8")
    ).substitute(
        file=_value(file),
        sha256=trials.source.sha256 or "...",
        roles="\n".join(f"# {_key(role)} = {_value(column)}" for role, column in trials.roles.items()),
        comparisons="\n".join(f"#   {one_line(part.name)}: {len(part.trials)} rows" for part in found[:LISTED]) or "#",
        outcome=_value(first.outcome if first is not None else ""),
        compare=_value(pair),
        by='by = "stratum"' if "stratum" in trials.roles else '# by = "column"',
        measure=measure,
    )
