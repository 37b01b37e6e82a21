"""The self-check: how many digits of what this machine computes are right, and a dated protocol of it.

The exact answers come with the package (`data/selfcheck.json`, computed with 40 digits or more by
`tests/reference/generate_selfcheck.py`, which uses nothing of the package to compute them).
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import FileError
from metaback.models.fitted import Fit
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.numbers import fixed, significant
from metaback.postestimation.analysis import analyse
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.stats.accuracy import right_digits
from metaback.stats.inference import two_sided_p
from metaback.stats.measures import MEASURES, raw_roles
from metaback.stats.regression import joint_p

_HERE = Path(__file__).parent
CASES = (_HERE / "data" / "selfcheck.json", _HERE.parents[1] / "data" / "selfcheck.json")
CLOSED, SEARCHED = 10.0, 8.0  # digits that are promised: of closed forms, and of what is searched for
EFFECTS, EQUAL, LIMITS, I2 = "effect sizes and variances", "equal effects", "interval of tau2", "I2"
TAU2_CLOSED, TAU2_SEARCHED = "tau2 in closed form", "tau2 by search"
MEAN_CLOSED, MEAN_SEARCHED = "mean and interval, tau2 in closed form", "mean and interval, tau2 by search"
LINE, PREDICTION, LIKELIHOOD = "regression on one moderator", "prediction interval", "log-likelihood and deviance"
P_VALUES, TAILS = "p values of pools", "p values down to 1e-300"
PROMISED: Mapping[str, float] = {
    EFFECTS: CLOSED, EQUAL: CLOSED, TAU2_CLOSED: CLOSED, TAU2_SEARCHED: SEARCHED, LIMITS: SEARCHED,
    MEAN_CLOSED: CLOSED, MEAN_SEARCHED: SEARCHED, PREDICTION: SEARCHED, I2: SEARCHED, LINE: SEARCHED,
    LIKELIHOOD: SEARCHED, P_VALUES: SEARCHED, TAILS: SEARCHED,
}  # fmt: skip
BY_SEARCH = frozenset({"PM", "EB", "SJIT", "DLIT", "PMM", "ML", "REML"})  # estimators of tau2 without a closed form
HOLDS, ADMITTED, FAILS = "holds", "not met, admitted", "FAILS"
HEAD = ("quantity", "numbers", "worst_lre", "promised", "worst_case", "verdict")
NIST_HEAD = ("problem", "condition", "coefficients", "standard_errors", "attainable", "promised", "verdict")


@dataclass(frozen=True, slots=True)
class Number:
    """One number that was computed beside its exact value.

    quantity: the line that it belongs to; name: what it is, for a reader; scale: on which 0 must be 0, 1 where unused.
    """

    quantity: str
    name: str
    found: float
    exact: float
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """The worst of all numbers of one quantity: how many there are, right digits, digits promised, which it is."""

    quantity: str
    numbers: int
    worst_lre: float
    promised: float
    worst_case: str
    verdict: str


@dataclass(frozen=True, slots=True)
class NistLine:
    """One of NIST's regressions: right digits of every coefficient and of every standard error.

    condition: of the columns at unit length. attainable: digits that exact arithmetic leaves of the coefficients and
    standard errors once the columns are rounded to doubles. promised: fewer than elsewhere where that is admitted.
    """

    problem: str
    condition: float
    beta: tuple[float, ...]
    se: tuple[float, ...]
    attainable: tuple[float, float]
    promised: tuple[float, float]
    verdict: str


@dataclass(frozen=True, slots=True, repr=False)
class SelfCheck:
    """What `selfcheck` found: a line per quantity, a line per regression of NIST, and where it was found.

    pools: data sets by name, each with what is special about it; measures: keys of the effect measures.
    machine: versions, platform and architecture, by name; sha256: of the file of exact values.
    """

    lines: tuple[Line, ...]
    nist: tuple[NistLine, ...]
    pools: Mapping[str, str]
    measures: frozenset[str]
    machine: Mapping[str, str]
    sha256: str

    @property
    def ok(self) -> bool:
        """Tell whether every promise holds, or is not met where that is admitted beforehand."""
        return not any(line.verdict == FAILS for line in (*self.lines, *self.nist))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per quantity and per regression of NIST: numbers, worst LRE, promise, worst case, verdict."""
        nist = [(f"NIST {n.problem}", len(n.beta) + len(n.se), *_worst_of(n), n.verdict) for n in self.nist]
        rows = [tuple(getattr(line, name) for name in HEAD) for line in self.lines]
        return pd.DataFrame([*rows, *nist], columns=list(HEAD))

    def __repr__(self) -> str:
        """Return the verdict and both tables as text."""
        tables = (*_aligned(HEAD, line_rows(self)), "", *_aligned(NIST_HEAD, nist_rows(self)))
        return "\n".join((verdict_text(self), "", *tables))

    def _repr_html_(self) -> str:
        """Return the verdict and both tables for notebooks."""
        tables = (_html_table(HEAD, line_rows(self)), _html_table(NIST_HEAD, nist_rows(self)))
        return f"<p>{escape(verdict_text(self))}</p>" + "".join(tables)


def selfcheck(cases: str | Path | None = None) -> SelfCheck:
    """Compute what has known exact answers on this machine, and count the digits that are right.

    cases: another file of exact values, made by the same program; None for the one that comes with the package. It
    takes some seconds. Raises `FileError` where the file cannot be read.
    """
    content, known = _read(next((path for path in CASES if path.exists()), CASES[-1]) if cases is None else Path(cases))
    numbers: list[Number] = []
    for measured in known["measures"]:
        numbers += measure_numbers(measured)
    for pool in known["pools"]:
        numbers += pool_numbers(pool)
    numbers += [_p_number(entry) for entry in known["p_values"]]
    nist = tuple(nist_line(problem) for problem in known["regressions"])
    pools = {pool["name"]: pool["why"] for pool in known["pools"]}
    measures = frozenset(measured["measure"] for measured in known["measures"])
    return SelfCheck(summed(numbers), nist, pools, measures, machine(), hashlib.sha256(content).hexdigest())


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Read the exact values."""
    try:
        content = path.read_bytes()
        known: dict[str, Any] = json.loads(content)
    except OSError as error:
        raise FileError(f"cannot read the exact values '{path.name}': {error.strerror or error}") from error
    except ValueError as error:
        raise FileError(f"'{path.name}' is not JSON; give a file that generate_selfcheck.py made") from error
    if missing := {"measures", "pools", "p_values", "regressions"} - known.keys():
        raise FileError(f"'{path.name}' lacks {', '.join(sorted(missing))}; give a file of generate_selfcheck.py")
    return content, known


def summed(numbers: Iterable[Number]) -> tuple[Line, ...]:
    """Return one line per quantity, in the order of `PROMISED`, with the number that has the fewest right digits.

    >>> one = Number(EQUAL, "x", 1.0, 1.0)
    >>> summed([one, Number(EQUAL, "y", 1.001, 1.0)])[0].worst_case
    'y'
    """
    found = [(number, right_digits(number.found, number.exact, number.scale)) for number in numbers]
    lines: list[Line] = []
    for quantity, promised in PROMISED.items():
        mine = [(digits, number.name) for number, digits in found if number.quantity == quantity]
        if mine:
            worst, name = min(mine, key=lambda pair: pair[0])
            verdict = HOLDS if worst >= promised else FAILS
            lines.append(Line(quantity, len(mine), worst, promised, name, verdict))
    return tuple(lines)


# ---------------------------------------------------------------- effect sizes, tails


def measure_numbers(case: Mapping[str, Any]) -> list[Number]:
    """Return effect and variance of one row of one measure."""
    key, options = case["measure"], case["options"]
    done = MEASURES[key].function(*(np.array([case["inputs"][role]]) for role in raw_roles(key)), **options)
    found = {"yi": float(done.yi[0]), "vi": float(done.vi[0])}
    word = " ".join((key, *options.values()))
    return [_number(EFFECTS, f"{entry[0]} of {word}", found[entry[0]], entry) for entry in case["exact"]]


def _number(quantity: str, name: str, found: float | None, entry: list[Any]) -> Number:
    """Set a number beside its entry of the file: [name, digits] or, for a truth of 0, [name, "0", scale]."""
    scale = float(entry[2]) if len(entry) > 2 else 1.0
    return Number(quantity, name, math.nan if found is None else float(found), float(entry[1]), scale)


def _p_number(entry: Mapping[str, Any]) -> Number:
    """Return a p value of z, t, chi-square or F."""
    statistic, df = float(entry["statistic"]), float(entry.get("df", math.inf))
    if entry["kind"] in {"z", "t"}:
        found = two_sided_p(np.array([statistic]), np.array([df]))[0]
    else:
        found = joint_p(statistic, df, float(entry.get("residual_df", math.inf)))
    name = f"{entry['kind']} = {statistic:g}" + (f", df {df:g}" if math.isfinite(df) else "")
    return Number(TAILS, name, float(found), float(entry["exact"]))


# ---------------------------------------------------------------- pools


def pool_numbers(case: Mapping[str, Any]) -> list[Number]:
    """Return every number of one pool that the file knows, computed as `pool` and `regress` compute it."""
    pool = _Pool(np.array(case["yi"], dtype=float), np.array(case["vi"], dtype=float))
    return [
        _number(quantity_of(entry[0]), f"{case['name']}: {entry[0]}", pool.value(entry[0]), entry)
        for entry in case["exact"]
    ]


def quantity_of(path: str) -> str:
    """Return the line that a number of a pool belongs to, from its path in the file.

    >>> quantity_of("random.REML.tau2_ci.tau2_low"), quantity_of("mean.DL.tau2")
    ('interval of tau2', 'tau2 in closed form')
    """
    parts = path.split(".")
    if "p_value" in path:
        return P_VALUES
    if parts[0] == "statistics" or "loglik" in parts[-1]:
        return LIKELIHOOD
    if parts[0] == "tau2_limits" or "tau2_ci" in parts:
        return LIMITS
    if parts[-1] == "i2":
        return I2
    if parts[0] in {"equal", "line"}:
        return EQUAL if parts[0] == "equal" else LINE
    if "pi" in parts or "pi_hksj" in parts:
        return PREDICTION
    pair = (TAU2_CLOSED, TAU2_SEARCHED) if parts[-1] == "tau2" else (MEAN_CLOSED, MEAN_SEARCHED)
    return pair[parts[1] in BY_SEARCH]


class _Pool:
    """One data set; what is asked of it is computed once."""

    def __init__(self, y: np.ndarray[Any, np.dtype[np.float64]], v: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Keep effects and variances."""
        k = y.size
        words = ("",) * k
        self.y, self.v = y, v
        self.effects = EffectSizes(
            yi=y, vi=v, estimable=np.ones(k, dtype=bool), labels=tuple(f"study {i + 1}" for i in range(k)),
            rows=tuple(f"row {i + 2}" for i in range(k)), clusters=np.arange(k), measure="GEN", options={},
            obtained=("effect with variance",) * k, reasons=words, corrections=words, inputs={},
        )  # fmt: skip
        self.analysed, self.fitted = cache(self._analysed), cache(self._fitted)

    def _analysed(self, tau2: str, ci: str = "Wald", pi: str = "z", tau2_ci: str = "QP") -> Analysis:
        """Pool with one choice of methods."""
        given: dict[str, Any] = {"model": "equal"} if tau2 == "equal" else {"tau2": tau2}
        return analyse(self.effects, PoolSpec(ci=ci, pi=pi, tau2_ci=tau2_ci, **given))  # pyright: ignore[reportArgumentType]

    def _fitted(self, tau2: str, model: str) -> Fit:
        """Fit a mean, or a line on x_i = 7 i mod 5, with one estimator."""
        row = np.arange(1, self.y.size + 1)
        X = np.stack((np.ones(row.size), np.array((7 * row) % 5, dtype=float)), axis=1) if model == "line" else None
        spec = PoolSpec(tau2=tau2, ci="Wald")  # pyright: ignore[reportArgumentType]
        return fit_univariate(self.y, self.v, np.ones(self.y.size, dtype=bool), spec, X)

    def value(self, path: str) -> float | None:
        """Compute the number that stands under a path of the file."""
        kind, *rest = path.split(".")
        if kind == "equal":
            return _equal_value(self.analysed("equal", pi="none"), rest[0])
        if kind == "random":
            return self._random_value(rest[0], rest[1:])
        if kind == "tau2_limits":
            found = self.analysed(rest[0], tau2_ci=rest[1]).overall.heterogeneity
            return found.tau2_low if rest[2] == "0" else found.tau2_high
        if kind == "mean_limits":
            mean = self.analysed(rest[0], rest[1]).overall.mean
            return mean.lower if rest[2] == "0" else mean.upper
        if kind == "statistics":
            fit = self.fitted(rest[0], "mean")
            return float({"ml": fit.loglik_ml, "reml": fit.loglik_reml, "deviance": fit.deviance}[rest[1]])
        fit = self.fitted(rest[0], kind)
        if rest[1] == "tau2":
            return float(fit.theta[0])
        i = int(rest[2])
        return float(fit.beta[i]) if rest[1] == "beta" else float(np.sqrt(fit.cov[i, i]))

    def _random_value(self, tau2: str, path: list[str]) -> float | None:
        """Compute a number of the random-effects model."""
        first, last = path[0], path[-1]
        if first == "pi":
            return _limit(self.analysed(tau2, pi=path[1]).overall, last)
        if first == "pi_hksj":
            return _limit(self.analysed(tau2, "HKSJ", "t(k-1)").overall, last)
        if first in {"wald_z", "wald_t", "hksj"}:
            ci = {"wald_z": "Wald", "wald_t": "Wald-t", "hksj": "HKSJ"}[first]
            return _mean_value(self.analysed(tau2, ci).overall, last)
        found = self.analysed(tau2)
        if last.startswith("loglik"):
            return float(getattr(found.fitted.fit, last))
        if last == "mean":
            return found.overall.mean.point
        return getattr(found.overall.heterogeneity, "i2_tau2" if last == "i2" else last)


def _equal_value(found: Analysis, name: str) -> float | None:
    """Return a number of the equal-effects model."""
    h = found.overall.heterogeneity
    if name.startswith("loglik"):
        return float(getattr(found.fitted.fit, name))
    q = {"q": h.q, "q_p_value": h.q_p, "i2": h.i2_q}
    return q[name] if name in q else _mean_value(found.overall, name)


def _mean_value(pool: PoolSummary, name: str) -> float | None:
    """Return a number of the mean by its name in the file."""
    names = {"mean": "point", "ci_low": "lower", "ci_high": "upper"}
    return getattr(pool.mean, names.get(name, name))


def _limit(pool: PoolSummary, which: str) -> float | None:
    """Return the lower ("0") or the upper ("1") limit of the prediction interval."""
    if pool.prediction is None:
        return None
    return pool.prediction.lower if which == "0" else pool.prediction.upper


# ---------------------------------------------------------------- NIST's regressions


def nist_line(case: Mapping[str, Any]) -> NistLine:
    """Fit one of NIST's regressions as a meta-regression with equal variances, whose HKSJ factor makes its errors.

    Columns of powers are x^j rounded once, the same on every machine.
    """
    y = np.array(case["y"], dtype=float)
    if "rows" in case:
        X = np.column_stack((np.ones(y.size), np.array(case["rows"], dtype=float)))
    else:
        X = np.array([[float(Fraction(x) ** j) for j in range(case["degree"] + 1)] for x in case["x"]])
    spec = PoolSpec(model="equal", ci="HKSJ")
    fit = fit_univariate(y, np.ones(y.size), np.ones(y.size, dtype=bool), spec, X)
    found = {"beta": fit.beta, "se": np.sqrt(np.diag(fit.cov))}
    digits = {
        part: tuple(
            right_digits(n.found, n.exact, n.scale)
            for n in (_number("", "", float(value), entry) for value, entry in zip(values, case[part], strict=True))
        )
        for part, values in found.items()
    }
    low, lower = case["admitted"] or (CLOSED, CLOSED)
    worst = min(digits["beta"]), min(digits["se"])
    kept = worst[0] >= low and worst[1] >= lower
    return NistLine(
        problem=case["name"],
        condition=float(case["condition"]),
        beta=digits["beta"],
        se=digits["se"],
        attainable=(case["attainable"][0], case["attainable"][1]),
        promised=(low, lower),
        verdict=FAILS if not kept else HOLDS if min(worst) >= CLOSED else ADMITTED,
    )


def _worst_of(line: NistLine) -> tuple[float, float, str]:
    """Return the fewest digits of a regression, what is promised of it, and which number it is."""
    every = [(digits, f"coefficient {j}") for j, digits in enumerate(line.beta)]
    every += [(digits, f"standard error {j}") for j, digits in enumerate(line.se)]
    digits, name = min(every)
    return digits, min(line.promised), name


# ---------------------------------------------------------------- words


def machine() -> dict[str, str]:
    """Return what numbers depend on: versions, the linear algebra that numpy uses, system and architecture."""
    found = {"metaback": _version("metaback"), "Python": platform.python_version()}
    found |= {name: _version(name) for name in ("numpy", "scipy", "pandas")}
    shown: Any = np.show_config(mode="dicts")
    blas: Mapping[str, Any] = shown.get("Build Dependencies", {}).get("blas", {})
    found["BLAS"] = " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or "not known"
    return found | {"platform": platform.platform(), "processor": platform.machine() or "not known"}


def _version(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def verdict_text(check: SelfCheck) -> str:
    """Say in one sentence whether the promises hold."""
    every = (*check.lines, *check.nist)
    failed = [getattr(line, "quantity", None) or f"NIST {line.problem}" for line in every if line.verdict == FAILS]  # pyright: ignore[reportAttributeAccessIssue]
    count = sum(line.numbers for line in check.lines) + sum(len(n.beta) + len(n.se) for n in check.nist)
    admitted = [n.problem for n in check.nist if n.verdict == ADMITTED]
    if failed:
        return f"The self-check FAILS: {', '.join(failed)}."
    but = f", but for {', '.join(admitted)} of NIST, as admitted beforehand" if admitted else ""
    return f"All {count} numbers have the digits that are promised{but}."


def line_rows(check: SelfCheck) -> list[tuple[str, ...]]:
    """Return the quantities as rows of text under `HEAD`."""
    return [
        (n.quantity, str(n.numbers), fixed(n.worst_lre, 1), fixed(n.promised, 0), n.worst_case, n.verdict)
        for n in check.lines
    ]


def nist_rows(check: SelfCheck) -> list[tuple[str, ...]]:
    """Return NIST's regressions as rows of text under `NIST_HEAD`; the two numbers in a cell are as in its columns."""
    return [
        (
            n.problem, significant(n.condition), fixed(min(n.beta), 1), fixed(min(n.se), 1),
            " / ".join(fixed(a, 1) for a in n.attainable), " / ".join(fixed(a, 0) for a in n.promised), n.verdict,
        )
        for n in check.nist
    ]  # fmt: skip


def _aligned(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Write a table in columns of equal width."""
    titles = tuple(word.replace("_", " ") for word in head)
    wide = [max(len(row[j]) for row in (titles, *rows)) for j in range(len(head))]
    for row in (titles, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip()


def _html_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Write a table for a notebook."""
    titles = "".join(f"<th>{word.replace('_', ' ')}</th>" for word in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def protocol_text(check: SelfCheck, date: str) -> str:
    """Return the protocol as Markdown: the one output that carries a date, because it speaks of a machine on a day.

    date: the day, and the hour if wanted, in UTC.
    """
    lines = [f"# Self-check of metaback, {date} (UTC)", "", verdict_text(check), "", "## Where", ""]
    lines += [f"- {name}: {value}" for name, value in check.machine.items()]
    lines += [f"- SHA-256 of the exact values: {check.sha256}", "", "## Right digits", "", _EXPLAINED, ""]
    lines += [
        *_markdown(HEAD, line_rows(check)),
        "",
        *_covered(check),
        "## NIST's linear regressions",
        "",
        _NIST_EXPLAINED,
        "",
    ]
    lines += [*_markdown(NIST_HEAD, nist_rows(check)), "", *_admissions(check)]
    lines += ["Right digits of each coefficient, and of its standard error:", ""]
    for n in check.nist:
        pairs = (f"{fixed(b, 1)} ({fixed(s, 1)})" for b, s in zip(n.beta, n.se, strict=True))
        lines.append(f"- {n.problem}: {', '.join(pairs)}")
    return "\n".join((*lines, "", "## What may be concluded", "", _concluded(check), ""))


_EXPLAINED = (
    "LRE is the log relative error, -log10(|found - exact| / |exact|): the number of right digits, 15 at most. "
    "The exact values were computed with 40 to 200 digits, and not by this package."
)
_METHODS = (
    "Intervals: of tau2 by Q-profile, profile likelihood, Wald, Biggerstaff-Jackson and Jackson; of the mean by Wald "
    "(normal and t), HKSJ, Kenward-Roger and profile likelihood; of prediction with the quantiles of z, t(k-1), t(k-2) "
    "and with HKSJ."
)
_NIST_EXPLAINED = (
    "As meta-regressions with equal variances. Condition: of the columns brought to unit length. Attainable: digits "
    "of coefficients / standard errors that exact arithmetic leaves once the columns are rounded to doubles."
)


def _admissions(check: SelfCheck) -> list[str]:
    """Say of each regression that has fewer digits than are promised elsewhere why that is so."""
    lines = [
        f"{n.problem}: promise of {fixed(CLOSED, 0)} digits {n.verdict}: condition number {significant(n.condition)}; "
        f"the rounding of the columns alone leaves {fixed(min(n.attainable), 1)}."
        for n in check.nist
        if n.verdict != HOLDS
    ]
    return [*lines, ""] if lines else []


def _covered(check: SelfCheck) -> list[str]:
    """Name the data sets and what of the package is not among the numbers."""
    sets = (f"{name} ({why})" if why else name for name, why in check.pools.items())
    without = ", ".join(sorted(set(MEASURES) - check.measures)) or "none"
    return [
        f"Data sets: {'; '.join(sets)}.",
        "",
        f"Effect measures: {len(check.measures)} of {len(MEASURES)}; not among them: {without}.",
        "",
        _METHODS,
        "",
    ]


def _concluded(check: SelfCheck) -> str:
    """Say in two sentences what the protocol shows and what it does not."""
    if not check.ok:
        return (
            "On this machine some numbers have fewer right digits than promised, so results of these quantities should "
            "not be relied on until the cause is known. Report this page, and compare another version of the libraries."
        )
    return (
        "On this machine, with these versions, rounding and searching spoil no digit that a paper would print, on the "
        "kinds of problem listed above. It does not show that a data set, a model or a choice of method is right."
    )


def _markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Write a table in Markdown."""
    yield "| " + " | ".join(word.replace("_", " ") for word in head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"


def record(check: SelfCheck) -> dict[str, Any]:
    """Return the check as plain JSON values."""
    lines = [{name: getattr(line, name) for name in HEAD} for line in check.lines]
    names = ("problem", "condition", "beta", "se", "attainable", "promised", "verdict")
    nist = [{name: getattr(line, name) for name in names} for line in check.nist]
    return {"ok": check.ok, "machine": dict(check.machine), "sha256": check.sha256, "lines": lines, "nist": nist}
