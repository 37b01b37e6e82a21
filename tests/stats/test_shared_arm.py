"""Covariances of effects that share an arm, against the tables of Gleser & Olkin 2009."""

from __future__ import annotations

import numpy as np
import pytest

from metaback.stats.shared_arm import SharedArm, assumed_covariance, se_factor, shared_arm_covariance, with_variances

PRINTED_6 = 5e-10  # half a unit of the last printed digit of table 19.2's covariances, which are in millionths
PRINTED = 5e-6  # half a unit of the fifth decimal of the other covariances

# Gleser & Olkin 2009, table 19.2: a control (1000, 200 or 2000 people) against treatments 1 to 3. Studies 1 and 3 have
# more than one treatment. Events of the shared arm, its n; then treatment, events and n of the others.
STUDIES = (
    ((40, 1000), ((1, 100, 4000), (2, 150, 4000))),
    ((10, 200), ((1, 15, 400),)),
    ((150, 2000), ((1, 40, 1000), (2, 80, 1000), (3, 50, 1000))),
)


def _blocks(measure: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return effects, their covariance over all studies, and the treatments' indicator matrix."""
    y, blocks, treatments = [], [], []
    for (e, n), others in STUDIES:
        p, q = e / n, np.array([events / size for _, events, size in others])
        size = np.array([size for _, _, size in others], dtype=float)
        effects, own = {
            "RD": (p - q, q * (1 - q) / size),
            "OR": (np.log(p / (1 - p) / (q / (1 - q))), 1 / (size * q * (1 - q))),
            "RR": (np.log(p / q), (1 - q) / (size * q)),
            "AS": (np.arcsin(np.sqrt(p)) - np.arcsin(np.sqrt(q)), 1 / (4 * size)),
        }[measure]
        shared = shared_arm_covariance(measure, effects, SharedArm(n=n, events=e))
        blocks.append(with_variances(shared, np.diagonal(shared) + own))
        y += effects.tolist()
        treatments += [number for number, _, _ in others]
    return np.array(y), _diagonal(blocks), np.equal.outer(treatments, [1, 2, 3]).astype(float)


def _diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    """Put square blocks along a diagonal."""
    total = np.zeros((sum(map(len, blocks)),) * 2)
    start = 0
    for block in blocks:
        total[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return total


def _gls(y: np.ndarray, cov: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return coefficients, their covariance and the residual Q of generalised least squares."""
    weight = np.linalg.inv(cov)
    spread = np.linalg.inv(x.T @ weight @ x)
    beta = spread @ x.T @ weight @ y
    return beta, spread, float((y - x @ beta) @ weight @ (y - x @ beta))


@pytest.mark.parametrize(
    ("measure", "scale", "beta", "spread", "q"),
    [
        ("RD", 1, (0.0200, 0.0043, 0.0211), (24.612e-6, 19.954e-6, 13.323e-6), 7.1907),
        ("OR", 1, (0.5099, 0.0044, 0.4301), (0.01412, 0.00712, 0.00425), 2.0563),
        ("RR", 1, (0.4875, 0.0006, 0.4047), (0.01287, 0.00623, 0.00371), 1.8954),
        ("AS", 2, (0.1010, 0.0102, 0.0982), (0.00058, 0.00040, 0.00024), 4.2634),
    ],
)
def test_proportions_of_gleser_and_olkin(
    measure: str, scale: int, beta: tuple[float, ...], spread: tuple[float, ...], q: float
) -> None:
    """Pages 361 to 365: effects of three treatments, the first row of their covariance, and Q.

    The book's arcsine measure is twice that of metafor. It prints Q = 2.057 for the odds ratio and nothing for the
    covariance and Q of the risk ratio, which are those of metafor for the same matrix.
    """
    found, cov, chi2 = _gls(*_blocks(measure))
    assert found * scale == pytest.approx(beta, abs=5.001e-5)
    assert cov[0] * scale**2 == pytest.approx(spread, abs=PRINTED_6 if measure == "RD" else PRINTED)
    assert chi2 == pytest.approx(q, abs=5.001e-5)


def test_standardised_differences_of_gleser_and_olkin() -> None:
    """Page 367: four studies of exercise programmes, two of them with two programmes against one control.

    Their variances use N of the whole study, as the covariance does.
    """
    studies = (
        ((2.1670, 1.3406), (25, 22), 25, (1, 2)),
        ((2.8927,), (38,), 40, (1,)),
        ((2.1754,), (50,), 50, (1,)),
        ((2.3821, 1.6664), (30, 30), 30, (1, 2)),
    )
    blocks, effects, arms = [], [], []
    for y, sizes, control, kinds in studies:
        shared = shared_arm_covariance("SMD", np.array(y), SharedArm(n=control, total=control + sum(sizes)))
        blocks.append(with_variances(shared, np.diagonal(shared) + 1 / np.array(sizes)))
        effects += y
        arms += kinds
    beta, spread, q = _gls(np.array(effects), _diagonal(blocks), np.equal.outer(arms, [1, 2]).astype(float))
    assert beta == pytest.approx((2.3743, 1.5702), abs=1e-4)  # the effects above are rounded to four decimals
    assert spread[np.triu_indices(2)] == pytest.approx((0.02257, 0.01244, 0.03554), abs=PRINTED)
    assert q == pytest.approx(3.9447, abs=1e-3)


@pytest.mark.parametrize(
    ("measure", "arm", "value"),
    [
        ("MD", SharedArm(n=16, sd=2), 0.25),
        ("ROM", SharedArm(n=16, sd=2, mean=5), 0.01),
        ("IRR", SharedArm(events=8), 0.125),
        ("OR", SharedArm(n=10, events=0), 1 / 0.5 + 1 / 10.5),
        ("RR", SharedArm(n=10, events=0), 1 / 0.5 - 1 / 11),
    ],
)
def test_parts_of_one_arm(measure: str, arm: SharedArm, value: float) -> None:
    """The covariance is the variance that the shared arm contributes."""
    assert shared_arm_covariance(measure, np.zeros(2), arm)[0, 1] == pytest.approx(value, rel=1e-14)


def test_what_cannot_be_computed_is_nan() -> None:
    """An unknown measure, and a measure whose numbers are blank, give nan and no warning."""
    y = np.array([0.1, 0.2])
    assert np.isnan(shared_arm_covariance("PETO", y, SharedArm(n=10, events=2))).all()
    assert np.isnan(shared_arm_covariance("SMD", y, SharedArm())).all()
    assert np.isnan(shared_arm_covariance("ROM", y, SharedArm(n=10, mean=0, sd=1))).all()


def test_factor_of_equal_arms() -> None:
    """Two, three and four arms with one control make the standard error 1.22, 1.41 and 1.58 times too small."""
    factors = [se_factor(assumed_covariance(np.full(m, 0.3))) for m in (1, 2, 3, 4)]
    assert factors == pytest.approx([1, np.sqrt(1.5), np.sqrt(2), np.sqrt(2.5)], rel=1e-14)
    assert se_factor(assumed_covariance(np.ones(5), 0.8)) == pytest.approx(np.sqrt(4.2), rel=1e-14)


def test_no_effect_gets_a_negative_weight() -> None:
    """However unequal the variances, generalised least squares weights stay at zero or above."""
    for ratio in (1.0, 4.0, 30.0, 1e4):
        weights = np.linalg.solve(assumed_covariance(np.array([1.0, ratio]), 0.8), np.ones(2))
        assert weights.min() >= -1e-12
