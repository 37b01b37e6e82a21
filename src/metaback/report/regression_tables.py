"""A meta-regression as tidy frames and plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.numbers import written
from metaback.postestimation.fit_statistics import regression_statistics
from metaback.postestimation.group_comparison import GroupComparison
from metaback.postestimation.regression import JointTest, Prediction, RegressionAnalysis
from metaback.postestimation.regression_contrasts import Contrasts
from metaback.postestimation.regression_robust import RobustCoefficients
from metaback.report.records import fit_record

TIDY = ("term", "estimate", "se", "statistic", "df", "p_value", "ci_low", "ci_high")


def coefficients_frame(analysis: RegressionAnalysis, *, transform: str | None = None) -> pd.DataFrame:
    """Return one tidy row per coefficient.

    transform: "natural" turns estimates and limits of a log scale into ratios (a slope into the ratio per unit).
    """
    if transform not in (None, "natural"):
        raise OptionError.unknown("transform", transform, ["natural"])
    rows = [_row(name, estimate) for name, estimate in analysis.coefficients.items()]
    if transform == "natural":
        for row, estimate in zip(rows, analysis.coefficients.values(), strict=True):
            row["estimate"], row["ci_low"], row["ci_high"] = estimate.natural()
            row["scale"] = "natural" if estimate.scale == "log" else estimate.scale
    return pd.DataFrame(rows)


def _row(name: str, estimate: Estimate) -> dict[str, Any]:
    """Return the tidy row of one estimate."""
    values = (estimate.point, estimate.se, estimate.statistic, estimate.df, estimate.p_value)
    row: dict[str, Any] = dict(zip(TIDY, (name, *values, estimate.lower, estimate.upper), strict=True))
    return row | {"scale": estimate.scale}


def contrasts_frame(found: Contrasts) -> pd.DataFrame:
    """Return one tidy row per contrast, with its adjusted p value."""
    rows = [_row(item.name, item.estimate) | {"p_adjusted": item.p_adjusted} for item in found.items]
    return pd.DataFrame(rows)[[*TIDY[:6], "p_adjusted", *TIDY[6:], "scale"]]


def terms_frame(analysis: RegressionAnalysis) -> pd.DataFrame:
    """Return one row per term of the formula: its test, and its (generalised) variance inflation factor."""
    names = ("term", "statistic", "df", "df_residual", "p_value", "gvif", "gsif")
    rows = [
        (t.name, t.test.statistic, t.test.df, t.test.df_residual, t.test.p_value, t.gvif, t.gsif)
        for t in analysis.terms
    ]
    return pd.DataFrame(rows, columns=list(names))


def predictions_frame(
    found: Iterable[Prediction], labels: Mapping[str, Iterable[Any]], *, transform: str | None = None
) -> pd.DataFrame:
    """Return one row per prediction: its labels, the mean with its interval, and the prediction interval.

    transform: "natural" carries estimates and limits back to the natural scale (ratios, proportions, ...).
    """
    if transform not in (None, "natural"):
        raise OptionError.unknown("transform", transform, ["natural"])
    rows: list[dict[str, Any]] = []
    for one in found:
        mean, new = one.mean, one.interval
        point, low, high = (mean.point, mean.lower, mean.upper) if transform is None else mean.natural()
        wide = (math.nan, math.nan) if new is None else (new.lower, new.upper)
        if new is not None and transform is not None:
            wide = new.natural()[1:]
        ends = {"ci_low": low, "ci_high": high, "pi_low": wide[0], "pi_high": wide[1]}
        rows.append({"estimate": point, "se": mean.se, "df": mean.df, **ends, "scale": transform or mean.scale})
    frame = pd.DataFrame(rows, columns=["estimate", "se", "df", "ci_low", "ci_high", "pi_low", "pi_high", "scale"])
    for position, (name, values) in enumerate(labels.items()):
        frame.insert(position, name, list(values), allow_duplicates=True)
    return frame


def pairs_frame(found: GroupComparison) -> pd.DataFrame:
    """Return one row per pair of subgroups: second minus first."""
    rows = [_row(f"{p.second} - {p.first}", p.estimate) | {"p_adjusted": p.p_adjusted} for p in found.pairs]
    return pd.DataFrame(rows)[[*TIDY[:6], "p_adjusted", *TIDY[6:], "scale"]]


def regression_record(analysis: RegressionAnalysis) -> dict[str, Any]:
    """Return everything as plain JSON values, numbers rounded to 12 digits."""
    spec, fit = analysis.fitted.spec, analysis.fitted.fit
    spread = analysis.heterogeneity
    return {
        "spec": spec.model_dump(exclude={"pool": {"subgroup_tau2"}}),
        "dependence": _dependence(analysis),
        "measure": analysis.fitted.effects.measure,
        "k": analysis.k,
        "coefficients": [
            {name: _plain(value) for name, value in _row(term, estimate).items()}
            for term, estimate in analysis.coefficients.items()
        ],
        "moderators": _test_record(analysis.moderators),
        "terms": [
            {"term": t.name, "gvif": _plain(t.gvif), "gsif": _plain(t.gsif), "test": _test_record(t.test)}
            for t in analysis.terms
        ],
        "heterogeneity": {name: _plain(getattr(spread, name)) for name in spread.__slots__},
        "r2": _plain(analysis.r2),
        "loglik": _plain(float(fit.loglik)),
        "fit_statistics": fit_record(regression_statistics(analysis.fitted)),
        "left_out": [{"study": study, "row": row, "reason": why} for study, row, why in analysis.left_out],
        "notes": list(analysis.notes),
    }


def _dependence(analysis: RegressionAnalysis) -> dict[str, Any] | None:
    """Return how rows of one study were taken, with the coefficients of the other way; None where no study repeats."""
    if not analysis.repeats:
        return None
    return {
        "answer": "working model" if analysis.dependent else "rows as independent",
        "rho": None if analysis.fitted.effects.cov is not None else _plain(analysis.asked.rho),
        "studies": len(set(analysis.fitted.study.tolist())),
        "components": [
            {"name": part.name, "tau2": _plain(part.tau2), "i2": _plain(part.i2), "told": part.told}
            for part in analysis.components
        ],
        "other": [
            {name: _plain(value) for name, value in _row(term, estimate).items()}
            for term, estimate in analysis.beside.items()
        ],
        "sentences": list(analysis.sentences),
    }


def robust_frame(found: RobustCoefficients) -> pd.DataFrame:
    """Return one tidy row per coefficient under another robust variance."""
    rows = [
        _row(name, one) | {"unseen": found.unseen[name], "kind": found.kind, "clusters": found.clusters}
        for name, one in found.estimates.items()
    ]
    return pd.DataFrame(rows)


def beside_frame(analysis: RegressionAnalysis) -> pd.DataFrame:
    """Return one tidy row per coefficient of the model that is not the answer, empty where no study has two rows."""
    return pd.DataFrame([_row(name, one) for name, one in analysis.beside.items()], columns=[*TIDY, "scale"])


def _test_record(test: JointTest | None) -> dict[str, Any] | None:
    """Return a joint test as plain values."""
    if test is None:
        return None
    numbers = {name: _plain(getattr(test, name)) for name in ("statistic", "df", "df_residual", "p_value")}
    return {"terms": list(test.terms), **numbers}


def _plain(value: Any) -> Any:
    """Return a number as JSON has it: rounded, None where it does not exist; the infinite df of a normal is None."""
    return written(value) if isinstance(value, float) else value
