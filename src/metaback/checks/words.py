"""Words of a table that play no role in an effect but tell a rule something: design, kind of statistic."""

from __future__ import annotations

import pandas as pd

from metaback.checks.scene import Scene
from metaback.data.roles import normal_name


def column_words(scene: Scene, *names: str) -> tuple[str, ...]:
    """Return the texts of the first column that has one of some names, (k,); () where none has, or it holds numbers.

    Such a column has no role, because a role would make text of the numbers of a moderator with the same name.
    """
    columns = {normal_name(column): column for column in scene.trials.frame.columns}
    for name in names:
        if name in columns and scene.trials.frame[columns[name]].dtype.kind not in "biufc":
            values = scene.trials.frame[columns[name]].tolist()
            return tuple("" if pd.isna(value) else str(value).strip() for value in values)
    return ()
