"""Working models of dependent effects by their names in the literature: what each assumes, in one table.

A working model need not be true: robust variance estimation keeps its tests valid, and the model only sets the weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metaback.errors import OptionError
from metaback.stats.working_covariance import RHO

_ASKED = re.compile(r"\s*([A-Za-z+]+)\s*(?:\(\s*([^()]*?)\s*\))?\s*")


@dataclass(frozen=True, slots=True)
class WorkingModel:
    """One working model.

    random, struct: its random formulas, with {by} for the column of subgroups; rho: the sampling correlation assumed
    unless the user says another, None where sampling errors are independent. within: whether rho holds within the
    subgroups of a study only. weights: key of the weights of `stats/rve.py` for models that are no likelihood, "" for
    the rest. needs: what its column of subgroups is, "" where it needs none.
    """

    key: str
    title: str
    text: str
    random: tuple[str, ...]
    struct: tuple[str, ...]
    rho: float | None
    cite: tuple[str, ...]
    within: bool = False
    weights: str = ""
    needs: str = ""


WORKING_MODELS: dict[str, WorkingModel] = {
    model.key: model
    for model in (
        WorkingModel(
            "CHE",
            "correlated and hierarchical effects",
            "the correlated and hierarchical effects (CHE) working model: random effects of studies and of effects "
            "within studies",
            ("~ 1 | study/effect",),
            (),
            RHO,
            ("pustejovsky2022",),
        ),
        WorkingModel(
            "SCE",
            "subgroup correlated effects",
            "the subgroup correlated effects (SCE) working model: a random effect of studies in each subgroup, "
            "independent of those in the others",
            ("~ {by} | study",),
            ("DIAG",),
            RHO,
            ("pustejovsky2022",),
            within=True,
            needs="the column of subgroups, as in random='SCE(outcome)'",
        ),
        WorkingModel(
            "CMVE",
            "correlated multivariate effects",
            "the correlated multivariate effects (CMVE) working model: correlated random effects of studies, one for "
            "each subgroup",
            ("~ {by} | study",),
            ("UN",),
            RHO,
            ("pustejovsky2022",),
            needs="the column of subgroups, as in random='CMVE(outcome)'",
        ),
        WorkingModel(
            "HE",
            "hierarchical effects",
            "the hierarchical effects (HE) working model: random effects of studies and of effects within studies, "
            "independent sampling errors",
            ("~ 1 | study/effect",),
            (),
            None,
            ("hedges2010", "pustejovsky2022"),
        ),
        WorkingModel(
            "CE",
            "correlated effects",
            "the correlated effects (CE) working model: one random effect per study, which all its effects share",
            ("~ 1 | study",),
            (),
            0.8,
            ("hedges2010", "pustejovsky2022"),
        ),
        WorkingModel(
            "CORR",
            "correlated effects by moments",
            "the correlated effects weights of robust variance estimation, 1 / (k (mean variance + τ²)) for each of "
            "the k effects of a study",
            ("~ 1 | study",),
            (),
            0.8,
            ("hedges2010", "tipton2015"),
            weights="CORR",
        ),
        WorkingModel(
            "HIER",
            "hierarchical effects by moments",
            "the hierarchical effects weights of robust variance estimation, 1 / (variance + τ² + ω²) for each effect",
            ("~ 1 | study/effect",),
            (),
            None,
            ("hedges2010", "tipton2015"),
            weights="HIER",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A working model as it was asked for: the entry, its random formulas and their structures, column of subgroups."""

    model: WorkingModel
    random: tuple[str, ...]
    struct: tuple[str, ...]
    by: str | None


def working_model(text: str) -> Asked | None:
    """Return the working model that a word names, e.g. "CHE" or "SCE(outcome)"; None for a formula.

    Raises `OptionError` for an unknown word, and for a column that is missing or not needed.

    >>> working_model("SCE(outcome)").random
    ('~ outcome | study',)
    >>> working_model("~ 1 | study") is None
    True
    """
    found = _ASKED.fullmatch(text)
    if "~" in text or "|" in text:
        return None
    if found is None or found.group(1) not in WORKING_MODELS:
        word = found.group(1) if found else text
        said = OptionError.unknown("random", word, WORKING_MODELS)
        raise OptionError(f"{said}; or give a formula, as in random='~ 1 | study/effect'")
    model, by = WORKING_MODELS[found.group(1)], found.group(2)
    if model.needs and not by:
        raise OptionError(f"random={text!r} needs {model.needs}")
    if by and not model.needs:
        raise OptionError(f"random={text!r}: {model.key} takes no column; write random={model.key!r}")
    quoted = by if by is None or by.isidentifier() else f"`{by.strip('`')}`"
    formulas = tuple(formula.format(by=quoted) for formula in model.random)
    return Asked(model, formulas, model.struct, None if by is None else by.strip("`"))
