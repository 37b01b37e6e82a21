"""What a reader must know about a model of dependent effects, the most serious first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from metaback.models.fitted import Estimate
from metaback.models.multilevel import FittedMultilevel
from metaback.models.multilevel_spec import working_of
from metaback.numbers import df_text, fixed
from metaback.postestimation.notes import moderator_notes
from metaback.postestimation.words import rho_text

FEW_CLUSTERS = 10  # below: components are hardly known
FEW_DF = 4.0  # degrees of freedom below which the level of a robust test is not to be trusted (Tipton 2015)
SHOWN = 5  # names that a note lists
PEAK = 2.0  # log-likelihood by which another peak may lie lower and still be told
CORRELATION_EDGE = 0.999


class Shown(Protocol):
    """What the notes read of a component."""

    @property
    def name(self) -> str:
        """Return its name."""
        ...

    @property
    def kind(self) -> str:
        """Return "variance", "correlation" or "range"."""
        ...

    @property
    def estimate(self) -> float:
        """Return its value."""
        ...

    @property
    def at_bound(self) -> bool:
        """Tell whether it stands at the end of its range."""
        ...

    @property
    def identifiable(self) -> bool:
        """Tell whether the data say anything about it alone."""
        ...

    @property
    def why(self) -> str:
        """Return why it is not told."""
        ...


def multilevel_notes(
    fitted: FittedMultilevel,
    components: Sequence[Shown],
    coefficients: Mapping[str, Estimate],
    naive: Mapping[str, Estimate],
    left_out: Sequence[tuple[str, str, str]],
    sampling: Sequence[str] = (),
) -> tuple[str, ...]:
    """Say what a reader must know, the most serious first; sampling: sentences on where V came from."""
    notes = [
        *fitted.random.notes,
        *_forgotten(fitted),
        *_lost(components),
        *_bounds(components),
        *_peaks(fitted),
        *_moderators(fitted),
        *_degrees(fitted, coefficients),
        *_unused(fitted),
        *_assumed(fitted),
        *sampling,
        *_against_naive(fitted, coefficients, naive),
    ]
    if left_out:
        were = "1 row is" if len(left_out) == 1 else f"{len(left_out)} rows are"
        notes.append(f"{were} left out for want of an effect or a moderator:")
        notes += [f"{label} ({row}): {reason}." for label, row, reason in left_out]
    return tuple(notes)


def _forgotten(fitted: FittedMultilevel) -> list[str]:
    """Tell studies whose rows share no random effect, and no cluster of a robust variance."""
    study = np.unique(fitted.effects.clusters[fitted.design.used], return_inverse=True)[1]
    rows = np.bincount(study)
    apart = rows > 1
    groupings = [term.outer for term in fitted.terms]
    for levels in (*groupings, fitted.clusters) if fitted.robust is not None else groupings:
        own = np.where(levels < 0, -1 - np.arange(study.size), levels)  # a row without the effect shares it with none
        cells = np.unique(np.stack([study, own], axis=1), axis=0)
        apart &= np.bincount(cells[:, 0], minlength=rows.size) == rows
    count = int(apart.sum())
    if fitted.moments is not None or not count:
        return []
    which = "1 study with several rows shares" if count == 1 else f"{count} studies with several rows share"
    text = (
        f"The true effects of {which} no random effect, so that they count as independent and intervals can be too "
        "narrow; add '~ 1 | study', or group by it, as in random='~ 1 | study/effect'."
    )
    return [text]


def _lost(components: Sequence[Shown]) -> list[str]:
    """Tell components that the data do not show."""
    return [f"{part.name} is {part.why}." for part in components if not part.identifiable]


def _bounds(components: Sequence[Shown]) -> list[str]:
    """Tell components at a bound: variances of 0, and correlations at the end of their range."""
    zero = [part.name for part in components if part.identifiable and part.at_bound and part.kind == "variance"]
    edge = [
        part
        for part in components
        if part.identifiable
        and part.kind == "correlation"
        and not part.why.startswith("given")
        and (part.at_bound or abs(part.estimate) > CORRELATION_EDGE)
    ]
    notes = (
        [f"{' and '.join(zero)} {'is' if len(zero) == 1 else 'are'} estimated as 0, the smallest value."]
        if zero
        else []
    )
    if edge:
        told = ", ".join(f"{part.name} = {fixed(part.estimate)}" for part in edge)
        notes.append(f"{told}: at the end of its range, so the data hardly tell the correlation; see .profile().")
    return notes


def _peaks(fitted: FittedMultilevel) -> list[str]:
    """Tell another peak of the likelihood that is nearly as high."""
    gaps = [float(gap) for gap in fitted.fit.gaps.ravel().tolist() if 0 <= gap < PEAK]
    if not gaps:
        return []
    text = (
        f"The likelihood has another peak, lower by {fixed(min(gaps))} in log-likelihood: other components explain the "
        "data nearly as well; see .profile()."
    )
    return [text]


def _moderators(fitted: FittedMultilevel) -> tuple[str, ...]:
    """Tell more moderators than so many clusters can bear."""
    design, cluster = fitted.design, fitted.spec.cluster
    unit = "studies" if cluster in (None, "study") else f"clusters ({cluster})"
    return moderator_notes(len(fitted.cluster_names), design.X.shape[1] - int(design.intercept), unit)


def _degrees(fitted: FittedMultilevel, coefficients: Mapping[str, Estimate]) -> list[str]:
    """Tell coefficients with no or few degrees of freedom, and few clusters."""
    notes: list[str] = []
    spec, clusters = fitted.spec, len(fitted.cluster_names)
    loose = [name for name, part in coefficients.items() if fitted.loose and math.isnan(part.se)]
    none = [name for name, part in coefficients.items() if math.isnan(part.df) and name not in loose]
    if loose:
        on = " and ".join(dict.fromkeys(part.component for part in fitted.loose))
        rests = "it rests" if len(loose) == 1 else "they rest"
        notes.append(f"{_listed(loose)} cannot be judged: {rests} on {on}, which the data do not show.")
    few = {name: part.df for name, part in coefficients.items() if part.df < FEW_DF}
    if none and fitted.robust is None:
        notes.append(
            f"No interval of {_listed(none)}: it varies between levels of a random effect of which there are no "
            "more than coefficients."
        )
    elif none:
        notes.append(
            f"No robust interval of {_listed(none)}: a single {spec.cluster} decides the coefficient, so that no "
            "residual shows its variance."
        )
    if few and fitted.robust is not None:
        told = ", ".join(f"{name} (df {df_text(df)})" for name, df in few.items())
        notes.append(
            f"Fewer than {FEW_DF:.0f} degrees of freedom: the robust P values of {told} are too small to trust."
        )
    if clusters < FEW_CLUSTERS:
        notes.append(
            f"There {'is' if clusters == 1 else 'are'} {clusters} {'cluster' if clusters == 1 else 'clusters'} "
            f"({spec.cluster}): variances between them are hardly known."
        )
    return notes


def _listed(names: list[str]) -> str:
    """Name a few of several."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}" if more else " and ".join(names)


def _unused(fitted: FittedMultilevel) -> list[str]:
    """Tell covariances that come with the effects and that the weights of a working model do not use."""
    if fitted.moments is None or fitted.effects.cov is None:
        return []
    text = (
        f"The effects come with sampling covariances, which the weights of {fitted.spec.working} do not use; "
        "random='CHE' does."
    )
    return [text]


def _assumed(fitted: FittedMultilevel) -> list[str]:
    """Tell assumed correlations, and sampling errors that are taken as independent within a study."""
    spec, model = fitted.spec, working_of(fitted.spec)
    sizes = [rows.shape[1] for rows in fitted.V.blocks.rows]
    if spec.rho is not None and max(sizes, default=1) > 1:
        where = f"the subgroups ({spec.by}) of a study" if model is not None and model.within else "a study"
        known = f"Sampling errors within {where} are assumed to correlate by {rho_text(spec.rho)}"
        return [f"{known}; .sweep(rho=[...]) shows others."]
    if fitted.given is None and max(sizes, default=1) == 1 and fitted.robust is None and _repeats(fitted):
        text = (
            "Sampling errors of a study's rows are taken as independent, which holds where rows are of different "
            "people; else give V='table', another V, or rho."
        )
        return [text]
    return []


def _repeats(fitted: FittedMultilevel) -> bool:
    """Tell whether a study has several rows in use."""
    clusters = fitted.effects.clusters[fitted.design.used]
    return len(set(clusters.tolist())) < clusters.size


def _against_naive(
    fitted: FittedMultilevel, coefficients: Mapping[str, Estimate], naive: Mapping[str, Estimate]
) -> list[str]:
    """Tell how far the standard errors of independent rows would be off."""
    ratios = {
        name: part.se / naive[name].se for name, part in coefficients.items() if naive[name].se > 0 and part.se > 0
    }
    if not ratios:
        return []
    name, most = max(ratios.items(), key=lambda item: item[1])
    if most < 1.05:
        return []
    of = "" if len(ratios) == 1 else f" of {name}"
    text = (
        f"Taken as independent, the same rows would have a standard error{of} of {fixed(naive[name].se, 3)} instead of "
        f"{fixed(coefficients[name].se, 3)}: too small by a factor of {fixed(most)}."
    )
    return [text]
