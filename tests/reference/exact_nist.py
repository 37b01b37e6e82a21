"""Write nist.json: NIST's linear regressions (Longley, Filip, Wampler 1 to 5) with exact coefficients and errors.

    python exact_nist.py

The data are those of the Statistical Reference Datasets (www.itl.nist.gov/div898/strd/lls/lls.shtml), the certified
values are computed anew with 200 digits from the decimal inputs; the test beside holds them to the printed ones.
Wampler's y are polynomials of x = 0 to 20 plus a fixed noise.
"""

from __future__ import annotations

import json
from pathlib import Path

import mpmath as mp

mp.mp.dps = 200
OUT = Path(__file__).with_name("nist.json")
FILIP = """
0.8116 -6.860120914 0.9072 -4.324130045 0.9052 -4.358625055 0.9039 -4.358426747 0.8053 -6.955852379
0.8377 -6.661145254 0.8667 -6.355462942 0.8809 -6.118102026 0.7975 -7.115148017 0.8162 -6.815308569
0.8515 -6.519993057 0.8766 -6.204119983 0.8885 -5.853871964 0.8859 -6.109523091 0.8959 -5.79832982
0.8913 -5.482672118 0.8959 -5.171791386 0.8971 -4.851705903 0.9021 -4.517126416 0.909 -4.143573228
0.9139 -3.709075441 0.9199 -3.499489089 0.8692 -6.300769497 0.8872 -5.953504836 0.89 -5.642065153
0.891 -5.031376979 0.8977 -4.680685696 0.9035 -4.329846955 0.9078 -3.928486195 0.7675 -8.56735134
0.7705 -8.363211311 0.7713 -8.107682739 0.7736 -7.823908741 0.7775 -7.522878745 0.7841 -7.218819279
0.7971 -6.920818754 0.8329 -6.628932138 0.8641 -6.323946875 0.8804 -5.991399828 0.7668 -8.781464495
0.7633 -8.663140179 0.7678 -8.473531488 0.7697 -8.247337057 0.77 -7.971428747 0.7749 -7.676129393
0.7796 -7.352812702 0.7897 -7.072065318 0.8131 -6.774174009 0.8498 -6.478861916 0.8741 -6.159517513
0.8061 -6.835647144 0.846 -6.53165267 0.8751 -6.224098421 0.8856 -5.910094889 0.8919 -5.598599459
0.8934 -5.290645224 0.894 -4.974284616 0.8957 -4.64454848 0.9047 -4.290560426 0.9129 -3.885055584
0.9209 -3.408378962 0.9219 -3.13200249 0.7739 -8.726767166 0.7681 -8.66695597 0.7665 -8.511026475
0.7703 -8.165388579 0.7702 -7.886056648 0.7761 -7.588043762 0.7809 -7.283412422 0.7961 -6.995678626
0.8253 -6.691862621 0.8602 -6.392544977 0.8809 -6.067374056 0.8301 -6.684029655 0.8664 -6.378719832
0.8834 -6.065855188 0.8898 -5.752272167 0.8964 -5.132414673 0.8963 -4.811352704 0.9074 -4.098269308
0.9119 -3.66174277 0.9228 -3.2644011
"""
LONGLEY = {
    "y": "60323 61122 60171 61187 63221 63639 64989 63761 66019 67857 68169 66513 68655 69564 69331 70551",
    "deflator": "83 88.5 88.2 89.5 96.2 98.1 99 100 101.2 104.6 108.4 110.8 112.6 114.2 115.7 116.9",
    "gnp": "234289 259426 258054 284599 328975 346999 365385 363112 "
    "397469 419180 442769 444546 482704 502601 518173 554894",
    "unemployed": "2356 2325 3682 3351 2099 1932 1870 3578 2904 2822 2936 4681 3813 3931 4806 4007",
    "armed": "1590 1456 1616 1650 3099 3594 3547 3350 3048 2857 2798 2637 2552 2514 2572 2827",
    "population": "107608 108632 109773 110929 112075 113270 115094 116219 "
    "117388 118734 120445 121950 123366 125368 127852 130081",
    "year": "1947 1948 1949 1950 1951 1952 1953 1954 1955 1956 1957 1958 1959 1960 1961 1962",
}
NOISE = (
    "759 -2048 2048 -2048 2523 -2048 2048 -2048 1838 -2048 2048 -2048 1838 -2048 2048 -2048 2523 -2048 2048 -2048 759"
)


def wampler(number: int) -> dict[str, object]:
    """Return a polynomial of degree 5, with noise from the third on."""
    xs = list(range(21))
    factor = {1: 0, 2: 0, 3: 1, 4: 100, 5: 10_000}[number]
    step = mp.mpf("0.1") if number == 2 else mp.mpf(1)
    ys = [sum((step * x) ** j for j in range(6)) + factor * int(e) for x, e in zip(xs, NOISE.split(), strict=True)]
    return {"name": f"Wampler{number}", "y": [mp.nstr(y, 17, strip_zeros=True) for y in ys], "x": xs, "degree": 5}


def filip() -> dict[str, object]:
    """Return a polynomial of degree 10 over a narrow range: condition number 1e15."""
    cells = FILIP.split()
    return {"name": "Filip", "y": cells[::2], "x": cells[1::2], "degree": 10}


def longley() -> dict[str, object]:
    """Return six columns that are close to collinear."""
    rows = [list(row) for row in zip(*(LONGLEY[name].split() for name in LONGLEY if name != "y"), strict=True)]
    return {"name": "Longley", "y": LONGLEY["y"].split(), "rows": rows}


def design(case: dict[str, object]) -> mp.matrix:
    """Return X with an intercept."""
    if "rows" in case:
        return mp.matrix([[mp.mpf(1), *map(mp.mpf, row)] for row in case["rows"]])
    return mp.matrix([[mp.mpf(str(x)) ** j for j in range(int(case["degree"]) + 1)] for x in case["x"]])


def solved(case: dict[str, object]) -> dict[str, object]:
    """Add exact coefficients, standard errors and residual standard deviation."""
    X, y = design(case), mp.matrix([mp.mpf(text) for text in case["y"]])
    inverse = (X.T * X) ** -1
    beta = inverse * (X.T * y)
    rest = y - X * beta
    squares = sum(e * e for e in rest)
    sigma = mp.sqrt(squares / (X.rows - X.cols)) if squares > mp.mpf(10) ** -100 else mp.mpf(0)
    plain = dict(case)
    for name in ("y", "x"):
        if name in plain:
            plain[name] = [float(value) for value in plain[name]]
    if "rows" in plain:
        plain["rows"] = [[float(value) for value in row] for row in plain["rows"]]
    se = [sigma * mp.sqrt(inverse[j, j]) for j in range(X.cols)]
    return {
        **plain,
        "beta": [mp.nstr(b, 20) for b in beta],
        "se": [mp.nstr(s, 20) for s in se],
        "sigma": mp.nstr(sigma, 20),
    }


if __name__ == "__main__":
    cases = [solved(case) for case in (longley(), filip(), *(wampler(number) for number in range(1, 6)))]
    OUT.write_text(json.dumps({"digits_used": mp.mp.dps, "cases": cases}, indent=1) + "\n", encoding="utf-8")
