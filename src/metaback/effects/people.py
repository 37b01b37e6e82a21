"""How many people stand behind rows, each counted once: arms that rows of a study share are one arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.same_people import SIDES, described, links
from metaback.stats.working_covariance import joined_by, pairs_within

ROLES = ("n_1", "n_2")


def people_once(es: EffectSizes, rows: NDArray[np.bool_]) -> int | None:
    """Count the people of both arms of some rows, those of an arm that stands in several rows of a study once.

    rows: (k,). Which arms are the same people is read as for `sampling_covariance`; where their numbers differ (people
    who left before the second time), the largest counts. None where a row does not state both numbers, and for measures
    of one group.

    >>> import pandas as pd
    >>> import metaback as mb
    >>> arms = {"n_1": [30, 27], "mean_1": [4.1, 4.4], "sd_1": 1.2, "n_2": [31, 28], "mean_2": [5.2, 5.1], "sd_2": 1.4}
    >>> es = mb.effect_sizes(pd.DataFrame({"study": "Ito", "weeks": [8, 26], **arms}), measure="MD")
    >>> people_once(es, es.estimable)
    61
    """
    if not rows.any() or not set(ROLES) <= es.inputs.keys():
        return None
    places = np.flatnonzero(rows)
    n = np.concatenate([es.inputs[role][places] for role in ROLES]).astype(float)
    if not np.isfinite(n).all():
        return None
    i, j = pairs_within(es.clusters[places].astype(np.intp))
    i, j = np.minimum(i, j), np.maximum(i, j)
    found = links(described(es, places), i, j)
    same = found.one | np.stack([found.both, found.both, found.turned, found.turned])
    arms = [(i[at] + a * places.size, j[at] + b * places.size) for (a, b), at in zip(SIDES, same, strict=True)]
    first, second = (np.concatenate(ends).astype(np.intp) for ends in zip(*arms, strict=True))
    arm = joined_by(n.size, first, second)
    largest = np.zeros(int(arm.max()) + 1)
    np.maximum.at(largest, arm, n)
    return round(float(largest.sum()))
