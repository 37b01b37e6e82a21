"""Compute exact values (50 digits) for the univariate random-effects engine.

    python exact_univariate.py             writes exact_univariate.json and
                                           exact_effect_sizes.json
    python exact_univariate.py --compare   prints, in Markdown, where the pinned
                                           metafor results differ from them

Reads the inputs (yi, vi, groups; effect-size rows) from metafor_univariate.json
and effect_sizes.json next to itself, and nothing else from those files; every
input is taken as the exact value of the double in the file.  Needs numpy,
scipy (only to bracket roots) and mpmath.  Independent of the package under test.
"""

from __future__ import annotations

import json
import pathlib
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf
from scipy import stats

HERE = pathlib.Path(__file__).resolve().parent
DIGITS = 50
mp.dps = DIGITS + 10
GRID_POINTS = 4000
LEVELS = ("0.95", "0.9")

Num = Any  # an mpmath number (mpmath has no types)
Doubles = np.ndarray


# ------------------------------------------------------------ special functions


def t_two_sided(x: Num, df: int) -> Num:
    """Give P(|T| > |x|)."""
    x = abs(x)
    return mp.betainc(mpf(df) / 2, mpf(1) / 2, 0, df / (df + x * x), regularized=True)


def norm_two_sided(x: Num) -> Num:
    return mp.erfc(abs(x) / mp.sqrt(2))


def chi2_upper(x: Num, df: int) -> Num:
    if x <= 0:
        return mpf(1)
    return mp.gammainc(mpf(df) / 2, x / 2, mp.inf, regularized=True)


def polish(f: Callable[[Num], Num], start: float) -> Num:
    """Find the root of a smooth f near `start` (a double good to many digits)."""
    a = mpf(start)
    b = a * (1 + mpf(10) ** -9)
    root = mp.findroot(f, (a, b), solver="secant", tol=mpf(10) ** (-2 * mp.dps // 2 - 30), verify=False, maxsteps=60)
    eps = abs(root) * mpf(10) ** (-DIGITS)
    if f(root - eps) * f(root + eps) > 0:
        raise ArithmeticError("polish: no sign change around the root")
    return root


_cache: dict[tuple, Num] = {}


def t_crit(df: int, level: str) -> Num:
    key = ("t", df, level)
    if key not in _cache:
        alpha = 1 - mpf(level)
        x0 = stats.t.isf(float(alpha) / 2, df)
        _cache[key] = polish(lambda x: t_two_sided(x, df) - alpha, x0)
    return _cache[key]


def z_crit(level: str) -> Num:
    return mp.sqrt(2) * mp.erfinv(mpf(level))


def chi2_quantile(lower_tail: Num, df: int) -> Num:
    """Find x with P(X <= x) = lower_tail."""
    key = ("chi2", df, mp.nstr(lower_tail, 30))
    if key not in _cache:
        x0 = stats.chi2.ppf(float(lower_tail), df)

        def f(x: Num) -> Num:
            return mp.gammainc(mpf(df) / 2, 0, x / 2, regularized=True) - lower_tail

        _cache[key] = polish(f, x0)
    return _cache[key]


# ------------------------------------------------------------------ the problem


class Problem:
    def __init__(self, y: list[float], v: list[float]) -> None:
        self.y = [mpf(a) for a in y]
        self.v = [mpf(a) for a in v]
        self.k = len(y)
        # centred and scaled doubles, only to find brackets
        centre = mp.fsum(self.y) / self.k
        spread = max(abs(a - centre) for a in self.y)
        self.unit = max(spread**2, min(self.v))  # tau2 unit
        s = mp.sqrt(self.unit)
        self.yd = np.array([float((a - centre) / s) for a in self.y])
        self.vd = np.array([float(a / self.unit) for a in self.v])

    def fit(self, tau2: Num) -> tuple[list[Num], Num, Num, Num]:
        """Give weights, their sum, the mean and the weighted sum of squares."""
        w = [1 / (a + tau2) for a in self.v]
        sw = mp.fsum(w)
        mean = mp.fdot(w, self.y) / sw
        rss = mp.fsum(a * (b - mean) ** 2 for a, b in zip(w, self.y, strict=True))
        return w, sw, mean, rss

    def q_of(self, tau2: Num) -> Num:
        return self.fit(tau2)[3]

    def score(self, tau2: Num) -> Num:
        """Give the derivative of the restricted log-likelihood."""
        w, sw, mean, _ = self.fit(tau2)
        w2 = mp.fsum(a * a for a in w)
        r = mp.fsum((a * (b - mean)) ** 2 for a, b in zip(w, self.y, strict=True))
        return (r - sw + w2 / sw) / 2

    def loglik(self, tau2: Num) -> tuple[Num, Num]:
        """Give the log-likelihoods: restricted with +1/2 log|X'X|, and full."""
        _, sw, _, rss = self.fit(tau2)
        logs = mp.fsum(mp.log(a + tau2) for a in self.v)
        ml = -mpf(self.k) / 2 * mp.log(2 * mp.pi) - logs / 2 - rss / 2
        reml = -mpf(self.k - 1) / 2 * mp.log(2 * mp.pi) + mp.log(self.k) / 2 - logs / 2 - mp.log(sw) / 2 - rss / 2
        return reml, ml

    # double-precision versions on many tau2 at once, in the scaled unit
    def _fit_d(self, t: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        w = 1.0 / (self.vd[None, :] + t[:, None])
        sw = w.sum(1)
        mean = (w * self.yd).sum(1) / sw
        res = self.yd[None, :] - mean[:, None]
        return w, sw, res

    def score_d(self, t: Doubles) -> Doubles:
        w, sw, res = self._fit_d(t)
        return 0.5 * (((w * res) ** 2).sum(1) - sw + (w * w).sum(1) / sw)

    def q_d(self, t: Doubles) -> Doubles:
        w, _, res = self._fit_d(t)
        return (w * res * res).sum(1)

    def grid(self) -> Doubles:
        low = 1e-10 * self.vd.min()
        high = 1e8 * max(self.vd.max(), 1.0)
        return np.concatenate([[0.0], np.geomspace(low, high, GRID_POINTS)])

    def bisect(self, f_mp: Callable[[Num], Num], a: Num, b: Num) -> Num:
        """Find the root of f_mp (falling through zero) between doubles a < b (scaled unit)."""
        a, b = mpf(a) * self.unit, mpf(b) * self.unit
        fa, fb = f_mp(a), f_mp(b)
        if not (fa > 0 >= fb):
            raise ArithmeticError("bisect: bracket lost")
        # Illinois variant of false position: keeps the bracket, converges fast
        side = 0
        for _ in range(400):
            if fb == 0:
                return b
            c = (a * fb - b * fa) / (fb - fa)
            fc = f_mp(c)
            if fc > 0:
                a, fa = c, fc
                if side == 1:
                    fb /= 2
                side = 1
            else:
                b, fb = c, fc
                if side == -1:
                    fa /= 2
                side = -1
            if abs(b - a) <= abs(b) * mpf(10) ** -DIGITS or fc == 0:
                return c
        # plain bisection as a last resort
        while abs(b - a) > abs(b) * mpf(10) ** -DIGITS:
            c = (a + b) / 2
            if f_mp(c) > 0:
                a = c
            else:
                b = c
        return (a + b) / 2

    # ------------------------------------------------------------- estimators

    def solve_q(self, target: Num) -> Num:
        """Find tau2 >= 0 with Q(tau2) = target; 0 if Q(0) <= target."""
        if self.q_of(mpf(0)) <= target:
            return mpf(0)
        g = self.grid()
        q = self.q_d(g)
        i = int(np.argmax(q <= float(target)))  # first grid point below
        if i == 0:
            raise ArithmeticError("solve_q: no bracket")
        return self.bisect(lambda t: self.q_of(t) - target, g[i - 1], g[i])

    def dl(self) -> Num:
        w, sw, _, q = self.fit(mpf(0))
        c = sw - mp.fsum(a * a for a in w) / sw
        return max(mpf(0), (q - (self.k - 1)) / c)

    def pm(self) -> Num:
        return self.solve_q(mpf(self.k - 1))

    def reml(self) -> list[Num]:
        """Find every local maximum of the restricted likelihood, the best one first."""
        g = self.grid()
        s = self.score_d(g)
        found = []
        if self.score(mpf(0)) <= 0:
            found.append(mpf(0))
        brackets = [(g[i], g[i + 1]) for i in np.nonzero((s[:-1] > 0) & (s[1:] <= 0))[0]]
        found += [
            self.bisect(self.score, a, b)
            for a, b in brackets
            if self.score(mpf(a) * self.unit) > 0 >= self.score(mpf(b) * self.unit)
        ]
        if not found:
            raise ArithmeticError("reml: no maximum found")
        return sorted(found, key=lambda t: -self.loglik(t)[0])

    def typical_variance(self) -> Num:
        w, sw, _, _ = self.fit(mpf(0))
        return (self.k - 1) / (sw - mp.fsum(a * a for a in w) / sw)


def q_profile(p: Problem, level: str) -> dict[str, Any]:
    alpha = 1 - mpf(level)
    q0 = p.q_of(mpf(0))
    high_q = chi2_quantile(1 - alpha / 2, p.k - 1)
    low_q = chi2_quantile(alpha / 2, p.k - 1)
    null_set = q0 < low_q
    lo, hi = p.solve_q(high_q), p.solve_q(low_q)
    vt = p.typical_variance()
    out = {
        "tau2_low": lo,
        "tau2_high": hi,
        "i2_low": 100 * lo / (lo + vt),
        "i2_high": 100 * hi / (hi + vt),
        "h2_low": lo / vt + 1,
        "h2_high": hi / vt + 1,
    }
    out["null_set"] = bool(null_set)
    return out


def wald(mean: Num, se: Num, df: int | None = None, level: str = "0.95") -> dict[str, Any]:
    crit = z_crit(level) if df is None else t_crit(df, level)
    if se > 0:
        z = mean / se
        p = norm_two_sided(z) if df is None else t_two_sided(z, df)
    else:
        z = p = None
    out = {"se": se, "statistic": z, "p_value": p, "ci_low": mean - crit * se, "ci_high": mean + crit * se}
    if df is not None:
        out["df"] = df
    return out


def random_effects(p: Problem, tau2: Num) -> dict[str, Any]:
    _, sw, mean, rss = p.fit(tau2)
    k = p.k
    se = 1 / mp.sqrt(sw)
    hk = mp.sqrt(rss / (k - 1)) * se
    vt = p.typical_variance()
    ll_reml, ll_ml = p.loglik(tau2)

    def pi(crit: Num, s: Num) -> list[Num]:
        half = crit * mp.sqrt(tau2 + s * s)
        return [mean - half, mean + half]

    return {
        "tau2": tau2,
        "mean": mean,
        "wald_z": wald(mean, se),
        "wald_t": wald(mean, se, k - 1),
        "hksj": wald(mean, hk, k - 1),
        "i2": 100 * tau2 / (tau2 + vt),
        "h2": tau2 / vt + 1,
        "loglik_reml": ll_reml,
        "loglik_ml": ll_ml,
        "pi": {
            "z": pi(z_crit("0.95"), se),
            "t(k-1)": pi(t_crit(k - 1, "0.95"), se),
            "t(k-2)": pi(t_crit(k - 2, "0.95"), se) if k > 2 else None,
        },
        "pi_hksj": pi(t_crit(k - 1, "0.95"), hk),
    }


def equal_effects(p: Problem) -> dict[str, Any]:
    _, sw, mean, q = p.fit(mpf(0))
    df = p.k - 1
    ll_reml, ll_ml = p.loglik(mpf(0))
    w = wald(mean, 1 / mp.sqrt(sw))
    return {
        "mean": mean,
        **w,
        "q": q,
        "q_df": df,
        "q_p_value": chi2_upper(q, df),
        "i2": max(mpf(0), 100 * (q - df) / q) if q > 0 else mpf(0),
        "h2": q / df,
        "loglik_ml": ll_ml,
        "loglik_reml": ll_reml,
    }


def estimate(p: Problem, method: str) -> Num:
    if method == "REML":
        return p.reml()[0]
    return p.dl() if method == "DL" else p.pm()


def subgroups(y: list[float], v: list[float], group: list[str]) -> dict[str, Any]:
    levels = sorted(set(group))
    out: dict[str, Any] = {"group": group}
    rows = list(zip(y, v, group, strict=True))
    parts = {g: Problem([a for a, _, h in rows if h == g], [b for _, b, h in rows if h == g]) for g in levels}
    for method in ("DL", "PM", "REML"):
        tau2, mean, se = [], [], []
        for g in levels:
            p = parts[g]
            t = mpf(0) if p.k == 1 else estimate(p, method)
            _, sw, m, _ = p.fit(t)
            tau2.append(t)
            mean.append(m)
            se.append(1 / mp.sqrt(sw))
        w = [1 / s**2 for s in se]
        centre = mp.fdot(w, mean) / mp.fsum(w)
        q = mp.fsum(a * (m - centre) ** 2 for a, m in zip(w, mean, strict=True))
        df = len(levels) - 1
        out[method] = {
            "levels": levels,
            "k": [parts[g].k for g in levels],
            "tau2": tau2,
            "mean": mean,
            "se": se,
            "q": q,
            "df": df,
            "p_value": chi2_upper(q, df),
        }
    return out


def solve_case(case: dict[str, Any]) -> dict[str, Any]:
    y, v = case["yi"], case["vi"]
    p = Problem(y, v)
    profile = {level: q_profile(p, level) for level in LEVELS}
    peaks = p.reml()
    out = {
        "measure": case["measure"],
        "source": case["source"],
        "group_factor": case["group_factor"],
        "k": p.k,
        "yi": y,
        "vi": v,
        "equal": equal_effects(p),
        "random": {},
    }
    for method, tau2 in (("DL", p.dl()), ("PM", p.pm()), ("REML", peaks[0])):
        r = random_effects(p, tau2)
        r["i2_q_based"] = out["equal"]["i2"]
        r["tau2_ci"] = profile
        if method == "REML":
            r["n_local_maxima"] = len(peaks)
            r["local_maxima"] = [{"tau2": t, "mean": p.fit(t)[2], "loglik_reml": p.loglik(t)[0]} for t in peaks]
        out["random"][method] = r
    out["subgroups"] = subgroups(y, v, case["subgroups"]["group"])
    return out


# ----------------------------------------------------------------- effect sizes


def exact_table(m: str, cells: list[Num], o: dict[str, Any]) -> tuple[Num, Num]:
    a, b, c, d = cells
    if o["drop00"] and ((a == 0 and c == 0) or (b == 0 and d == 0)):
        return None, None
    if o["to"] == "only0" and 0 in (a, b, c, d):
        h = mpf(o["add"])
        a, b, c, d = a + h, b + h, c + h, d + h
    n1, n2 = a + b, c + d
    if m == "RD":
        return a / n1 - c / n2, a * b / n1**3 + c * d / n2**3
    if 0 in (a, c) or (m == "OR" and 0 in (b, d)):
        return None, None
    if m == "RR":
        return mp.log(a / n1) - mp.log(c / n2), 1 / a - 1 / n1 + 1 / c - 1 / n2
    return mp.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def exact_row(row: dict[str, Any]) -> tuple[Num, Num]:
    i = {k: mpf(x) for k, x in row["inputs"].items()}
    m = row["measure"]
    if m in ("SMD", "MD"):
        d = i["m1i"] - i["m2i"]
        n1, n2 = i["n1i"], i["n2i"]
        if m == "MD":
            return d, i["sd1i"] ** 2 / n1 + i["sd2i"] ** 2 / n2
        df = n1 + n2 - 2
        sp = mp.sqrt(((n1 - 1) * i["sd1i"] ** 2 + (n2 - 1) * i["sd2i"] ** 2) / df)
        j = mp.exp(mp.loggamma(df / 2) - mp.log(mp.sqrt(df / 2)) - mp.loggamma((df - 1) / 2))
        g = j * d / sp
        return g, 1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2))
    return exact_table(m, [i["ai"], i["bi"], i["ci"], i["di"]], row["options"])


# ------------------------------------------------------------------------ files


def plain(x: Any) -> Any:
    if isinstance(x, mpf):
        return mp.nstr(x, 20, strip_zeros=False, min_fixed=0, max_fixed=0) if x else "0"
    if isinstance(x, dict):
        return {k: plain(a) for k, a in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(a) for a in x]
    return x


def dump(obj: dict[str, Any], name: str) -> None:
    text = json.dumps(obj, indent=1, ensure_ascii=False, allow_nan=False)
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def write() -> None:
    pinned = load("metafor_univariate.json")
    versions = {"python": platform.python_version(), "mpmath": mpmath.__version__, "numpy": np.__version__}
    cases = {}
    for part in ("cases", "hard_cases"):
        for name, case in pinned[part].items():
            sys.stderr.write(name + "\n")
            cases[name] = plain(solve_case(case) | {"hard": part == "hard_cases"})
    dump(
        {
            "meta": {
                "generator": "exact_univariate.py",
                "digits_used": mp.dps,
                "digits_written": 20,
                **versions,
                "inputs": "the exact values of the doubles yi, vi",
                "reml": f"global maximum: 0 and {GRID_POINTS} log-spaced points, every local maximum refined",
                "loglik_reml": "with the +1/2 log|X'X| term",
                "i2": "tau2-based, percent; i2_q_based and equal.i2 from Q",
            },
            "cases": cases,
        },
        "exact_univariate.json",
    )
    rows = []
    for row in load("effect_sizes.json")["rows"]:
        yi, vi = exact_row(row)
        rows.append(
            {
                "id": row["id"],
                "measure": row["measure"],
                "inputs": row["inputs"],
                "options": row["options"],
                "yi": plain(yi),
                "vi": plain(vi),
            }
        )
    dump(
        {
            "meta": {
                "generator": "exact_univariate.py",
                **versions,
                "n_rows": len(rows),
                "inputs": "the exact values of the doubles in 'inputs'",
            },
            "rows": rows,
        },
        "exact_effect_sizes.json",
    )


# ------------------------------------------------------------------- comparison

SKIP = {
    "measure",
    "source",
    "group_factor",
    "yi",
    "vi",
    "group",
    "levels",
    "k",
    "hard",
    "null_set",
    "n_local_maxima",
    "local_maxima",
    "i2_q_based",
}


def walk(exact: Any, other: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield (path, pinned value, exact value) of all numbers present in the exact file."""
    if isinstance(exact, dict):
        for key, sub in exact.items():
            if key not in SKIP:
                yield from walk(sub, other.get(key) if isinstance(other, dict) else None, (*path, key))
    elif isinstance(exact, list):
        for i, sub in enumerate(exact):
            yield from walk(sub, other[i] if isinstance(other, list) else None, (*path, str(i)))
    else:
        yield path, other, exact


TINY = mpf("2.2250738585072014e-308")


def rel(value: float | None, truth: str | int | None) -> Num:
    """Give the relative error; infinite for a wrong zero or a missing value.

    Two positive values below the smallest normal double count as equal
    (a p-value of 1e-400 can only be written as 0).
    """
    if truth is None:
        return mpf(0) if value is None else mp.inf
    if value is None:
        return mp.inf
    v, t = mpf(value), mpf(truth)
    if 0 < t < TINY and 0 <= v < TINY:
        return mpf(0)  # p-values below the normal doubles
    if t == 0:
        return mpf(0) if v == 0 else mp.inf
    return abs(v - t) / abs(t)


def say(*words: str) -> None:
    text = " | ".join(words)
    sys.stdout.write((text.strip(" ") if words[0] == "" else text) + "\n")


def table(header: list[str]) -> None:
    say("", *header, "")
    say("", *["---"] * len(header), "")


def number(x: Any) -> str:
    return "null" if x is None else f"{float(x):.12g}"


def error(r: Num) -> str:
    return "-" if r == mp.inf else mp.nstr(r, 2)


EDGES = {"0 .. 1e-14": 1e-14, ".. 1e-12": 1e-12, ".. 1e-10": 1e-10, ".. 1e-8": 1e-8, "above": mp.inf}


def compare_part(part: str, pinned: dict[str, Any], exact: dict[str, Any], limit: float) -> None:
    found = [
        (rel(value, truth), name, ".".join(path), value, truth)
        for name, case in pinned[part].items()
        for path, value, truth in walk(exact["cases"][name], case)
    ]
    bad = [row for row in found if row[0] > limit]
    bins = dict.fromkeys(EDGES, 0)
    for row in found:
        bins[next(key for key, edge in EDGES.items() if row[0] <= edge)] += 1
    say(f"\n### {part}: {len(found)} numbers, {len(bad)} off by more than {limit:g}\n")
    say(", ".join(f"{k}: {c}" for k, c in bins.items()) + "\n")
    table(["case", "quantity", "metafor", "exact", "relative error"])
    for r, name, path, value, truth in bad:
        say("", name, path, number(value), number(truth), error(r), "")


def compare_defaults(pinned: dict[str, Any], exact: dict[str, Any], limit: float) -> None:
    say("\n### default control (tau2 only)\n")
    table(["case", "method", "metafor default", "exact", "relative error"])
    for name, case in (pinned["cases"] | pinned["hard_cases"]).items():
        for method, r in case["random"].items():
            value, truth = r["tau2_default_control"], exact["cases"][name]["random"][method]["tau2"]
            if rel(value, truth) > limit:
                say("", name, method, number(value), number(truth), error(rel(value, truth)), "")


def compare_null_sets(pinned: dict[str, Any], exact: dict[str, Any]) -> None:
    say("\n### Q-profile interval wrongly called empty, or wrongly not\n")
    for name, case in (pinned["cases"] | pinned["hard_cases"]).items():
        for level in LEVELS:
            a = case["random"]["DL"]["tau2_ci"][level]["null_set"]
            b = exact["cases"][name]["random"]["DL"]["tau2_ci"][level]["null_set"]
            if a != b:
                say(name, level, f"metafor {a}", f"exact {b}")


def compare_effect_sizes() -> None:
    say("\n### effect sizes: the eight largest relative errors\n")
    pinned, exact = load("effect_sizes.json")["rows"], load("exact_effect_sizes.json")["rows"]
    found = [
        (rel(a[key], b[key]), a["id"], key, a[key], b[key])
        for a, b in zip(pinned, exact, strict=True)
        for key in ("yi", "vi")
    ]
    table(["row", "quantity", "metafor", "exact", "relative error"])
    for r, name, key, value, truth in sorted(found, key=lambda row: -row[0])[:8]:
        say("", name, key, number(value), number(truth), error(r), "")


def compare(limit: float = 1e-8) -> None:
    pinned, exact = load("metafor_univariate.json"), load("exact_univariate.json")
    for part in ("cases", "hard_cases"):
        compare_part(part, pinned, exact, limit)
    compare_defaults(pinned, exact, limit)
    compare_null_sets(pinned, exact)
    compare_effect_sizes()


if __name__ == "__main__":
    if "--compare" in sys.argv[1:]:
        compare()
    else:
        write()
