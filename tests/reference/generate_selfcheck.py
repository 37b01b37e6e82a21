"""Write data/selfcheck.json: what `metaback selfcheck` computes on a user's machine, with 50-digit answers.

    python generate_selfcheck.py

Chooses pools from exact_univariate.json and exact_univariate_tau2.json, solves three more with the programs that made
those files (effects moved by 1e8, effects in millionths, variances over twelve powers of ten), adds intervals of tau2,
NIST's regressions from nist.json, every effect measure by the formulas of the tests beside, and p values far out. No
answer comes from the package. Every number is [name, digits]; where the truth is 0 a third entry is the scale on which
the answer must be 0. Takes about a minute; a second run gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import exact_univariate as univariate
import exact_univariate_tau2 as estimators
import numpy as np
import test_measures_counts as counts
import test_measures_means as means
import test_measures_single as single
from exact_nist import design
from mpmath import mp, mpf

from metaback.stats.measures import about, raw_roles

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "data" / "selfcheck.json"
Num = Any  # an mpmath number (mpmath has no types)
Entry = list[Any]  # [name, digits] or [name, "0", scale]
WRITTEN = 20
POOLS = (
    "dat.bcg", "dat.normand1999", "dat.hackshaw1998", "dat.hine1989", "dat.collins1985b", "dat.nielweise2008",
    "dat.konstantopoulos2011_district71", "dat.graves2010", "dat.pritz1997", "two_peaks_zero", "two_peaks_outlier",
    "scale_0.001", "scoring_diverges", "planck_offset", "no_spread",
)  # fmt: skip
WHY = {
    "dat.bcg": "the textbook case",
    "dat.hine1989": "no heterogeneity",
    "dat.graves2010": "risk differences with tau2 near 4e-7",
    "dat.pritz1997": "p values near 1e-90",
    "two_peaks_zero": "two peaks of the likelihood, the lower one at 0",
    "two_peaks_outlier": "two peaks of the likelihood, and an outlier",
    "scale_0.001": "small units",
    "scoring_diverges": "plain Fisher scoring diverges",
    "planck_offset": "effects near 1e-8",
    "no_spread": "equal effects",
    "shifted": "the BCG trials with 1e8 added to every effect",
    "millionths": "the BCG trials in units of a millionth",
    "ratio": "variances from 1e-8 to 1e4",
}
WITH_INTERVALS = ("dat.bcg", "dat.normand1999", "two_peaks_outlier")
LEVEL = "0.95"
TINY = 2.3e-308  # a p value below the smallest normal double has no full precision
LEFT_OUT = {
    "local_maxima", "i2_q_based", "n_local_maxima", "h2", "k", "null_set", "i2_low", "i2_high", "h2_low", "h2_high",
    "q_df", "df",
}  # fmt: skip
# Filip: powers up to x^10, rounded to doubles, are another problem; see "attainable".
ADMITTED = {"Filip": [7.0, 7.0]}


def text(value: Num) -> str:
    return mp.nstr(mpf(value), WRITTEN)


def typical(vi: list[float]) -> float:
    w = 1 / np.array(vi)
    return (w.size - 1) / float(w.sum() - (w**2).sum() / w.sum())


def entry(name: str, value: str | float, vi: list[float]) -> Entry:
    """Return a number under its name, with a scale where it is 0."""
    if mpf(value) != 0:
        return [name, text(mpf(value))]
    size = typical(vi)
    variance = any(part.startswith("tau2") for part in name.split("."))
    plain = name.rsplit(".", 1)[-1] in {"i2", "q"} or "loglik" in name
    return [name, "0", 1.0 if plain else size if variance else size**0.5]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path, value
        return
    for key, part in inner:
        yield from leaves(part, f"{path}.{key}" if path else str(key))


def wanted(path: str, value: Any) -> bool:
    if value is None or isinstance(value, bool) or not LEFT_OUT.isdisjoint(path.split(".")):
        return False
    return "p_value" not in path or mpf(value) > TINY


def without_empty_sets(random: dict[str, Any]) -> dict[str, Any]:
    """Keep the limits at one level, none of an empty Q-profile set, which the files have as 0."""
    return {
        method: part | {"tau2_ci": {} if part["tau2_ci"][LEVEL]["null_set"] else part["tau2_ci"][LEVEL]}
        for method, part in random.items()
    }


def pool(name: str, yi: list[float], vi: list[float], solved: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return one pool with all that is asked of it."""
    parts = {"equal": solved["equal"], "random": without_empty_sets(solved["random"])}
    found = [entry(path, value, vi) for path, value in leaves(parts) if wanted(path, value)]
    for model in ("mean", "line"):
        if model in more:
            found += [entry(f"{model}.{path}", value, vi) for path, value in leaves(more[model])]
    for method, values in more["statistics"].items():
        found += [entry(f"statistics.{method}.{path}", value, vi) for path, value in values.items()]
    if name in WITH_INTERVALS:
        found += [entry(f"tau2_limits.{path}", value, vi) for path, value in leaves(intervals(yi, vi))]
        found += [entry(f"mean_limits.{path}", value, vi) for path, value in leaves(mean_intervals(name, yi, vi))]
    return {"name": name, "why": WHY.get(name, ""), "yi": yi, "vi": vi, "exact": found}


def new_pools() -> dict[str, tuple[list[float], list[float]]]:
    """Return pools that no file has: the doubles themselves are the problem."""
    bcg = json.loads((HERE / "exact_univariate.json").read_text("utf-8"))["cases"]["dat.bcg"]
    ratio = [1e-8, 1e-5, 1e-3, 0.04, 0.09, 1.0, 30.0, 1e4]
    return {
        "shifted": ([y + 1e8 for y in bcg["yi"]], bcg["vi"]),
        "millionths": ([y * 1e-6 for y in bcg["yi"]], [v * 1e-12 for v in bcg["vi"]]),
        "ratio": ([0.31, 0.42, 0.18, 0.77, -0.2, 1.3, -4.0, 60.0], ratio),
    }


def pools() -> list[dict[str, Any]]:
    files = [json.loads((HERE / f"exact_{name}.json").read_text("utf-8")) for name in ("univariate", "univariate_tau2")]
    old, tau2 = (file["cases"] for file in files)
    found: list[dict[str, Any]] = []
    for name in POOLS:
        yi, vi = old[name]["yi"], old[name]["vi"]
        more = tau2[name] if name in tau2 else estimators.text(estimators.solve(yi, vi))
        found.append(pool(name, yi, vi, old[name], more))
    for name, (yi, vi) in new_pools().items():
        case = {"yi": yi, "vi": vi, "measure": "none", "source": "", "group_factor": ""}
        solved = univariate.plain(univariate.solve_case(case | {"subgroups": {"group": ["a"] * len(yi)}}))
        found.append(pool(name, yi, vi, solved, estimators.text(estimators.solve(yi, vi))))
    return found


# ---------------------------------------------------------------- intervals of tau2


def falling_root(f: Callable[[Num], Num], low: Num, high: Num) -> Num:
    """Find where f falls through 0: bisection to three digits, then secants."""
    if f(low) <= 0:
        return low
    while f(high) > 0:
        low, high = high, 2 * high
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return mp.findroot(f, (low, high), solver="anderson", tol=mpf(10) ** -60, verify=False)


def likelihood_limits(case: estimators.Case, *, restricted: bool) -> list[Num]:
    """Return the outermost points at which the likelihood is a quantile below its top."""
    name = "reml" if restricted else "ml"
    peaks = sorted(case.peaks(restricted=restricted))
    top = max(case.at(t)[name] for t in peaks)
    cut = top - univariate.chi2_quantile(mpf("0.95"), 1) / 2

    def above(t: Num) -> Num:
        return case.at(t)[name] - cut

    inside = [t for t in peaks if above(t) >= 0]
    upper = falling_root(above, inside[-1], 2 * inside[-1] + max(case.v))
    first = inside[0]
    if above(mpf(0)) >= 0:
        return [mpf(0), upper]
    mirrored = falling_root(lambda d: above(first - d), mpf(0), first)
    return [first - mirrored, upper]


def probability_below(q: Num, lambdas: list[Num]) -> Num:
    """Return P(sum lambda_i chi2_1 <= q): the Laplace transform has its singularities on the negative axis."""
    return mp.invertlaplace(
        lambda s: mp.fprod(1 / mp.sqrt(1 + 2 * lam * s) for lam in lambdas) / s, q, method="talbot", dps=40, degree=60
    )


def exact_q_limits(case: estimators.Case, a: list[Num]) -> list[Num]:
    """Return the limits from the exact distribution of sum a (y - ybar)^2 (Jackson 2013)."""
    total = mp.fsum(a)
    mean = mp.fdot(a, case.y) / total
    q = mp.fsum(b * (y - mean) ** 2 for b, y in zip(a, case.y, strict=True))

    def below(t: Num) -> Num:
        root = [mp.sqrt(v + t) for v in case.v]
        form = mp.matrix(case.k)
        for i in range(case.k):
            for j in range(case.k):
                form[i, j] = root[i] * root[j] * ((a[i] if i == j else 0) - a[i] * a[j] / total)
        values = sorted(mp.eigsy(form, eigvals_only=True))
        return probability_below(q, values[1:])  # the first is 0: the form does not see a shift

    def limit(p: Num) -> Num:
        return falling_root(lambda t: below(t) - p, mpf(0), max(case.v))

    with mp.workdps(40):
        return [limit(mpf("0.975")), limit(mpf("0.025"))]


def wald_limits(case: estimators.Case, tau2: Num, *, restricted: bool) -> list[Num]:
    w = [1 / (v + tau2) for v in case.v]
    s1, s2, s3 = (mp.fsum(x**n for x in w) for n in (1, 2, 3))
    trace = s2 - 2 * s3 / s1 + (s2 / s1) ** 2 if restricted else s2
    half = mp.sqrt(2) * mp.erfinv(mpf("0.95")) * mp.sqrt(2 / trace)
    return [max(mpf(0), tau2 - half), tau2 + half]


def intervals(yi: list[float], vi: list[float]) -> dict[str, list[Num]]:
    case = estimators.Case(yi, vi, line=False)
    reml, ml = case.peaks(restricted=True)[0], case.peaks(restricted=False)[0]
    return {
        "REML.PL": likelihood_limits(case, restricted=True),
        "ML.PL-ML": likelihood_limits(case, restricted=False),
        "REML.Wald": wald_limits(case, reml, restricted=True),
        "ML.Wald-ML": wald_limits(case, ml, restricted=False),
        "DL.BJ": exact_q_limits(case, [1 / v for v in case.v]),
        "DL.J": exact_q_limits(case, [1 / mp.sqrt(v) for v in case.v]),
    }


# ---------------------------------------------------------------- intervals of the mean


def t_quantile(df: Num) -> Num:
    """Return the upper 2.5% point of t, df any positive number."""
    start = univariate.t_crit(max(1, int(df)), LEVEL)
    return mp.findroot(lambda t: univariate.t_two_sided(t, df) - mpf("0.05"), start)


def kenward_roger(case: estimators.Case, tau2: Num) -> list[Num]:
    """Return the limits of Kenward & Roger 1997 with the expected information, for a mean."""
    w = [1 / (v + tau2) for v in case.v]
    s1, s2, s3 = (mp.fsum(x**n for x in w) for n in (1, 2, 3))
    u = 2 / (s2 - 2 * s3 / s1 + (s2 / s1) ** 2)
    half = t_quantile(2 / (u * (s2 / s1) ** 2)) * mp.sqrt(1 / s1 + 2 * u * (s3 / s1**2 - s2**2 / s1**3))
    mean = mp.fdot(w, case.y) / s1
    return [mean - half, mean + half]


def mean_by_likelihood(case: estimators.Case, tau2: Num) -> list[Num]:
    """Return where the likelihood, maximised over tau2, is a quantile below its top; for one peak only."""
    top = case.at(tau2)["ml"]
    cut = top - univariate.chi2_quantile(mpf("0.95"), 1) / 2

    def height(mu: Num) -> Num:
        squares = [(y - mu) ** 2 for y in case.y]

        def score(t: Num) -> Num:
            return mp.fsum((e / (v + t) - 1) / (v + t) for e, v in zip(squares, case.v, strict=True))

        t = falling_root(score, mpf(0), max(case.v))
        return -mp.fsum(mp.log(2 * mp.pi * (v + t)) + e / (v + t) for e, v in zip(squares, case.v, strict=True)) / 2

    mean, se = case.at(tau2)["beta"][0], mp.sqrt(case.at(tau2)["cov"][0][0])
    return [mean + side * falling_root(lambda d: height(mean + side * d) - cut, mpf(0), 3 * se) for side in (-1, 1)]  # noqa: B023 - called at once


def mean_intervals(name: str, yi: list[float], vi: list[float]) -> dict[str, list[Num]]:
    case = estimators.Case(yi, vi, line=False)
    peaks = case.peaks(restricted=False)
    found = {"REML.KR": kenward_roger(case, case.peaks(restricted=True)[0])}
    return found if len(peaks) > 1 else found | {"ML.PL": mean_by_likelihood(case, peaks[0])}


# ---------------------------------------------------------------- regressions


def least_squares(X: mp.matrix, y: mp.matrix) -> tuple[list[Num], list[Num]]:
    inverse = (X.T * X) ** -1
    beta = inverse * (X.T * y)
    rest = y - X * beta
    sigma = mp.sqrt(mp.fsum(e * e for e in rest) / (X.rows - X.cols))
    return list(beta), [sigma * mp.sqrt(inverse[j, j]) for j in range(X.cols)]


def digits_between(found: list[Num], exact: list[str]) -> float:
    """Return the fewest digits in which two lists agree, at most 15; a truth of 0 has no digits."""
    errors = [abs(a - mpf(b)) / abs(mpf(b)) for a, b in zip(found, exact, strict=True) if mpf(b) != 0]
    worst = max(errors, default=mpf(0))
    return 15.0 if worst < mpf(10) ** -15 else round(float(-mp.log10(worst)), 2)


def regression(case: dict[str, Any]) -> dict[str, Any]:
    """Return one of NIST's regressions, and what exact arithmetic makes of the columns rounded to doubles."""
    with mp.workdps(200):
        exact = design(case)
        if "rows" in case:
            rounded = exact.apply(lambda a: mpf(float(a)))
        else:
            powers = range(int(case["degree"]) + 1)
            rounded = mp.matrix([[mpf(float(Fraction(x) ** j)) for j in powers] for x in case["x"]])
        beta, se = least_squares(rounded, mp.matrix([mpf(y) for y in case["y"]]))
        unit = mp.matrix(exact.rows, exact.cols)
        for j in range(exact.cols):
            unit[:, j] = exact[:, j] / mp.norm(exact[:, j])
        spread = sorted(mp.eigsy(unit.T * unit, eigvals_only=True))
        condition = float(mp.sqrt(spread[-1] / spread[0]))
    name = case["name"]
    scale = [abs(float(b)) for b in case["beta"]]
    return {
        "name": name,
        **{key: case[key] for key in ("x", "degree", "rows", "y") if key in case},
        "beta": [[f"beta {j}", b] for j, b in enumerate(case["beta"])],
        "se": [
            [f"SE {j}", s] if mpf(s) != 0 else [f"SE {j}", "0", scale[j]] for j, s in enumerate(case["se"])
        ],
        "condition": float(f"{condition:.3g}"),
        "attainable": [digits_between(beta, case["beta"]), digits_between(se, case["se"])],
        "admitted": ADMITTED.get(name),
    }  # fmt: skip


def regressions() -> list[dict[str, Any]]:
    return [regression(case) for case in json.loads((HERE / "nist.json").read_text("utf-8"))["cases"]]


# ---------------------------------------------------------------- measures

Measured = dict[str, Any]


def measured(key: str, options: Mapping[str, str], inputs: Mapping[str, float], true: tuple[Num, Num]) -> Measured:
    size = float(mp.sqrt(true[1]))
    yi = ["yi", text(true[0])] if true[0] != 0 else ["yi", "0", size]
    plain = {role: float(value) for role, value in inputs.items()}
    return {"measure": key, "options": dict(options), "inputs": plain, "exact": [yi, ["vi", text(true[1])]]}


def from_counts() -> Iterator[Measured]:
    """Two rows of the ordinary tables for every measure of counts, and one with a zero."""
    for measure, kind in counts.KIND.items():
        if measure not in {name for names in counts.KINDS.values() for name in names}:
            continue
        for group, zeros in (("ordinary", "none"), ("zeros", "metafor")):
            if group not in counts.PINNED["tables"][kind]:
                continue
            options = {"zeros": zeros}
            vtype = "LS"
            if "vtype" in counts.option_names(measure):
                vtype = "CS" if measure in {"PHI", "ZPHI"} else "LS"
                options["vtype"] = vtype
            taken = 0
            for row in counts.rows_of(kind, counts.PINNED["tables"][kind][group]):
                true = None if np.isnan(row).any() else counts.exact(measure, [row], zeros, vtype)[0]
                if true is not None and taken < 2:
                    given = [float(a[0]) for a in counts.arguments(kind, [row])]
                    yield measured(measure, options, dict(zip(raw_roles(measure), given, strict=True)), true)
                    taken += 1


def from_means() -> Iterator[Measured]:
    """One row for every measure of means under each of its options, and one of the largest groups."""
    for key, options in means.EVERY:
        for table in (
            means.TABLES[about(key).kind][:4:3] if about(key).kind == "means" else means.TABLES[about(key).kind][:1]
        ):
            for i in range(len(next(iter(table.values())))):
                with mp.workdps(50):
                    row = {role: mpf(float(values[i])) for role, values in table.items()}
                    bad = any(mp.isnan(value) for value in row.values())
                    true = None if bad else means.EXACT[key][0](row, **options)
                if true is not None and true[1] > 0:
                    yield measured(key, options, {role: row[role] for role in raw_roles(key)}, true)
                    break


def from_single() -> Iterator[Measured]:
    """One row in the middle for every measure of one group under the options of its cases."""
    seen: set[str] = set()
    for name in single.COMPARED:
        case = single.CASES[name]
        options, key = single.options(case), case["measure"]
        word = f"{key} {options}"
        if word in seen or options.get("vtype", "").startswith("AV"):
            continue
        yi, vi = single.exact(case)
        rows = [i for i in range(yi.size) if np.isfinite(yi[i]) and vi[i] > 0]
        given = single.columns(case)
        for i in rows[:2]:
            inputs = {role: given[role][i] for role in raw_roles(key)}
            yield measured(key, options, inputs, (mpf(yi[i]), mpf(vi[i])))
        seen.add(word)


def factor(df: Num) -> Num:
    return mp.gammaprod([df / 2], [(df - 1) / 2]) / mp.sqrt(df / 2)


def from_units() -> Iterator[Measured]:
    """Differences in known units, adjusted differences, relative changes, heterozygosity: formulas of their papers."""
    row = {"mean_1": 8.5, "sd_1": 2.25, "n_1": 31.0, "mean_2": 7.0, "sd_2": 1.75, "n_2": 27.0}
    x = {role: mpf(value) for role, value in row.items()}
    y, v = x["mean_1"] - x["mean_2"], x["sd_1"] ** 2 / x["n_1"] + x["sd_2"] ** 2 / x["n_2"]
    for key, given, unit in (
        ("POMP", {"scale_low": 0.0, "scale_high": 24.0}, mpf(24) / 100),
        ("SMDE", {"sd_reference": 2.5}, mpf(2.5)),
        ("MIDU", {"mid": 1.5}, mpf(1.5)),
    ):
        yield measured(key, {}, row | given, (y / unit, v / unit**2))
    given = {"mean_adj_1": 8.25, "mean_adj_2": 7.5, "sd_residual": 1.5, "r_covariate": 0.625}
    sizes = {role: row[role] for role in ("n_1", "n_2")}
    total, w = x["n_1"] + x["n_2"], 1 / x["n_1"] + 1 / x["n_2"]
    d0, left, sd = mpf(0.75), 1 - mpf(0.625) ** 2, mpf(1.5)
    pooled = ((x["n_1"] - 1) * x["sd_1"] ** 2 + (x["n_2"] - 1) * x["sd_2"] ** 2) / (total - 2)
    every = sizes | given | {"sd_1": row["sd_1"], "sd_2": row["sd_2"]}
    yield measured("MDA", {}, {role: every[role] for role in raw_roles("MDA")}, (d0, sd**2 * w))
    for key, unit, base, df in (
        ("SMDA", mp.sqrt(pooled), left * w, total - 2),
        ("SMDAW", sd / mp.sqrt(left), left * w, total - 3),
        ("SMDAR", sd, w, total - 3),
    ):
        g = factor(df) * d0 / unit
        inputs = {role: every[role] for role in raw_roles(key)}
        yield measured(key, {"correct": "yes"}, inputs, (g, base + g**2 / (2 * total)))
    a, h, b = mpf(98765), mpf(123456789), mpf(1234)
    alleles = {"homozygotes_1": 98765.0, "heterozygotes": 123456789.0, "homozygotes_2": 1234.0}
    yield measured("REH", {}, alleles, (mp.log(h / (2 * mp.sqrt(a * b))), 1 / h + (1 / a + 1 / b) / 4))
    yield from relative_changes()


def relative_changes() -> Iterator[Measured]:
    arms = (("1", 50.0, 10.0, 62.5, 11.0, 25.0, 0.75), ("2", 48.0, 9.0, 49.5, 10.0, 24.0, 0.625))
    inputs: dict[str, float] = {}
    parts: dict[str, list[tuple[Num, Num]]] = {"PCMD": [], "ROMCD": []}
    for i, *values in arms:
        names = ("mean_pre", "sd_pre", "mean_post", "sd_post", "n", "r")
        inputs |= {f"{name}_{i}": value for name, value in zip(names, values, strict=True)}
        pre, s_pre, post, s_post, n, r = (mpf(value) for value in values)
        for key, slope_post, slope_pre, value in (
            ("PCMD", 100 / pre, -100 * post / pre**2, 100 * (post / pre - 1)),
            ("ROMCD", 1 / post, -1 / pre, mp.log(post / pre)),
        ):
            v = (slope_post * s_post) ** 2 + (slope_pre * s_pre) ** 2
            parts[key].append((value, (v + 2 * slope_post * slope_pre * r * s_post * s_pre) / n))
    for key, (one, two) in parts.items():
        given = {role: inputs[role] for role in raw_roles(key)}
        yield measured(key, {}, given, (one[0] - two[0], one[1] + two[1]))


# ---------------------------------------------------------------- p values


def p_values() -> list[dict[str, Any]]:
    """Return two-sided p values of z and t and upper tails of chi-square and F, down to 1e-300."""
    found: list[dict[str, Any]] = [
        {"kind": "z", "statistic": z, "exact": text(univariate.norm_two_sided(mpf(z)))}
        for z in (0.1, 1.96, 8.0, 20.0, 37.0)
    ]
    for df, t in ((1, 3.0), (3, 2e10), (5, 1e50), (12, 40.0), (12, 1e24), (200, 60.0), (4000, 37.0)):
        found.append({"kind": "t", "statistic": t, "df": df, "exact": text(univariate.t_two_sided(mpf(t), df))})
    for df, q in ((1, 0.02), (1, 1350.0), (2, 1380.0), (12, 152.233), (12, 1400.0), (160, 1900.0)):
        found.append({"kind": "chi-square", "statistic": q, "df": df, "exact": text(univariate.chi2_upper(mpf(q), df))})
    for df, rest, f in ((2, 10, 4.0), (3, 20, 1e25), (5, 400, 900.0), (1, 60, 3e9)):
        x = mpf(rest) / (rest + df * mpf(f))
        tail = mp.betainc(mpf(rest) / 2, mpf(df) / 2, 0, x, regularized=True)
        found.append({"kind": "F", "statistic": f, "df": df, "residual_df": rest, "exact": text(tail)})
    assert all(mpf(p["exact"]) > TINY for p in found)  # below, a double has no full precision
    return found


def main() -> None:
    measures = [*from_counts(), *from_means(), *from_single(), *from_units()]
    mp.dps = 60  # the tests beside leave another precision
    cases = {
        "made_by": "tests/reference/generate_selfcheck.py",
        "digits": 50,
        "pools": pools(),
        "regressions": regressions(),
        "measures": measures,
        "p_values": p_values(),
    }
    lines = [f' "{key}": {_dumped(value)}' for key, value in cases.items()]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _dumped(value: Any) -> str:
    """Write a list one entry a line, all else in one."""
    if not isinstance(value, list):
        return json.dumps(value)
    return (
        "[\n" + ",\n".join("  " + json.dumps(part, separators=(",", ":"), allow_nan=False) for part in value) + "\n ]"
    )


if __name__ == "__main__":
    main()
