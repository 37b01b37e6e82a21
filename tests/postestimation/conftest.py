"""Effects made by hand, without a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes

Make = Callable[..., EffectSizes]


@pytest.fixture
def make() -> Make:
    """Make effects from numbers; a row of nan is not estimable."""

    def effects(
        yi: Sequence[float], vi: Sequence[float], by: Sequence[str] | None = None, **fields: object
    ) -> EffectSizes:
        k = len(yi)
        y, v = np.array(yi, dtype=float), np.array(vi, dtype=float)
        ok = np.isfinite(y)
        base = {
            "labels": tuple(f"study {i}" for i in range(k)),
            "rows": tuple(f"row {i + 2}" for i in range(k)),
            "clusters": np.arange(k),
            "measure": "GEN",
            "options": {},
            "obtained": ("effect with variance",) * k,
            "reasons": tuple("" if fine else "not given" for fine in ok),
            "corrections": ("",) * k,
            "inputs": {},
            "by": tuple(by) if by else None,
            "by_name": "stratum" if by else None,
        }
        return EffectSizes(yi=y, vi=np.where(ok, v, np.nan), estimable=ok, **(base | fields))

    return effects
