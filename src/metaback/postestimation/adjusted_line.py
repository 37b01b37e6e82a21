"""What a regression expects along one moderator, the others as they are in the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metaback.design.formula import new_rows, observed
from metaback.errors import OptionError
from metaback.models.regression import FittedRegression
from metaback.postestimation.regression import Prediction, predict_rows
from metaback.stats.wls import Floats


def adjusted_line(fitted: FittedRegression, moderator: str, values: Floats) -> tuple[Prediction, ...]:
    """Return the prediction at each value (g,) of a moderator of numbers, averaged over the other moderators.

    x(g) = mean over the rows in use of their design row with the moderator set to g: without products with the
    moderator this holds the others at their means, a factor at the shares of its levels. The mean and the prediction
    interval at x(g) are those of `predict_rows`. With one moderator it is the plain line. Raises `OptionError` for a
    moderator that the formula does not have as numbers.

    >>> import metaback as mb
    >>> fit = mb.regress(mb.load_dataset("backpain").query("outcome == 'pain'"), "~ weeks")
    >>> line = adjusted_line(fit.analysis.fitted, "weeks", np.array([8.0]))
    >>> round(line[0].mean.point - float(fit.predict(pd.DataFrame({"weeks": [8]}))["estimate"][0]), 12) + 0.0
    0.0
    """
    design = fitted.design
    numeric = [column.name for column in design.moderators if column.numbers is not None]
    if moderator not in numeric:
        raise OptionError.unknown("moderator", moderator, numeric)
    rows = observed(design)
    if len(design.moderators) == 1:
        rows = rows.iloc[:1]
    count = len(rows)
    frame = pd.concat([rows] * values.size, ignore_index=True)
    frame[moderator] = np.repeat(np.asarray(values, dtype=float), count)
    X = new_rows(design, frame).reshape(values.size, count, -1).mean(axis=1)
    return predict_rows(fitted, X)
