"""A measure of three genotype counts: how far they are from the Hardy-Weinberg equilibrium."""

from __future__ import annotations

import numpy as np

from metaback.stats.measures.family import Computed, Floats, Measure, finish, measure


@measure(
    Measure(
        "REH",
        "Relative excess heterozygosity",
        "REH",
        "log",
        "counts",
        undefined="a genotype has no people, so the ratio or its variance is not finite",
        formula="the relative excess heterozygosity h/(2√(ab)), with variance 1/h + 1/(4a) + 1/(4b) of its logarithm; "
        "h are the heterozygotes, a and b the homozygotes of both kinds",
        back="exp",
        turn="same",
    ),
    cite="wellek2010 ziegler2011",
)
def relative_excess_heterozygosity(homozygotes_1: Floats, heterozygotes: Floats, homozygotes_2: Floats) -> Computed:
    """Compute the log relative excess heterozygosity.

    y = log(h/(2 sqrt(a b))), v = 1/h + 1/(4 a) + 1/(4 b), with h heterozygotes and a, b homozygotes of both kinds. 0 is
    the Hardy-Weinberg equilibrium, above 0 are more heterozygotes than it has.

    All arguments (k,) counts; in metafor `bi`, `ai` and `ci`. Undefined where a count is 0, for which metafor does not
    correct either. Source: Wellek et al. 2010; Ziegler et al. 2011. Same as `metafor::escalc(measure="REH")`.

    >>> out = relative_excess_heterozygosity(*(np.array([x]) for x in (10.0, 22.0, 8.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.2069, 0.1017)
    """
    positive = (homozygotes_1 > 0) & (heterozygotes > 0) & (homozygotes_2 > 0)
    a, h, b = (np.where(positive, count, np.nan) for count in (homozygotes_1, heterozygotes, homozygotes_2))
    with np.errstate(divide="ignore", over="ignore"):
        y = np.log(h / 2) - (np.log(a) + np.log(b)) / 2
        v = 1 / h + (1 / a + 1 / b) / 4
    return finish(y, v, positive)
