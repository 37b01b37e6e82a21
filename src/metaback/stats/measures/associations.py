"""Measures of the association behind a table of two groups and two outcomes, on the scale of a correlation or a SMD."""

from __future__ import annotations

import numpy as np

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, measure
from metaback.stats.measures.tetrachoric import normal_quantile, tetrachoric
from metaback.stats.measures.zero_cells import (
    ADD,
    CORRECTION,
    PLAIN_ZEROS,
    RATIO_ZEROS,
    UNDEFINED,
    Cells,
    close,
    relative_cells,
)

_CROSS = Choice(formula=", with the variance for a cross-sectional sample", note="cross-sectional variance")
PHI_VTYPE = Convention(
    "sampling design",
    {
        "LS": _CROSS,
        "RevMan": _CROSS,
        "CS": _CROSS,
        "ST": Choice(formula=", with the variance for two groups of fixed size", note="variance for fixed group sizes"),
    },
)
PERFECT = f"{UNDEFINED}, or a perfect association"


def _phi_parts(t: Cells, vtype: str) -> tuple[Floats, Floats, Floats]:
    """Return delta = ad - bc, D^2 - delta^2 with D^2 the product of the margins, and the variance of phi.

    The gradient of phi = delta/D by the cells is written out as sums of products, so that nothing cancels:
    g_a = ((b + c)(ad + bc)/2 + bc(a + d))/(D r_1 c_1), g_b = -((a + d)(ad + bc)/2 + ad(b + c))/(D r_1 c_2), and so
    on. Cross-sectional: v = sum of cell x g^2 (the mean of g is 0); stratified: the rows are two binomials.
    """
    a, b, c, d = t.a, t.b, t.c, t.d
    row_1, row_2, column_1, column_2 = a + b, c + d, a + c, b + d
    up, down = a * d, b * c
    root = np.sqrt(row_1 * row_2) * np.sqrt(column_1 * column_2)
    with_d = (b + c) * (up + down) / 2 + down * (a + d)
    with_c = (a + d) * (up + down) / 2 + up * (b + c)
    g_a, g_d = with_d / (root * row_1 * column_1), with_d / (root * row_2 * column_2)
    g_b, g_c = with_c / (root * row_1 * column_2), with_c / (root * row_2 * column_1)
    if vtype == "ST":
        vi = (g_a + g_b) ** 2 * (a * b / row_1) + (g_c + g_d) ** 2 * (c * d / row_2)
    else:
        vi = a * g_a**2 + b * g_b**2 + c * g_c**2 + d * g_d**2
    rest = (up + down) * (a * c + b * d + a * b + c * d) + (a * c + b * d) * (a * b + c * d) + 4 * up * down
    return t.delta, rest, vi


def _phi_cells(events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, zeros: str, add: str) -> Cells:
    """Return the cells; RevMan's policy corrects where the association is perfect."""
    perfect = ((events_1 == n_1) & (events_2 == 0)) | ((events_1 == 0) & (events_2 == n_2))
    return relative_cells(events_1, n_1, events_2, n_2, zeros, perfect, plain=True, add=add)


@measure(
    Measure(
        "PHI",
        "Phi coefficient",
        "φ",
        "linear",
        "counts",
        CORRECTION,
        PERFECT,
        formula="the phi coefficient, the correlation of group and outcome",
        conventions={"zeros": PLAIN_ZEROS, "add": ADD, "vtype": PHI_VTYPE},
        turn="sign",
    ),
    cite="yule1912",
)
def phi_coefficient(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute the phi coefficient.

    y = (a d - b c)/sqrt(n_1 n_2 m (N - m)), with a, c the events, b, d the non-events and m = a + c. vtype "CS" (also
    "LS", "RevMan"): the variance by the delta method from one multinomial of N people; "ST": from two binomials.

    All arguments (k,) counts. zeros "metafor", "none": nothing is corrected; "RevMan": only perfect associations,
    whose variance would be 0; the others as for `risk_ratio`. Rows without events in both arms, or with only events,
    are undefined unless corrected. Source: Yule 1912. Same as `metafor::escalc(measure="PHI")`, but for a variance of
    0 at a perfect association, which is undefined here.

    >>> out = phi_coefficient(*(np.array([x]) for x in (135.0, 150.0, 40.0, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]) ** 0.5, 4)
    (0.1309, 0.0789)
    """
    PHI_VTYPE.check("vtype", vtype)
    t = _phi_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    with np.errstate(divide="ignore", invalid="ignore"):
        delta, _, vi = _phi_parts(t, vtype)
        root = np.sqrt((t.a + t.b) * (t.c + t.d)) * np.sqrt((t.a + t.c) * (t.b + t.d))
        return close(t, delta / root, vi)


@measure(
    Measure(
        "ZPHI",
        "Phi coefficient",
        "φ",
        "linear",
        "counts",
        CORRECTION,
        PERFECT,
        formula="Fisher's z of the phi coefficient, the correlation of group and outcome",
        conventions={"zeros": PLAIN_ZEROS, "add": ADD, "vtype": PHI_VTYPE},
        back="tanh",
        turn="sign",
    ),
    cite="yule1912",
)
def phi_coefficient_z(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute Fisher's z of the phi coefficient.

    y = atanh(phi), v = v(phi)/(1 - phi^2)^2; y is computed as asinh(delta/sqrt(D^2 - delta^2)), whose denominator is
    a sum of products, so that strong associations keep their digits.

    All arguments (k,) counts; zeros and vtype as for `phi_coefficient`. Source: Yule 1912; the transformation by the
    delta method. Same as `metafor::escalc(measure="ZPHI")`.

    >>> out = phi_coefficient_z(*(np.array([x]) for x in (135.0, 150.0, 40.0, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.1317, 0.0064)
    """
    PHI_VTYPE.check("vtype", vtype)
    t = _phi_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    with np.errstate(divide="ignore", invalid="ignore"):
        delta, rest, vi = _phi_parts(t, vtype)
        square = (t.a + t.b) * (t.c + t.d) * (t.a + t.c) * (t.b + t.d)
        return close(t, np.arcsinh(delta / np.sqrt(rest)), vi * (square / rest) ** 2)


@measure(
    Measure(
        "YUQ",
        "Yule's Q",
        "Q",
        "linear",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="Yule's Q, (ad − bc)/(ad + bc), with variance (1 − Q²)²(1/a + 1/b + 1/c + 1/d)/4",
        conventions={"zeros": RATIO_ZEROS, "add": ADD},
        turn="sign",
    ),
    cite="yule1912",
)
def yules_q(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute Yule's Q, which is (OR - 1)/(OR + 1).

    y = (ad - bc)/(ad + bc), v = (1 - y^2)^2 (1/a + 1/b + 1/c + 1/d)/4.

    All arguments (k,) counts; zeros as for `risk_ratio`. Source: Yule 1912. Same as `metafor::escalc(measure="YUQ")`.

    >>> out = yules_q(*(np.array([x]) for x in (135.0, 150.0, 40.0, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]) ** 0.5, 4)
    (0.3846, 0.1901)
    """
    t = relative_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    up, down = t.a * t.d, t.b * t.c
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = 4 * (up / (up + down)) * (down / (up + down))
        return close(t, t.delta / (up + down), rest**2 * t.inverses / 4)


@measure(
    Measure(
        "YUY",
        "Yule's Y",
        "Y",
        "linear",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="Yule's Y, (√ad − √bc)/(√ad + √bc), with variance (1 − Y²)²(1/a + 1/b + 1/c + 1/d)/16",
        conventions={"zeros": RATIO_ZEROS, "add": ADD},
        turn="sign",
    ),
    cite="yule1912",
)
def yules_y(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute Yule's Y, which is (sqrt(OR) - 1)/(sqrt(OR) + 1).

    y = (sqrt(ad) - sqrt(bc))/(sqrt(ad) + sqrt(bc)), v = (1 - y^2)^2 (1/a + 1/b + 1/c + 1/d)/16.

    All arguments (k,) counts; zeros as for `risk_ratio`. Source: Yule 1912. Same as `metafor::escalc(measure="YUY")`.

    >>> out = yules_y(*(np.array([x]) for x in (135.0, 150.0, 40.0, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]) ** 0.5, 4)
    (0.2, 0.1071)
    """
    t = relative_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    up, down = np.sqrt(t.a * t.d), np.sqrt(t.b * t.c)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = up + down
        rest = 4 * (up / total) * (down / total)
        return close(t, t.delta / total**2, rest**2 * t.inverses / 16)


def _probit(events: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Return the probit of a risk and its variance, from the smaller of the two counts."""
    size = events + others
    z = normal_quantile(events, others)
    vi = 2 * np.pi * (events / size) * (others / size) * np.exp(z**2) / size
    return z, vi


@measure(
    Measure(
        "PBIT",
        "Standardised mean difference from probits",
        "SMD",
        "linear",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="the difference of the probits of the risks, an estimate of the standardised mean difference of normal "
        "variables",
        conventions={"zeros": RATIO_ZEROS, "add": ADD},
        turn="sign",
    ),
    cite="sanchezmeca2003",
)
def probit_difference(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the difference of probits, the standardised mean difference if the outcome is a cut normal variable.

    y = z_1 - z_2 with z_i the normal quantile of the risk p_i, v = sum of 2 pi p_i (1 - p_i) exp(z_i^2)/n_i.

    All arguments (k,) counts; zeros as for `risk_ratio`. Source: Sánchez-Meca et al. 2003. Same as
    `metafor::escalc(measure="PBIT")`.

    >>> out = probit_difference(*(np.array([x]) for x in (135.0, 150.0, 40.0, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]) ** 0.5, 4)
    (0.4399, 0.2456)
    """
    t = relative_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    with np.errstate(divide="ignore", invalid="ignore"):
        z_1, v_1 = _probit(t.a, t.b)
        z_2, v_2 = _probit(t.c, t.d)
        return close(t, z_1 - z_2, v_1 + v_2)


def _tetrachoric_cells(events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, zeros: str, add: str) -> Cells:
    """Return the cells; a zero cell is a correlation of 1 or -1, which has no variance."""
    return relative_cells(events_1, n_1, events_2, n_2, zeros, plain=True, add=add)


@measure(
    Measure(
        "RTET",
        "Tetrachoric correlation",
        "r",
        "linear",
        "counts",
        CORRECTION,
        "a cell of its table is 0",
        formula="the tetrachoric correlation by maximum likelihood, that of two normal variables that were both cut",
        conventions={"zeros": PLAIN_ZEROS, "add": ADD},
        turn="sign",
    ),
    cite="pearson1900 kirk1973 brown1977",
)
def tetrachoric_correlation(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the tetrachoric correlation.

    y = rho with P(X < h, Y < k; rho) = a/N in the bivariate normal distribution whose margins are n_1/N and
    (a + c)/N: three free proportions, three parameters, so this is the maximum of the likelihood. v by the delta
    method; see `tetrachoric`.

    All arguments (k,) counts. A zero cell is a correlation of 1 or -1, which is undefined: zeros "metafor", "none"
    leave it so, "RevMan" corrects unless both arms have no events or only events, the others as for `risk_ratio`.
    Source: Pearson 1900; Kirk 1973; Brown & Benedetti 1977. Same as `metafor::escalc(measure="RTET")`.

    >>> out = tetrachoric_correlation(*(np.array([x]) for x in (135.0, 150.0, 40.0, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]) ** 0.5, 4)
    (0.2602, 0.1423)
    """
    t = _tetrachoric_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    found = tetrachoric(t.a, t.b, t.c, t.d)
    return close(t, found.rho, found.variance)


@measure(
    Measure(
        "ZTET",
        "Tetrachoric correlation",
        "r",
        "linear",
        "counts",
        CORRECTION,
        "a cell of its table is 0",
        formula="Fisher's z of the tetrachoric correlation by maximum likelihood, that of two normal variables that "
        "were both cut",
        conventions={"zeros": PLAIN_ZEROS, "add": ADD},
        back="tanh",
        turn="sign",
    ),
    cite="pearson1900 kirk1973 brown1977",
)
def tetrachoric_correlation_z(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute Fisher's z of the tetrachoric correlation.

    y = atanh(rho), v = v(rho)/(1 - rho^2)^2, both from the angle acos(rho), so that 1 - rho^2 does not cancel.

    All arguments (k,) counts; zeros as for `tetrachoric_correlation`. Source: Pearson 1900; Kirk 1973; Brown &
    Benedetti 1977; the transformation by the delta method. Same as `metafor::escalc(measure="ZTET")`.

    >>> out = tetrachoric_correlation_z(*(np.array([x]) for x in (135.0, 150.0, 40.0, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.2664, 0.0233)
    """
    t = _tetrachoric_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    found = tetrachoric(t.a, t.b, t.c, t.d)
    return close(t, found.z, found.variance_z)
