"""metaback: evidence synthesis for exercise, rehabilitation and medicine.

The public names are loaded at first use (PEP 562), so that `import metaback` does not wait for pandas and scipy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metaback.audits import Checks, check, rules
    from metaback.checks.decisions import Decision
    from metaback.cli.rerun import verify
    from metaback.data.arms import arms, contrasts
    from metaback.data.datasets import load_dataset
    from metaback.data.read import read_trials
    from metaback.data.trials import Trials
    from metaback.digits import SelfCheck, selfcheck
    from metaback.effects.aggregate import aggregate
    from metaback.effects.compute import effect_sizes
    from metaback.effects.dependence import Dependence, SamplingCovariance, dependent, sampling_covariance
    from metaback.effects.effect_sizes import EffectSizes
    from metaback.errors import DataError, EstimationError, FileError, MetabackError, OptionError
    from metaback.levels import Multilevel, multilevel
    from metaback.living import Difference, diff
    from metaback.many import pool_arrays, pool_many
    from metaback.models.fitted import Estimate
    from metaback.models.specs import PoolSpec
    from metaback.prisma import prisma_flow
    from metaback.regression import Regression, regress
    from metaback.result import Result, Results, pool, pool_table
    from metaback.universes import Multiverse, multiverse
    from metaback.verification import Verification

__all__ = [
    "Checks",
    "DataError",
    "Decision",
    "Dependence",
    "Difference",
    "EffectSizes",
    "Estimate",
    "EstimationError",
    "FileError",
    "MetabackError",
    "Multilevel",
    "Multiverse",
    "OptionError",
    "PoolSpec",
    "Regression",
    "Result",
    "Results",
    "SamplingCovariance",
    "SelfCheck",
    "Trials",
    "Verification",
    "aggregate",
    "arms",
    "check",
    "contrasts",
    "dependent",
    "diff",
    "effect_sizes",
    "load_dataset",
    "multilevel",
    "multiverse",
    "pool",
    "pool_arrays",
    "pool_many",
    "pool_table",
    "prisma_flow",
    "read_trials",
    "regress",
    "rules",
    "sampling_covariance",
    "selfcheck",
    "verify",
]

_HOMES = {
    "metaback.audits": ("Checks", "check", "rules"),
    "metaback.checks.decisions": ("Decision",),
    "metaback.cli.rerun": ("verify",),
    "metaback.data.arms": ("arms", "contrasts"),
    "metaback.data.datasets": ("load_dataset",),
    "metaback.data.read": ("read_trials",),
    "metaback.data.trials": ("Trials",),
    "metaback.digits": ("SelfCheck", "selfcheck"),
    "metaback.effects.aggregate": ("aggregate",),
    "metaback.effects.compute": ("effect_sizes",),
    "metaback.effects.dependence": ("Dependence", "SamplingCovariance", "dependent", "sampling_covariance"),
    "metaback.effects.effect_sizes": ("EffectSizes",),
    "metaback.errors": ("DataError", "EstimationError", "FileError", "MetabackError", "OptionError"),
    "metaback.living": ("Difference", "diff"),
    "metaback.many": ("pool_arrays", "pool_many"),
    "metaback.models.fitted": ("Estimate",),
    "metaback.models.specs": ("PoolSpec",),
    "metaback.levels": ("Multilevel", "multilevel"),
    "metaback.prisma": ("prisma_flow",),
    "metaback.regression": ("Regression", "regress"),
    "metaback.result": ("Result", "Results", "pool", "pool_table"),
    "metaback.universes": ("Multiverse", "multiverse"),
    "metaback.verification": ("Verification",),
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'metaback' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
