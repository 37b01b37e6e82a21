"""A model of dependent effects as tidy frames and as plain values for a record."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from metaback.errors import OptionError
from metaback.numbers import written
from metaback.postestimation.multilevel import Component, Heterogeneities, MultilevelAnalysis
from metaback.postestimation.regression import JointTest
from metaback.report.regression_tables import TIDY


def multilevel_frame(analysis: MultilevelAnalysis, *, transform: str | None = None) -> pd.DataFrame:
    """Return one tidy row per coefficient; transform="natural" turns those of a log scale into ratios."""
    if transform not in (None, "natural"):
        raise OptionError.unknown("transform", transform, ["natural"])
    rows: list[dict[str, Any]] = []
    for name, part in analysis.coefficients.items():
        point, low, high = part.natural() if transform else (part.point, part.lower, part.upper)
        values = (name, point, part.se, part.statistic, part.df, part.p_value, low, high)
        scale = "natural" if transform and part.way != "identity" else part.scale
        rows.append({**dict(zip(TIDY, values, strict=True)), "k": analysis.k, "scale": scale})
    return pd.DataFrame(rows)


def i2_frame(found: Heterogeneities) -> pd.DataFrame:
    """Return the share of each level, of all together, and of each level of a factor from its own rows, in percent."""
    rows = [(part.term, part.variance, part.i2) for part in found.levels]
    if found.total is not None:
        rows.append(("total", sum(part.variance for part in found.levels), found.total))
    rows += [(name, math.nan, value) for name, value in found.inner.items()]
    return pd.DataFrame(rows, columns=["level", "variance", "i2"])


def rows_frame(analysis: MultilevelAnalysis) -> pd.DataFrame:
    """Return each row of the table: study, cluster, effect, standard error, fixed part, and why it is left out.

    Numbers on the analysis scale; nan where a row has none. "" for the cluster of a row that is not in the model.
    """
    fitted = analysis.fitted
    effects, used = fitted.effects, fitted.design.used
    reasons = {row: why for _, row, why in analysis.left_out}
    expected = np.full(used.size, math.nan)
    expected[used] = fitted.design.X @ fitted.fit.beta
    cluster = np.full(used.size, "", dtype=object)
    cluster[used] = np.array(fitted.cluster_names, dtype=object)[fitted.clusters]
    there = effects.estimable
    return pd.DataFrame(
        {
            "study": list(effects.labels),
            "row": list(effects.rows),
            "cluster": cluster,
            "effect": np.where(there, effects.yi, math.nan),
            "se": np.sqrt(np.where(there, effects.vi, math.nan)),
            "expected": expected,
            "remark": [
                "" if use else f"left out: {reasons.get(row, '')}"
                for row, use in zip(effects.rows, used.tolist(), strict=True)
            ],
        }
    )


def multilevel_record(analysis: MultilevelAnalysis) -> dict[str, Any]:
    """Return everything as plain JSON values, numbers rounded to 12 digits."""
    fitted, spread = analysis.fitted, analysis.heterogeneity
    frame = multilevel_frame(analysis)
    return {
        "spec": fitted.spec.model_dump(mode="json"),
        "measure": fitted.effects.measure,
        "k": analysis.k,
        "clusters": len(fitted.cluster_names),
        "coefficients": [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")],
        "moderators": _test(analysis.moderators),
        "components": [_component(part) for part in analysis.components],
        "heterogeneity": {
            "q": _plain(spread.q),
            "q_df": spread.q_df,
            "q_p": _plain(spread.q_p),
            "i2_total": _plain(spread.total),
            "i2": {part.term: _plain(part.i2) for part in spread.levels},
            "typical_variance": _plain(spread.typical),
        },
        "naive": {
            name: {
                "estimate": _plain(part.point),
                "se": _plain(part.se),
                "ci": [_plain(part.lower), _plain(part.upper)],
            }
            for name, part in analysis.naive.items()
        },
        "loglik": _plain(float(fitted.fit.loglik)),
        "left_out": [{"study": study, "row": row, "reason": why} for study, row, why in analysis.left_out],
        "notes": list(analysis.notes),
    }


def _component(part: Component) -> dict[str, Any]:
    """Return a component as plain values."""
    return {
        "name": part.name,
        "term": part.term,
        "kind": part.kind,
        "inner": list(part.inner),
        "estimate": _plain(part.estimate),
        "se": _plain(part.se),
        "levels": part.levels,
        "at_bound": part.at_bound,
        "identifiable": part.identifiable,
        "note": part.why,
    }


def _test(test: JointTest | None) -> dict[str, Any] | None:
    """Return a joint test as plain values."""
    if test is None:
        return None
    numbers = {name: _plain(getattr(test, name)) for name in ("statistic", "df", "df_residual", "p_value")}
    return {"terms": list(test.terms), **numbers}


def _plain(value: Any) -> Any:
    """Return a number as JSON has it: rounded, None where it does not exist; the infinite df of a normal is None."""
    return written(float(value)) if isinstance(value, float) else value
