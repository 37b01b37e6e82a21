"""Plans as TOML text: a plan with everything resolved, and a commented one to begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from metaback.data.comparisons import comparisons
from metaback.data.trials import Trials
from metaback.effects.compute import default_measure
from metaback.errors import DataError, OptionError
from metaback.models.plans import Plan
from metaback.models.specs import PoolSpec
from metaback.report.words import one_line

HEAD = (
    "# Made by metaback: the plan with every choice resolved. `metaback pool --plan` on it makes the same analysis.\n"
)
BARE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


def resolved_toml(plan: Plan, spec: PoolSpec) -> str:
    """Return a plan with the choices that its preset made, as TOML that reads back to the same plan."""
    content = plan.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    content["model"] = {**content.get("model", {}), **spec.model_dump(mode="json", exclude_none=True)}
    if spec.model in ("equal", "fixed"):  # these have no tau2, and saying one is refused
        for name in ("tau2", "pi", "subgroup_tau2"):
            content["model"].pop(name, None)
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
        found = comparisons(trials)
    except DataError:
        found = ()
    pairs = [part for part in found if part.outcome or part.treatment_1]
    listed = [f"#   {one_line(part.name)}: {len(part.trials)} rows" for part in pairs[:20]]
    first = pairs[0] if pairs else None
    roles = [f"# {_key(role)} = {_value(column)}" for role, column in trials.roles.items()]
    by = 'by = "stratum"' if "stratum" in trials.roles else '# by = "column"'
    pair = None if first is None or not first.treatment_1 else [first.treatment_1, first.treatment_2]
    return "\n".join(
        [
            "# The plan of a meta-analysis. Write it before the results are seen, and register its SHA-256, which",
            "# `metaback pool --plan plan.toml --dry-run` prints. A line that begins with # is a comment.",
            "",
            "[question]",
            '# title = "Exercise for low back pain"',
            '# population = ""',
            '# intervention = ""',
            '# comparator = ""',
            '# outcome = ""',
            '# registration = "PROSPERO CRD4202..."',
            "",
            "[data]",
            f"file = {_value(file)}",
            *(
                [f'# sha256 = "{trials.source.sha256}"  # fix the table when extraction is done']
                if trials.source.sha256
                else []
            ),
            "",
            "[data.columns]  # role = column, where the name of the column does not say it; recognised:",
            *roles,
            "",
            "[analysis]  # left out: every outcome and pair of treatments of the table",
            *listed,
            f"# outcome = {_value(first.outcome)}" if first is not None and first.outcome else '# outcome = ""',
            f"# compare = {_value(pair)}" if pair else '# compare = ["treatment", "control"]',
            by,
            "",
            "[effect]",
            measure,
            "# higher_is_better = false",
            "",
            "[model]",
            'preset = "cochrane"  # REML, Hartung-Knapp or wider, prediction interval; or "revman5", "metafor"',
            "",
            "# [[subgroup]]",
            '# column = "stratum"',
            "# prespecified = true",
            "",
            "[[sensitivity]]",
            'name = "DerSimonian-Laird with a normal interval"',
            'tau2 = "DL"',
            'ci = "Wald"',
            "",
            "# [[sensitivity]]",
            '# name = "without high risk of bias"',
            "# exclude = \"rob_overall == 'high'\"",
            "",
            "# [[deviation]]",
            '# date = "2026-03-01"',
            '# what = ""',
            '# why = ""',
            "",
        ]
    )
