"""Compute exact values (50 digits) of every estimator of tau2 for the data sets of metafor_univariate_tau2.json.

    python exact_univariate_tau2.py            writes exact_univariate_tau2.json
    python exact_univariate_tau2.py --compare  prints, in Markdown, where metafor differs from it

Reads yi and vi and none of metafor's answers; every input is the exact value of its double. Matrices are written out
as sums and solved by mpmath; no code is shared with the package. Doubles only bracket the peaks of the likelihoods.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp, mpf

HERE = Path(__file__).resolve().parent
mp.dps = 60
GRID_POINTS = 2000
Num = Any  # an mpmath number (mpmath has no types)


class Case:
    """A data set with an intercept alone (line=False) or a moderator too."""

    def __init__(self, yi: list[float], vi: list[float], *, line: bool) -> None:
        self.k, self.v = len(yi), [mpf(a) for a in vi]
        self.y = [mpf(a) for a in yi]
        self.x = [mpf((7 * (i + 1)) % 5) for i in range(self.k)] if line else None
        self.p = 2 if line else 1

    def sums(self, w: list[Num]) -> Callable[[list[Num]], list[Num]]:
        """Return the function that takes the weighted least-squares fit out of a column."""
        self.beta_cov = None
        s0 = mp.fsum(w)
        if self.x is None:

            def residual(u: list[Num]) -> list[Num]:
                mean = mp.fdot(w, u) / s0
                self.beta = [mean]
                return [a - mean for a in u]

            self.cov = [[1 / s0]]
            self.leverage = [a / s0 for a in w]
            self.logdet = mp.log(s0)
            return residual
        centre = mp.fdot(w, self.x) / s0
        z = [a - centre for a in self.x]
        sxx = mp.fsum(a * b * b for a, b in zip(w, z, strict=True))

        def residual(u: list[Num]) -> list[Num]:
            mean = mp.fdot(w, u) / s0
            slope = mp.fsum(a * b * c for a, b, c in zip(w, z, u, strict=True)) / sxx
            self.beta = [mean - slope * centre, slope]
            return [a - mean - slope * b for a, b in zip(u, z, strict=True)]

        self.cov = [[1 / s0 + centre**2 / sxx, -centre / sxx], [-centre / sxx, 1 / sxx]]
        self.leverage = [a * (1 / s0 + b * b / sxx) for a, b in zip(w, z, strict=True)]
        self.logdet = mp.log(s0) + mp.log(sxx)
        return residual

    def at(self, tau2: Num) -> dict[str, Num]:
        """Evaluate what the estimators are made of."""
        w = [1 / (a + tau2) for a in self.v]
        residual = self.sums(w)
        r = residual(self.y)
        beta, cov = self.beta, self.cov
        q = mp.fsum(a * b * b for a, b in zip(w, r, strict=True))
        q2 = mp.fsum((a * b) ** 2 for a, b in zip(w, r, strict=True))
        trace = mp.fsum(a * (1 - h) for a, h in zip(w, self.leverage, strict=True))
        logs = mp.fsum(mp.log(a + tau2) for a in self.v)
        ml = -(self.k * mp.log(2 * mp.pi) + logs + q) / 2
        det = self.logdet
        self.sums([mpf(1)] * self.k)
        reml = -((self.k - self.p) * mp.log(2 * mp.pi) - self.logdet + logs + det + q) / 2
        return {"q": q, "q2": q2, "trace": trace, "sum_w": mp.fsum(w), "ml": ml, "reml": reml, "beta": beta, "cov": cov}

    def step(self, tau2: Num) -> Num:
        """Return the moment estimate with weights 1 / (v + tau2)."""
        now = self.at(tau2)
        return max(mpf(0), tau2 + (now["q"] - (self.k - self.p)) / now["trace"])

    def moment(self, a: list[Num]) -> Num:
        """Return the moment estimate with weights a."""
        r = self.sums(a)(self.y)
        p_ii = [b * (1 - h) for b, h in zip(a, self.leverage, strict=True)]
        q = mp.fsum(b * c * c for b, c in zip(a, r, strict=True))
        return max(mpf(0), (q - mp.fdot(p_ii, self.v)) / mp.fsum(p_ii))

    def root(self, f: Callable[[Num], Num], low: Num, high: Num) -> Num:
        """Find the zero of a function that falls through zero between two points (Illinois)."""
        fa, fb, side = f(low), f(high), 0
        if not fa > 0 >= fb:
            raise ArithmeticError("bracket lost")
        for _ in range(500):
            c = (low * fb - high * fa) / (fb - fa)
            fc = f(c)
            if fc > 0:
                low, fa = c, fc
                fb, side = (fb / 2, 1) if side == 1 else (fb, 1)
            else:
                high, fb = c, fc
                fa, side = (fa / 2, -1) if side == -1 else (fa, -1)
            if fc == 0 or abs(high - low) <= abs(high) * mpf(10) ** -50:
                return c
        raise ArithmeticError("no end")

    def solve_q(self, target: Num) -> Num:
        """Solve Q(tau2) = target, 0 where Q(0) is not above it."""
        if self.at(mpf(0))["q"] <= target:
            return mpf(0)
        high = max(self.v)
        while self.at(high)["q"] > target:
            high *= 2
        return self.root(lambda t: self.at(t)["q"] - target, mpf(0), high)

    def score(self, tau2: Num, restricted: bool) -> Num:
        now = self.at(tau2)
        return now["q2"] - (now["trace"] if restricted else now["sum_w"])

    def peaks(self, restricted: bool) -> list[Num]:
        """Find every local maximum, the best first: signs of the score in doubles, then 60 digits."""
        y, v = np.array([float(a - self.y[0]) for a in self.y]), np.array([float(a) for a in self.v])
        top = max(float(v.max()), float(((y - y.mean()) ** 2).sum()))
        grid = np.concatenate(([0.0], np.geomspace(1e-9 * v.min(), 2 * top, GRID_POINTS)))
        w = 1 / (v + grid[:, None])
        X = np.ones((self.k, 1)) if self.x is None else np.column_stack((np.ones(self.k), [float(a) for a in self.x]))
        inverse = np.linalg.inv(np.einsum("kp,tk,kq->tpq", X, w, X))
        beta = np.einsum("tpq,kq,tk,k->tp", inverse, X, w, y)
        r = y - beta @ X.T
        trace = (w * (1 - w * np.einsum("kp,tpq,kq->tk", X, inverse, X))).sum(1) if restricted else w.sum(1)
        sign = ((w * r) ** 2).sum(1) > trace
        found = [] if self.score(mpf(0), restricted) > 0 else [mpf(0)]
        for i in np.flatnonzero(sign[:-1] & ~sign[1:]):
            low, high = mpf(grid[i]), mpf(grid[i + 1])
            if self.score(low, restricted) > 0 >= self.score(high, restricted):
                found.append(self.root(lambda t: self.score(t, restricted), low, high))
        name = "reml" if restricted else "ml"
        return sorted(found, key=lambda t: -self.at(t)[name])


def median_chi2(df: int) -> Num:
    start = mpf(df) * (1 - mpf(2) / (9 * df)) ** 3
    return mp.findroot(lambda x: mp.gammainc(mpf(df) / 2, 0, x / 2, regularized=True) - mpf(1) / 2, start)


def estimates(case: Case) -> dict[str, Num]:
    """Return every estimator."""
    zero, m = mpf(0), case.k - case.p
    ones = [mpf(1)] * case.k
    he, start = case.moment(ones), case.at(zero)
    mean = mp.fsum(case.y) / case.k
    t = mp.fsum((a - mean) ** 2 for a in case.y) / case.k
    pm = case.solve_q(mpf(m))
    return {
        "DL": case.step(zero),
        "DL2": case.step(case.step(zero)),
        "HE": he,
        "HE2": case.step(he),
        "HS": max(zero, (start["q"] - case.k) / start["sum_w"]),
        "HSk": max(zero, (start["q"] * case.k / m - case.k) / start["sum_w"]),
        "SJ": t * case.at(t)["q"] / m,
        "GENQ": case.moment([1 / mp.sqrt(a) for a in case.v]),
        "PM": pm,
        "EB": pm,
        "SJIT": pm,
        "DLIT": pm,
        "PMM": case.solve_q(median_chi2(m)),
        "ML": case.peaks(False)[0],
        "REML": case.peaks(True)[0],
    }


def fitted(case: Case, tau2: Num) -> dict[str, Any]:
    now = case.at(tau2)
    return {"tau2": tau2, "beta": now["beta"], "se": [mp.sqrt(now["cov"][i][i]) for i in range(case.p)]}


def weighted(case: Case, a: list[Num], tau2: Num) -> dict[str, Any]:
    """Return the mean with weights a, and its standard errors, plain and by Hartung and Knapp."""
    total = mp.fsum(a)
    se = mp.sqrt(mp.fsum(b * b * (v + tau2) for b, v in zip(a, case.v, strict=True))) / total
    hk = se * mp.sqrt(case.at(tau2)["q"] / (case.k - 1))
    return {"tau2": tau2, "beta": [mp.fdot(a, case.y) / total], "se": [se], "se_hksj": [hk]}


def statistics(case: Case, tau2: Num) -> dict[str, Num]:
    now = case.at(tau2)
    logs = mp.fsum(mp.log(a) for a in case.v)
    return {"ml": now["ml"], "reml": now["reml"], "deviance": -case.k * mp.log(2 * mp.pi) - logs - 2 * now["ml"]}


def solve(yi: list[float], vi: list[float]) -> dict[str, Any]:
    plain, line = Case(yi, vi, line=False), Case(yi, vi, line=True)
    found = estimates(plain)
    out: dict[str, Any] = {"mean": {m: fitted(plain, t) for m, t in found.items()}}
    out["statistics"] = {m: statistics(plain, found[m]) for m in ("ML", "REML")}
    own = [mpf(1 + (i + 1) % 3) for i in range(plain.k)]
    out["weights"] = {"REML": weighted(plain, own, found["REML"]), "GENQ": weighted(plain, own, plain.moment(own))}
    out["ivhet"] = weighted(plain, [1 / a for a in plain.v], found["DL"])
    out["given"] = fitted(plain, mpf(0.04))
    if plain.k > 4:
        lines = estimates(line)
        out["line"] = {m: fitted(line, t) for m, t in lines.items()}
        out["line_statistics"] = {m: statistics(line, lines[m]) for m in ("ML", "REML")}
    return out


def text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: text(part) for key, part in value.items()}
    if isinstance(value, list):
        return [text(part) for part in value]
    return mp.nstr(value, 20)


def compare() -> None:
    """Print where metafor is off by more than 1e-8."""
    exact = json.loads((HERE / "exact_univariate_tau2.json").read_text(encoding="utf-8"))["cases"]
    theirs = json.loads((HERE / "metafor_univariate_tau2.json").read_text(encoding="utf-8"))["cases"]
    lines = ["| case | model | method | metafor | exact |", "|---|---|---|---|---|"]
    for name, case in exact.items():
        for model in ("mean", "line"):
            for method, true in case.get(model, {}).items():
                found = theirs[name].get(model, {}).get(method)
                if method in {"DL2", "HE2"}:
                    continue
                a, b = None if found is None else found["tau2"], float(true["tau2"])
                if a is None or abs(a - b) > 1e-8 * max(b, 1e-30):
                    lines.append(f"| {name} | {model} | {method} | {a} | {b:.12g} |")
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    if "--compare" in sys.argv:
        compare()
        return
    cases = json.loads((HERE / "metafor_univariate_tau2.json").read_text(encoding="utf-8"))["cases"]
    done = {name: text(solve(case["yi"], case["vi"])) for name, case in cases.items()}
    about = {"generator": "exact_univariate_tau2.py", "digits": 50, "written": 20}
    body = json.dumps({"meta": about, "cases": done}).replace('}, "', '},\n"')
    (HERE / "exact_univariate_tau2.json").write_text(body + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
