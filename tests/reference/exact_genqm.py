"""Compute tau2 by GENQM to 25 digits for data sets of metafor_univariate_tau2.json, and write exact_genqm.json.

    python exact_genqm.py

Q = sum lambda_j chi2_1 with lambda the eigenvalues of P^1/2 (V + tau2 I) P^1/2, found by mpmath; its probability is
an inverse Laplace transform by mpmath. The package forms no eigenvalue and has another contour; no code is shared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

HERE = Path(__file__).resolve().parent
mp.dps = 40
NAMES = (
    "dat.bcg",
    "dat.normand1999",
    "dat.egger2001",
    "dat.collins1985a",
    "dat.hine1989",
    "dat.fine1993",
    "scale_0.001",
    "two_peaks_zero",
)
Num = Any  # an mpmath number (mpmath has no types)


def residual_maker(a: list[Num], x: list[Num] | None) -> Any:
    """Return A - A X (X'AX)^-1 X'A as a matrix."""
    k = len(a)
    X = mp.matrix(k, 1 if x is None else 2)
    for i in range(k):
        X[i, 0] = 1
        if x is not None:
            X[i, 1] = x[i]
    A = mp.diag(a)
    return A - A * X * mp.inverse(X.T * A * X) * X.T * A


def below(eigenvalues: list[Num], q: Num) -> Num:
    """Return P(sum lambda_j chi2_1 <= q): mpmath inverts the Laplace transform by Talbot's method."""

    def transform(z: Num) -> Num:
        return mp.fprod(1 / mp.sqrt(1 + 2 * z * b) for b in eigenvalues) / z

    return mp.invertlaplace(transform, q, method="talbot")


def genqm(yi: list[float], vi: list[float], a: list[Num], *, line: bool) -> Num:
    """Solve P(Q <= q; tau2) = 1/2 for tau2 >= 0 by the Illinois method."""
    k, v, y = len(yi), [mpf(b) for b in vi], mp.matrix([mpf(b) for b in yi])
    x = [mpf((7 * (i + 1)) % 5) for i in range(k)] if line else None
    P = residual_maker(a, x)
    q = (y.T * P * y)[0]
    p = 2 if line else 1

    def curve(tau2: Num) -> Num:
        root = [mp.sqrt(b + tau2) for b in v]
        inner = mp.matrix(k, k)
        for i in range(k):
            for j in range(k):
                inner[i, j] = root[i] * P[i, j] * root[j]
        values = sorted(mp.eigsy(inner, eigvals_only=True))
        return below(values[p:], q) - mpf(1) / 2

    low = high = max(v)
    fa = fb = curve(high)
    while fb > 0:
        low, fa, high = high, fb, 2 * high
        fb = curve(high)
    while fa <= 0:
        if low < max(v) / 300 and curve(mpf(0)) <= 0:
            return mpf(0)
        high, fb, low = low, fa, low / 2
        fa = curve(low)
    side = 0
    for _ in range(100):
        c = (low * fb - high * fa) / (fb - fa)
        fc = curve(c)
        if abs(fc) < mpf(10) ** -24:
            return c
        if fc > 0:
            low, fa, fb, side = c, fc, fb / 2 if side == 1 else fb, 1
        else:
            high, fb, fa, side = c, fc, fa / 2 if side == -1 else fa, -1
    raise ArithmeticError("no end")


def solve(yi: list[float], vi: list[float]) -> dict[str, str]:
    usual, cycle = [1 / mp.sqrt(mpf(b)) for b in vi], [mpf(1 + (i + 1) % 3) for i in range(len(vi))]
    found = {"mean": genqm(yi, vi, usual, line=False), "weights": genqm(yi, vi, cycle, line=False)}
    if len(yi) > 4:
        found["line"] = genqm(yi, vi, usual, line=True)
    return {model: mp.nstr(value, 20) for model, value in found.items()}


def main() -> None:
    cases = json.loads((HERE / "metafor_univariate_tau2.json").read_text(encoding="utf-8"))["cases"]
    done = {name: solve(cases[name]["yi"], cases[name]["vi"]) for name in NAMES}
    about = {"generator": "exact_genqm.py", "digits": 25, "written": 20}
    (HERE / "exact_genqm.json").write_text(
        json.dumps({"meta": about, "cases": done}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
