"""Measure what 95% intervals cover where rows depend on each other: robust, by the working model, and naive.

Run as `python benchmarks/coverage.py`; `--sets 200` says how many data sets of each kind. A data set has k studies with
1 to 3 treatments, 1 to 3 outcomes and 15 to 60 people per arm; the treatments of a study share its control group, the
outcomes are of the same people. True mean differences are MU + u_study + w_row, u ~ N(0, 0.04), w ~ N(0, 0.03); scores
have SD 1 and correlate between outcomes by 0.4 or 0.8. The models assume 0.6. Means of arms are drawn from their normal
distribution, SDs from that of chi, each outcome alone.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import metaback as mb
from metaback.models.dependent_means import dependent_means
from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal
from metaback.stats.inference import quantile
from metaback.stats.mixed import Term, clusters_of, fit_mixed
from metaback.status import Status

SEED = 20_261_122
MU, BETWEEN, WITHIN = 0.3, 0.04, 0.03
ASSUMED, TRUE = 0.6, (0.4, 0.8)
STUDIES = (10, 20, 40)
MOST = 3  # treatments, and outcomes, of a study
PEOPLE = (15, 61)
SETS, BATCH = 1_000, 25  # data sets of a kind, and how many go into one batch of fits
LEVEL = 0.95
METHODS = {
    "default": "`pool()` of the table: three levels with V, CR2",
    "no-v": "three levels without V, CR2",
    "model": "three levels with V, t by the model",
    "naive": "`pool(independent=True)`: one level, Hartung-Knapp",
    "wald": "one level, normal interval (`rma` as it stands)",
}
Limits = dict[str, NDArray[np.float64]]  # method -> (sets, 2)


@dataclass(frozen=True, slots=True)
class Covered:
    """What the intervals of one method did: their number, the share that held MU in percent, and their mean width."""

    sets: int
    share: float
    width: float

    @property
    def error(self) -> float:
        """Return the Monte Carlo standard error of the share, at least that of one interval that fails."""
        p = min(max(self.share / 100, 1 / self.sets), 1 - 1 / self.sets)
        return 100 * math.sqrt(p * (1 - p) / self.sets)


def main() -> None:
    """Run the simulation and print it as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=SETS)
    sys.stdout.reconfigure(line_buffering=True)
    print(report(parser.parse_args().sets))


def report(sets: int) -> str:
    """Simulate that many data sets of every kind and return the coverage as Markdown."""
    cells = [(k, rho) for rho in TRUE for k in STUDIES]
    found = {cell: simulated(*cell, sets) for cell in cells}
    head = " | ".join(f"k = {k}, rho {rho}" for k, rho in cells)
    lines = [f"| coverage of 95% intervals, % | {head} |", "|---" * (len(cells) + 1) + "|"]
    for key, words in METHODS.items():
        row = (f"{found[cell][key].share:.1f} ± {found[cell][key].error:.1f}" for cell in cells)
        lines.append(f"| {words} | {' | '.join(row)} |")
    lines += ["", f"| mean width of the interval | {head} |", "|---" * (len(cells) + 1) + "|"]
    lines += [
        f"| {words} | {' | '.join(f'{found[cell][key].width:.3f}' for cell in cells)} |"
        for key, words in METHODS.items()
    ]
    return "\n".join(lines)


def simulated(k: int, rho: float, sets: int) -> dict[str, Covered]:
    """Return what the methods cover in data sets of k studies whose outcomes correlate by rho."""
    limits: dict[str, list[NDArray[np.float64]]] = {key: [] for key in METHODS}
    for table in tables(k, rho, sets):
        for key, found in intervals(table).items():
            limits[key].append(found)
    return {key: _covered(np.concatenate(found)) for key, found in limits.items()}


def _covered(limits: NDArray[np.float64]) -> Covered:
    """Count the intervals that hold the truth; a data set without an interval is not passed over."""
    if not np.isfinite(limits).all():
        raise RuntimeError(f"{int((~np.isfinite(limits)).any(axis=1).sum())} data sets have no interval")
    held = (limits[:, 0] <= MU) & (limits[:, 1] >= MU)
    return Covered(len(limits), 100 * float(held.mean()), float((limits[:, 1] - limits[:, 0]).mean()))


def tables(k: int, rho: float, sets: int) -> Iterator[pd.DataFrame]:
    """Yield tables of several data sets each; the column `set` tells them apart, studies have names of their own."""
    rng = np.random.default_rng([SEED, k, round(100 * rho)])
    for begun in range(0, sets, BATCH):
        yield pd.concat([data_set(rng, k, rho, number) for number in range(begun, min(begun + BATCH, sets))])


def data_set(rng: np.random.Generator, k: int, rho: float, number: int = 0) -> pd.DataFrame:
    """Return one data set: a row for each treatment and outcome of each study, against the control of the study."""
    q, m = rng.integers(1, MOST + 1, (2, k))
    n = rng.integers(*PEOPLE, (k, MOST + 1))  # the last arm is the control
    scores = math.sqrt(rho) * rng.normal(size=(k, MOST + 1, 1)) + math.sqrt(1 - rho) * rng.normal(
        size=(k, MOST + 1, MOST)
    )
    true = MU + rng.normal(0, math.sqrt(BETWEEN), (k, 1, 1)) + rng.normal(0, math.sqrt(WITHIN), (k, MOST, MOST))
    mean = scores / np.sqrt(n)[..., None]
    mean[:, :MOST] += true
    sd = np.sqrt(rng.chisquare(np.broadcast_to(n[..., None] - 1, mean.shape)) / (n[..., None] - 1))
    study, arm, outcome = np.nonzero(
        (np.arange(MOST)[:, None] < m[:, None, None]) & (np.arange(MOST) < q[:, None, None])
    )
    columns: dict[str, object] = {
        "set": number,
        "study": [f"{number}-{i}" for i in study],
        "outcome": [f"outcome {i}" for i in outcome],
        "arm_1": [f"treatment {i}" for i in arm],
        "arm_2": "control",
    }
    for side, place in (("1", arm), ("2", np.full(arm.size, MOST))):
        numbers = {"n": n[study, place], "mean": mean[study, place, outcome], "sd": sd[study, place, outcome]}
        columns |= {f"{role}_{side}": values for role, values in numbers.items()}
    return pd.DataFrame(columns)


def intervals(table: pd.DataFrame) -> Limits:
    """Return the intervals (sets, 2) of every method for the data sets of a table, in a few batches of fits."""
    es = mb.effect_sizes(mb.read_trials(table.drop(columns="set")), measure="MD")
    V = mb.sampling_covariance(es, rho=ASSUMED, nearest=True).matrix
    y, study = es.yi, es.clusters.astype(np.intp)
    label = np.unique(table["set"].to_numpy(), return_inverse=True)[1]
    present = np.zeros((label.max() + 1, study.max() + 1), dtype=bool)
    present[label, study] = True
    plain = diagonal(blocks_of(np.arange(y.size)), es.vi)
    rows = label == np.arange(len(present))[:, None]
    alone = [mb.pool_arrays(y, es.vi, mask=rows, preset=preset) for preset in ("cochrane", "metafor")]
    robust = [dependent_means(y, matrix, study, present=present, level=LEVEL) for matrix in (V, plain)]
    limits = [(found.lower, found.upper) for found in robust]
    limits.append(by_the_model(y, V, study, present))
    limits += [(found.ci_low, found.ci_high) for found in alone]
    return {key: np.stack(ends, axis=1) for key, ends in zip(METHODS, limits, strict=True)}


def by_the_model(
    y: NDArray[np.float64], V: BlockMatrix, study: NDArray[np.intp], present: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intervals from the covariance of the fitted model, by t on studies - 1 degrees of freedom."""
    terms = [Term("ID0", study), Term("ID0", np.arange(y.size))]
    counts = np.zeros(present.shape)
    counts[:, clusters_of(V, terms)] = present[:, study]
    fit = fit_mixed(y, np.ones((y.size, 1)), V, terms, counts=counts)
    ready = np.asarray(fit.status) == Status.CONVERGED
    half = quantile(LEVEL, present.sum(axis=1) - 1.0) * np.sqrt(fit.cov[:, 0, 0])
    return tuple(np.where(ready, fit.beta[:, 0] + sign * half, np.nan) for sign in (-1, 1))


if __name__ == "__main__":
    main()
