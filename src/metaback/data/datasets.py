"""The data sets that come with metaback."""

from __future__ import annotations

from pathlib import Path

from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.errors import OptionError

_HERE = Path(__file__).parent
DATASETS = {"backpain": (_HERE / "datasets" / "backpain.csv", _HERE.parents[2] / "data" / "trials.csv")}


def dataset_path(name: str) -> Path:
    """Return the file of a data set: inside an installed package, or in the project's `data/` folder."""
    if name not in DATASETS:
        raise OptionError.unknown("name", name, DATASETS)
    packaged, in_project = DATASETS[name]
    return packaged if packaged.exists() else in_project


def load_dataset(name: str) -> Trials:
    """Load a data set that comes with metaback.

    name: "backpain", effect sizes of core stability, posterior-chain and general exercise for low back pain (41 rows;
    sources and licences in `data/README.md`).

    >>> len(load_dataset("backpain"))
    41
    """
    return read_trials(dataset_path(name))
