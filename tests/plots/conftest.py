"""Finished analyses made by hand (DerSimonian-Laird, Wald-t), so that these tests need no estimation code."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from metaback.design.design import Design
from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.models.fitted import Estimate, Fit, Fitted
from metaback.models.specs import PoolSpec
from metaback.postestimation.summary import Analysis, Heterogeneity, PoolSummary, Subgroups, SubgroupTest

Make = Callable[..., Analysis]
NOTHING_KNOWN = Context()
LOWER_IS_BETTER = False


def pool(yi: np.ndarray, vi: np.ndarray, use: np.ndarray, scale: str, spec: PoolSpec) -> PoolSummary:
    y, v = yi[use], vi[use]
    k = len(y)
    w = 1 / v
    q = float(np.sum(w * (y - np.sum(w * y) / w.sum()) ** 2))
    c = w.sum() - np.sum(w**2) / w.sum()
    random = spec.model == "random"
    tau2 = max(0.0, (q - (k - 1)) / c) if k > 1 and random else 0.0
    w = 1 / (v + tau2)
    mean, se = float(np.sum(w * y) / w.sum()), float(1 / math.sqrt(w.sum()))
    z = NormalDist().inv_cdf((1 + spec.level) / 2)
    p = 2 * (1 - NormalDist().cdf(abs(mean / se)))
    df = math.inf if spec.ci == "Wald" else float(max(k - 1, 1))
    half = math.sqrt(tau2 + se**2) * 2.1
    prediction = Estimate(mean, mean - half, mean + half, half / 2.1, spec.level, scale)
    weights = np.full(len(yi), np.nan)
    weights[use] = 100 * w / w.sum()
    i2 = max(0.0, 100 * (q - (k - 1)) / q) if k > 1 and q > 0 else None
    return PoolSummary(
        mean=Estimate(mean, mean - z * se, mean + z * se, se, spec.level, scale, mean / se, df, p),
        prediction=prediction if k > 2 and random and spec.pi != "none" else None,
        heterogeneity=Heterogeneity(
            q=q, q_df=k - 1, q_p=0.03 if k > 1 else None, tau2=tau2 if random else None, tau2_low=None,
            tau2_high=None, i2_q=i2, i2_tau2=i2, i2_low=None, i2_high=None, h2=None,
        ),
        weights=weights, k=k, studies=k, n=None, notes=(),
    )  # fmt: skip


def analysis(
    yi: Sequence[float], sei: Sequence[float], labels: Sequence[str], *, by: Sequence[str] | None = None,
    scale: str = "linear", measure: str = "SMD", context: Context = NOTHING_KNOWN, spec: PoolSpec | None = None,
    inputs: dict[str, Sequence[float]] | None = None, reasons: dict[int, str] | None = None,
    corrections: dict[int, str] | None = None,
) -> Analysis:  # fmt: skip
    k, spec = len(yi), spec or PoolSpec()
    reasons, corrections = reasons or {}, corrections or {}
    use = np.array([i not in reasons for i in range(k)])
    y = np.where(use, np.array(yi, float), np.nan)
    v = np.where(use, np.array(sei, float) ** 2, np.nan)
    effects = EffectSizes(
        yi=y, vi=v, estimable=use, labels=tuple(labels), rows=tuple(f"row {i + 2}" for i in range(k)),
        clusters=np.arange(k), measure=measure, options={"vtype": "RevMan"}, obtained=("means and SDs",) * k,
        reasons=tuple(reasons.get(i, "") for i in range(k)),
        corrections=tuple(corrections.get(i, "") for i in range(k)),
        inputs={role: np.array(values, float) for role, values in (inputs or {}).items()},
        by=tuple(by) if by is not None else None, by_name="stratum" if by is not None else None, context=context,
    )  # fmt: skip
    none = np.zeros(1)
    fit = Fit(none, none, none, none, none, np.zeros(1, int), np.zeros(1, int))
    groups = None
    if by is not None:
        levels = tuple(level for level in dict.fromkeys(by) if any(use[i] and by[i] == level for i in range(k)))
        masks = [use & np.array([b == level for b in by]) for level in levels]
        pools = tuple(pool(y, v, mask, scale, spec) for mask in masks)
        test = SubgroupTest(2.31, len(levels) - 1, 0.13) if len(levels) > 1 else None
        groups = Subgroups("stratum", levels, pools, test)
    fitted = Fitted(spec, effects, Design(None, ("overall",)), fit)
    return Analysis(fitted, pool(y, v, use, scale, spec), groups)


def tataryn(**options: object) -> Analysis:
    """Tataryn 2021, pain: the printed effects with standard errors from their limits."""
    rows = [
        ("Aasa 2015", -0.13, -0.60, 0.34), ("Atalay 2017", -0.33, -1.21, 0.56), ("Cai 2015", -0.30, -0.85, 0.25),
        ("Suh 2019", -0.50, -1.34, 0.34), ("Cortell-Tormo 2018", -0.83, -1.67, 0.01),
        ("Hurley 2015", 0.17, -0.16, 0.50), ("Jackson 2011", -0.92, -1.68, -0.16),
        ("Jackson 2011", -0.91, -1.67, -0.15), ("Kell 2009", -0.87, -1.85, 0.10),
    ]  # fmt: skip
    settings: dict[str, object] = {
        "by": ["6-8 weeks"] * 4 + ["12-16 weeks"] * 5,
        "context": Context("pain", "posterior_chain", "general_exercise", False),
        **options,
    }
    return analysis(
        [y for _, y, _, _ in rows], [(u - lo) / 3.919928 for _, _, lo, u in rows], [r[0] for r in rows], **settings
    )


def many(k: int, *, groups: int = 0, raw: bool = False, labels: Sequence[str] | None = None) -> Analysis:
    """Make k studies of every size, drawn from a fixed stream."""
    rng = np.random.default_rng(k)
    sei = rng.uniform(0.08, 0.6, k)
    yi = rng.normal(-0.3, 0.35, k) + rng.normal(0, sei)
    names = labels or [f"{'Abcdefghijklmnopqrstuvwxyz'[i % 26]}uthor-{i % 17} {1990 + i % 33}" for i in range(k)]
    by = [f"subgroup {i * groups // k + 1}" for i in range(k)] if groups else None
    inputs = None
    if raw:
        inputs = {"n_1": rng.integers(9, 400, k), "n_2": rng.integers(9, 400, k)}
        for role in ("mean_1", "sd_1", "mean_2", "sd_2"):
            inputs[role] = np.round(rng.uniform(2, 60, k), 2)
    context = Context("pain", "motor control exercise", "usual care", False)
    return analysis(yi, sei, names, by=by, inputs=inputs, context=context)


@pytest.fixture(scope="session")
def make() -> Make:
    return analysis


@pytest.fixture(scope="session")
def make_tataryn() -> Make:
    return tataryn


@pytest.fixture(scope="session")
def make_many() -> Make:
    return many


SLACK = 3.0  # pixels at 100 dots per inch that boxes of neighbouring texts may share: room for letters not there


def clear(figure: Figure) -> None:
    """Fail where two texts of a figure touch, or one leaves the page."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts]
    width, height = canvas.get_width_height()
    for words, box in boxes:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, words
    for (one, a), (two, b) in combinations(boxes, 2):
        wide, deep = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 1 or deep <= SLACK, (one, two)


@pytest.fixture(scope="session")
def all_clear() -> Callable[[Figure], None]:
    return clear
