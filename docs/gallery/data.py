"""The data of the gallery: shipped, published, or simulated from a fixed seed."""

import numpy as np
import pandas as pd

import metaback as mb

# the trials that come with metaback, as Tataryn et al. 2021 pooled them
trials = mb.load_dataset("backpain").query("outcome == 'pain' and review == 'Tataryn 2021'")
pain = mb.pool(trials, by="stratum")

# the 13 trials of BCG against tuberculosis of Colditz et al. 1994 (JAMA 271:698-702)
bcg = pd.DataFrame(
    {
        "study": [
            "Aronson 1948",
            "Ferguson & Simes 1949",
            "Rosenthal 1960",
            "Hart & Sutherland 1977",
            "Frimodt-Moller 1973",
            "Stein & Aronson 1953",
            "Vandiviere 1973",
            "TPT Madras 1980",
            "Coetzee & Berjak 1968",
            "Rosenthal 1961",
            "Comstock 1974",
            "Comstock & Webster 1969",
            "Comstock 1976",
        ],
        "events_1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
        "n_1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913],
        "events_2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
        "n_2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854],
        "latitude": [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33],
        "year": [1948, 1949, 1960, 1977, 1973, 1953, 1973, 1980, 1968, 1961, 1974, 1969, 1976],
        "allocation": [
            "random",
            "random",
            "random",
            "random",
            "alternate",
            "alternate",
            "random",
            "random",
            "random",
            "systematic",
            "systematic",
            "systematic",
            "systematic",
        ],
    }
)
vaccine = mb.pool(bcg, measure="RR")

# simulated: 24 trials of exercise with judgements of their risk of bias, seed 1
rng = np.random.default_rng(1)
k = 24
exercise = pd.DataFrame(
    {
        "study": [f"Trial {i + 1} ({2000 + i})" for i in range(k)],
        "n_1": rng.integers(12, 120, k),
        "mean_1": rng.normal(38, 5, k).round(1),
        "sd_1": rng.uniform(8, 14, k).round(1),
        "n_2": rng.integers(12, 120, k),
        "mean_2": rng.normal(43, 5, k).round(1),
        "sd_2": rng.uniform(8, 14, k).round(1),
        "kind": np.tile(["strength", "aerobic", "mind-body"], k // 3),
        "weeks": rng.integers(4, 30, k),
        **{f"rob_d{i}": rng.choice(["low", "some concerns", "high"], k, p=[0.6, 0.3, 0.1]) for i in range(1, 6)},
        "rob_overall": rng.choice(["low", "some concerns", "high"], k, p=[0.4, 0.4, 0.2]),
    }
)
trained = mb.pool(exercise, measure="MD")
by_kind = mb.pool(exercise, measure="MD", by="kind")
flow = {
    "databases": {"MEDLINE": 310, "Embase": 402, "CENTRAL": 118},
    "registers": 25,
    "duplicates": 290,
    "screened": 565,
    "excluded": 470,
    "sought": 95,
    "not_retrieved": 4,
    "assessed": 91,
    "reports_excluded": {"wrong population": 31, "no control group": 22, "outcome not reported": 14},
    "studies": 20,
    "reports": 24,
}

# simulated: 8 trials with up to three outcomes of the same people, seed 2
rng = np.random.default_rng(2)
outcomes = ["strength", "balance", "walking speed"]
rows = [(f"Trial {trial + 1}", outcomes[j]) for trial in range(8) for j in range(1 + trial % 3)]
several = pd.DataFrame(rows, columns=["study", "outcome"])
several["vi"] = rng.uniform(0.02, 0.12, len(rows)).round(3)
several["yi"] = (
    0.35 + rng.normal(0, 0.25, 8)[pd.factorize(several["study"])[0]] + rng.normal(0, 0.2, len(rows))
).round(2)
several["setting"] = np.where(several["study"].isin(["Trial 2", "Trial 5", "Trial 6", "Trial 8"]), "home", "clinic")
dependent = mb.pool(several)
