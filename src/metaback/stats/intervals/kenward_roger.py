"""Kenward and Roger's interval, and the prediction intervals that take the standard error of another rule."""

from __future__ import annotations

import numpy as np

from metaback.stats.intervals.family import (
    IntervalRequest,
    Limits,
    symmetric,
    whole_mean_rule,
    whole_prediction_rule,
)
from metaback.stats.wls import Floats, Problems, coefficients, moments


def kenward_roger(problems: Problems, tau2: Floats) -> tuple[Floats, Floats]:
    """Return the covariance of the coefficients (n, p, p) after Kenward and Roger and df of each coefficient (n, p).

    With C = (X'WX)^-1, P = X'W^2X, R = X'W^3X and the variance u = 2 / tr PP of tau2 from the expected restricted
    information: covariance C + 2 u C (R - P C P) C; for a contrast l: df = 2 / [u (l'CPCl / l'Cl)^2]. For a mean with
    equal variances they are the model's variance and k - 1.

    tau2: (n,), by REML in the source. Edges: the model's covariance and inf for k = p. Source: Kenward & Roger 1997;
    Partlett & Riley 2017.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> three = prepare(np.array([[0.0, 1.0, 2.0]]), np.full((1, 3), 0.1), np.ones((1, 3), bool))
    >>> cov, df = kenward_roger(three, np.array([0.9]))
    >>> round(float(cov[0, 0, 0]), 12), round(float(df[0, 0]), 12)
    (0.333333333333, 2.0)
    """
    C = coefficients(problems, tau2).cov
    w = 1 / (problems.v + tau2).T
    X = np.ones((*w.shape, 1)) if problems.X is None else problems.X
    P, R = (np.einsum("nkp,nk,nkq->npq", X, w**power, X) for power in (2, 3))
    known = problems.m > 0
    u = np.where(known, 2 / np.where(known, moments(problems, tau2).t2, 1.0), 0.0)
    CPC = C @ P @ C
    adjusted = C + 2 * u[:, None, None] * (C @ R @ C - CPC @ P @ C)
    slope = np.diagonal(CPC, axis1=1, axis2=2) / np.diagonal(C, axis1=1, axis2=2)
    df = np.where(known[:, None], 2 / np.where(known[:, None], u[:, None] * slope**2, 1.0), np.inf)
    return adjusted, df


@whole_mean_rule(
    "KR",
    title="Kenward-Roger",
    short="Kenward-Roger",
    text="followed Kenward and Roger: the variance is corrected for the uncertainty of τ², and the degrees of freedom "
    "of the t distribution are estimated",
    cite="kenward1997 partlett2017",
)
def kenward_roger_mean(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return mean -+ t(df) se with the variance and df of `kenward_roger`, for a mean alone.

    Edges: the model's variance and k - 1 df for equal variances. Source: Partlett & Riley 2017.
    """
    cov, df = kenward_roger(problems, tau2)
    mean = coefficients(problems, tau2).beta[:, 0]
    return symmetric(mean, np.sqrt(cov[:, 0, 0]), df[:, 0], request.level, tau2)


def _predicted(problems: Problems, tau2: Floats, variance: Floats, df: Floats, level: float) -> Limits:
    """Return mean -+ t(df) sqrt(tau2 + variance)."""
    mean = coefficients(problems, tau2).beta[:, 0]
    return symmetric(mean, np.sqrt(tau2 + variance), df, level, tau2)


def _hartung_knapp(problems: Problems, tau2: Floats) -> Floats:
    """Return the variance of the mean after Hartung, Knapp, Sidik and Jonkman."""
    fit = coefficients(problems, tau2)
    return fit.cov[:, 0, 0] * fit.q1 / problems.m


@whole_prediction_rule(
    "HK",
    title="Hartung-Knapp, t with k − 1 df",
    text="the Hartung-Knapp-Sidik-Jonkman variance of the mean with the t distribution on k − 1 degrees of freedom",
    cite="hartung2001 veroniki2019",
)
def prediction_hk(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return mean -+ t(k - 1) sqrt(tau2 + variance after Hartung and Knapp), whatever rule the mean has.

    Source: Hartung & Knapp 2001; Veroniki et al. 2019. Same as `predict(metafor::rma(test="knha"))`.
    """
    return _predicted(problems, tau2, _hartung_knapp(problems, tau2), problems.m, request.level)


@whole_prediction_rule(
    "HK-PR",
    title="Hartung-Knapp, t with k − 2 df",
    text="the Hartung-Knapp-Sidik-Jonkman variance of the mean with the t distribution on k − 2 degrees of freedom",
    cite="partlett2017",
)
def prediction_hk_pr(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return mean -+ t(k - 2) sqrt(tau2 + variance after Hartung and Knapp).

    Edges: nan for k = 2. Source: Partlett & Riley 2017.
    """
    return _predicted(problems, tau2, _hartung_knapp(problems, tau2), problems.m - 1, request.level)


@whole_prediction_rule(
    "KR",
    title="Kenward-Roger",
    text="the variance of the mean and the degrees of freedom of Kenward and Roger",
    cite="kenward1997 partlett2017",
)
def prediction_kr(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return mean -+ t(df) sqrt(tau2 + variance), both after Kenward and Roger.

    Source: Kenward & Roger 1997; Partlett & Riley 2017.
    """
    cov, df = kenward_roger(problems, tau2)
    return _predicted(problems, tau2, cov[:, 0, 0], df[:, 0], request.level)


@whole_prediction_rule(
    "KR-PR",
    title="Kenward-Roger, one df less",
    text="the variance of the mean of Kenward and Roger and one less than their degrees of freedom",
    cite="partlett2017",
)
def prediction_kr_pr(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return mean -+ t(df - 1) sqrt(tau2 + variance), both after Kenward and Roger.

    Edges: nan where df is not above 1. Source: Partlett & Riley 2017.
    """
    cov, df = kenward_roger(problems, tau2)
    return _predicted(problems, tau2, cov[:, 0, 0], df[:, 0] - 1, request.level)
