"""Lim, Senior & Nakagawa 2014, Heredity 113:316-325, as in metadat: effects of species that share a phylogeny.

The numbers are those of `tests/reference/dependent/fits.json` (rma.mv with the known correlation, climbed to the top).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import metaback as mb


@pytest.fixture(name="frame")
def table(dependent: Any) -> pd.DataFrame:
    """Return the table."""
    return dependent.frame("lim2014").rename(columns={"article": "study"})


@pytest.fixture(name="tree")
def phylogeny(dependent: Any) -> pd.DataFrame:
    """Return the correlations of the species."""
    return dependent.known("lim2014", "species_phy")


TERMS = ["~ 1 | study", "~ 1 | esid", "~ 1 | species", "~ 1 | species_phy"]


def test_a_phylogeny_enters_as_a_known_correlation(frame: pd.DataFrame, tree: pd.DataFrame, dependent: Any) -> None:
    theirs = dependent.fit("lim2014 | phylogeny", "REML")
    fit = mb.multilevel(frame, TERMS, R={"species_phy": tree})
    assert fit.loglik == pytest.approx(theirs["loglik"], abs=1e-8)
    assert fit.estimate.point == pytest.approx(theirs["beta"][0], abs=1e-7)
    assert fit.components["estimate"].tolist() == pytest.approx(theirs["sigma2"], abs=1e-7)


def test_the_order_of_the_species_in_the_matrix_does_not_matter(frame: pd.DataFrame, tree: pd.DataFrame) -> None:
    turned = tree.iloc[::-1, ::-1]
    one, two = (mb.multilevel(frame, TERMS, R={"species_phy": R}) for R in (tree, turned))
    assert two.loglik == pytest.approx(one.loglik, abs=1e-10)


def test_a_matrix_without_names_is_refused(frame: pd.DataFrame, tree: pd.DataFrame) -> None:
    with pytest.raises(mb.OptionError, match="without names"):
        mb.multilevel(frame, TERMS, R={"species_phy": tree.to_numpy()})  # pyright: ignore[reportArgumentType]
