"""Results as data: one JSON record and two tidy CSV tables, at full precision and the same bytes each time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.numbers import parse_number, written
from metaback.postestimation.assumed import AssumedR
from metaback.postestimation.fit_statistics import FitStatistics, pool_statistics
from metaback.postestimation.summary import Analysis, Heterogeneity, PoolSummary, Subgroups, SubgroupTest, Working
from metaback.postestimation.words import comparison, natural_values
from metaback.report.words import well_formed

SCHEMA = "metaback/results"
SCHEMA_VERSION = 1
TIDY = (
    "term",
    "estimate",
    "se",
    "statistic",
    "df",
    "p_value",
    "ci_low",
    "ci_high",
    "pi_low",
    "pi_high",
    "k",
    "n",
    "scale",
)
POOLED_COLUMNS = (
    *TIDY,
    "studies",
    "measure",
    "comparison",
    "outcome",
    "treatment_1",
    "treatment_2",
    "subgroup_by",
    "subgroup",
    "level",
    "tau2",
    "tau2_low",
    "tau2_high",
    "i2_tau2",
    "i2_low",
    "i2_high",
    "i2_q",
    "h2",
    "h2_low",
    "h2_high",
    "tau",
    "tau_low",
    "tau_high",
    "q",
    "q_df",
    "q_p",
)
STUDY_COLUMNS = (
    "comparison",
    "outcome",
    "treatment_1",
    "treatment_2",
    "row",
    "study",
    "cluster",
    "subgroup_by",
    "subgroup",
    "measure",
    "scale",
    "estimable",
    "yi",
    "vi",
    "sei",
    "weight",
    "route",
    "correction",
    "score_type",
    "standardiser",
    "reason",
)
_FORMULA = re.compile("'*(?:\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
_TO_QUOTE = re.compile('[,"\r\n]')
Cell = str | float | int | bool | None


def results_record(
    analyses: Sequence[Analysis], *, title: str | None = None, provenance: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return all results as plain JSON values in a fixed order; a number that does not exist is None.

    Estimates, variances and weights are on the analysis scale (logarithms for ratios); `natural` repeats pooled
    effects as a reader expects them, with the `size` that a double arcsine or double square root came back with.
    Numbers are rounded to 12 significant digits.
    """
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "title": title,
        "provenance": dict(provenance) if provenance is not None else None,
        "comparisons": [analysis_record(analysis) for analysis in analyses],
    }


def analysis_record(analysis: Analysis) -> dict[str, Any]:
    """Return one comparison as plain JSON values."""
    effects, context = analysis.fitted.effects, analysis.fitted.effects.context
    return {
        "title": comparison(analysis).title,
        "source": effects.source,
        "outcome": context.outcome,
        "treatment_1": context.treatment_1,
        "treatment_2": context.treatment_2,
        "higher_is_better": context.higher_is_better,
        "measure": effects.measure,
        "measure_options": dict(effects.options),
        "scale": analysis.overall.mean.scale,
        "model": analysis.spec.model_dump(mode="json"),
        "overall": _pool_record(analysis.overall),
        "fit_statistics": fit_record(pool_statistics(analysis)),
        "subgroups": subgroups_record(analysis.subgroups),
        **_assumed_record(analysis.assumed),
        **_working_record(analysis.working),
        "studies": _studies_record(analysis),
        "notes": list(dict.fromkeys(analysis.overall.notes)),
    }


def fit_record(found: FitStatistics) -> dict[str, Any]:
    """Return fit statistics as plain values; what does not exist is None."""
    both: dict[str, Any] = {"maximised": found.maximised, "parameters": found.parameters}
    for name, part in (("ml", found.ml), ("reml", found.reml)):
        numbers = {key: _number(getattr(part, key)) for key in ("loglik", "deviance", "aic", "aicc", "bic")}
        both[name] = {**numbers, "size": part.size}
    return both


def _assumed_record(assumed: AssumedR | None) -> dict[str, Any]:
    """Return the assumed pre-post correlation and the pools under others, nothing where none was assumed."""
    if assumed is None:
        return {}
    return {"assumed_r": {"r": _number(assumed.r), "rows": assumed.rows, "grid": assumed_rows(assumed)}}


def _working_record(working: Working | None) -> dict[str, Any]:
    """Return the model of rows that depend on each other and what it stands beside, nothing where none does."""
    if working is None:
        return {}
    other = working.naive if working.primary else working.pool
    return {
        "dependence": {
            "answer": "working model" if working.primary else "rows as independent",
            "why": working.why,
            "rho": _number(working.spec.rho),
            "components": [
                {
                    "name": part.name,
                    "tau2": _number(part.tau2),
                    "tau2_low": _number(part.low),
                    "tau2_high": _number(part.high),
                    "i2": _number(part.i2),
                    "told_apart": part.told,
                }
                for part in working.components
            ],
            "beside": _pool_record(other),
            "interval_ratio": _number(working.widened),
            "grid": [
                {"rho": _number(part.rho), **_estimate_record(part.mean), "tau2": _number(part.tau2)}
                for part in working.grid
            ],
            "sentences": list(working.sentences),
        }
    }


def assumed_rows(assumed: AssumedR | None) -> list[dict[str, Cell]]:
    """Return one row of plain values per correlation of the grid."""
    if assumed is None:
        return []
    rows: list[dict[str, Cell]] = []
    for r, mean, tau2, k in zip(assumed.grid, assumed.means, assumed.tau2, assumed.k, strict=True):
        known = {} if mean is None else _estimate_record(mean)
        kept = {
            name: value for name, value in known.items() if name not in {"distribution", "level", "natural", "test"}
        }
        rows.append({"r": _number(r), **kept, "tau2": _number(tau2), "k": k})
    return rows


def json_text(record: Mapping[str, Any]) -> str:
    """Write a record as UTF-8 JSON text; refuses nan and infinities."""
    return well_formed(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def pooled_csv(analyses: Sequence[Analysis]) -> str:
    """Return one row per pool: fixed tidy columns first, then what the pool is and its heterogeneity."""
    rows = [row for number, analysis in enumerate(analyses, 1) for row in pooled_rows(number, analysis)]
    return csv_text(POOLED_COLUMNS, rows)


def studies_csv(analyses: Sequence[Analysis]) -> str:
    """Return one row per row of the file that was asked for, pooled or not, with the raw numbers last."""
    roles = tuple(dict.fromkeys(role for analysis in analyses for role in analysis.fitted.effects.inputs))
    rows: list[tuple[Cell, ...]] = []
    for number, analysis in enumerate(analyses, 1):
        known = _known_of(number, analysis)
        rows += [
            tuple({**known, **study}.get(name) for name in (*STUDY_COLUMNS, *roles)) for study in study_rows(analysis)
        ]
    return csv_text((*STUDY_COLUMNS, *roles), rows)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Write a table as CSV with plain line feeds; text that a spreadsheet would run as a formula is defused."""
    lines = [",".join(_quoted(_cell(value)) for value in row) for row in (head, *rows)]
    return well_formed("\n".join([*lines, ""]))


def defused(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run; `restored` takes it away again."""
    return f"'{text}" if _FORMULA.match(text) and parse_number(text) is None else text


def restored(text: str) -> str:
    """Return the text that `defused` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _quoted(text: str) -> str:
    """Quote a cell that holds a comma, a quote or any line end (the csv module forgets the lone carriage return)."""
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return defused(value)
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    number = written(value)
    return "" if number is None else repr(number)


def _number(value: float | None) -> float | None:
    return None if value is None else written(value)


def _estimate_record(estimate: Estimate) -> dict[str, Any]:
    point, low, high = natural_values(estimate)
    return {
        "estimate": _number(estimate.point),
        "se": _number(estimate.se),
        "statistic": _number(estimate.statistic),
        "test": estimate.test or None,
        "distribution": _distribution(estimate.df),
        "df": _number(estimate.df),
        "p_value": _number(estimate.p_value),
        "ci_low": _number(estimate.lower),
        "ci_high": _number(estimate.upper),
        "level": _number(estimate.level),
        "scale": estimate.scale,
        "natural": {"estimate": _number(point), "ci_low": _number(low), "ci_high": _number(high), **_size(estimate)},
    }


def _distribution(df: float) -> str | None:
    """Name the distribution of a quantile; None for a rule that has another one than t and the normal."""
    if math.isnan(df):
        return None
    return "normal" if math.isinf(df) else "t"


def _prediction_record(prediction: Estimate | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    _, low, high = natural_values(prediction)
    return {
        "pi_low": _number(prediction.lower),
        "pi_high": _number(prediction.upper),
        "se": _number(prediction.se),
        "distribution": _distribution(prediction.df),
        "df": _number(prediction.df),
        "level": _number(prediction.level),
        "natural": {"pi_low": _number(low), "pi_high": _number(high), **_size(prediction)},
    }


def _size(estimate: Estimate) -> dict[str, float | None]:
    """Return the size with which an estimate came back to the natural scale, where the way back needs one."""
    return {} if estimate.size is None else {"size": _number(estimate.size)}


def _heterogeneity_record(found: Heterogeneity) -> dict[str, Any]:
    return {
        "q": _number(found.q),
        "q_df": found.q_df,
        "q_p": _number(found.q_p),
        "tau2": _number(found.tau2),
        "tau2_low": _number(found.tau2_low),
        "tau2_high": _number(found.tau2_high),
        "i2_q": _number(found.i2_q),
        "i2_tau2": _number(found.i2_tau2),
        "i2_low": _number(found.i2_low),
        "i2_high": _number(found.i2_high),
        "h2": _number(found.h2),
        "h2_low": _number(found.h2_low),
        "h2_high": _number(found.h2_high),
        "tau": _number(found.tau),
        "tau_low": _number(found.tau_low),
        "tau_high": _number(found.tau_high),
    }


def _pool_record(pool: PoolSummary) -> dict[str, Any]:
    return {
        "k": pool.k,
        "studies": pool.studies,
        "n": pool.n,
        "mean": _estimate_record(pool.mean),
        "prediction": _prediction_record(pool.prediction),
        "heterogeneity": _heterogeneity_record(pool.heterogeneity),
        "notes": list(pool.notes),
    }


def subgroups_record(groups: Subgroups | None) -> dict[str, Any] | None:
    """Return the pools of subgroups and the test between them as plain JSON values, on the analysis scale."""
    if groups is None:
        return None
    test = groups.test
    return {
        "by": groups.name,
        "tau2": groups.tau2,
        "test": None if test is None else _difference_record(test),
        "pools": [
            {"subgroup": level, **_pool_record(pool)} for level, pool in zip(groups.levels, groups.pools, strict=True)
        ],
    }


def _difference_record(test: SubgroupTest) -> dict[str, Any]:
    """Return the test of differences; an F test has `f` and `df2` besides q = f df, a chi-square test has not."""
    f_test = {} if test.f is None else {"f": _number(test.f), "df2": _number(test.df2)}
    return {"q": _number(test.q), "df": test.df, **f_test, "p_value": _number(test.p_value)}


def _studies_record(analysis: Analysis) -> list[dict[str, Any]]:
    roles = tuple(analysis.fitted.effects.inputs)
    return [
        {
            **{name: study[name] for name in STUDY_COLUMNS if name in study},
            "inputs": {role: study[role] for role in roles},
        }
        for study in study_rows(analysis)
    ]


def study_rows(analysis: Analysis) -> list[dict[str, Cell]]:
    """Return one row of plain values per row of the file."""
    effects = analysis.fitted.effects
    return [_study(effects, analysis.overall.weights.tolist(), i) for i in range(len(effects.labels))]


def _study(effects: EffectSizes, weights: Sequence[float], i: int) -> dict[str, Cell]:
    variance = float(effects.vi[i])
    return {
        **{role: _number(float(column[i])) for role, column in effects.inputs.items()},
        "row": effects.rows[i],
        "study": effects.labels[i],
        "cluster": int(effects.clusters[i]),
        "subgroup": effects.by[i] if effects.by is not None else None,
        "estimable": bool(effects.estimable[i]),
        "yi": _number(float(effects.yi[i])),
        "vi": _number(variance),
        "sei": _number(math.sqrt(variance)) if variance >= 0 else None,
        "weight": _number(weights[i]),
        "route": effects.obtained[i],
        "correction": effects.corrections[i] or None,
        "score_type": (effects.score_types[i] or None) if effects.score_types else None,
        "standardiser": (effects.standardisers[i] or None) if effects.standardisers else None,
        "reason": effects.reasons[i] or None,
    }


def _known_of(number: int, analysis: Analysis) -> dict[str, Cell]:
    effects, context = analysis.fitted.effects, analysis.fitted.effects.context
    return {
        "comparison": number,
        "outcome": context.outcome,
        "treatment_1": context.treatment_1,
        "treatment_2": context.treatment_2,
        "subgroup_by": effects.by_name,
        "measure": effects.measure,
        "scale": analysis.overall.mean.scale,
    }


def pooled_rows(number: int, analysis: Analysis) -> list[tuple[Cell, ...]]:
    """Return one row of `POOLED_COLUMNS` per pool: overall, then subgroups."""
    known = _known_of(number, analysis)
    named: list[tuple[str, str | None, PoolSummary]] = [("overall", None, analysis.overall)]
    if analysis.subgroups is not None:
        groups = zip(analysis.subgroups.levels, analysis.subgroups.pools, strict=True)
        named += [(level, level, pool) for level, pool in groups]
    else:
        known["subgroup_by"] = None
    return [
        tuple({**known, **_pooled_row(pool), "term": term, "subgroup": level}.get(name) for name in POOLED_COLUMNS)
        for term, level, pool in named
    ]


def _pooled_row(pool: PoolSummary) -> dict[str, Cell]:
    mean, prediction = pool.mean, pool.prediction
    return {
        "estimate": mean.point,
        "se": mean.se,
        "statistic": mean.statistic,
        "df": mean.df,
        "p_value": mean.p_value,
        "ci_low": mean.lower,
        "ci_high": mean.upper,
        "pi_low": prediction.lower if prediction else None,
        "pi_high": prediction.upper if prediction else None,
        "k": pool.k,
        "n": pool.n,
        "scale": mean.scale,
        "studies": pool.studies,
        "level": mean.level,
        **_heterogeneity_record(pool.heterogeneity),
    }
