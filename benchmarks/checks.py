"""Measure what the audit finds: corrupt tables of simulated trials, and count per rule what is found and what is not.

Run as `python benchmarks/checks.py`; `--tables 500` says how many tables of each kind, `--quick` makes few. Every table
holds 6 to 20 trials with 8 to 30 people per arm whose people are drawn one by one; means and SDs are printed with one
decimal. True standardised effects are N(0.4, 0.2^2), the SDs of trials differ by exp(N(0, spread^2)); scores of one
person before and after correlate by 0.7. Of a corrupted
table 10 to 25% of the rows are made wrong in one way. Nothing of it is known to the rules, and all rules run.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from metaback.checks.rules import RULES, inspect
from metaback.data.read import read_trials
from metaback.effects.choices import effect_choices
from metaback.errors import DataError
from metaback.models.specs import resolve_spec
from metaback.postestimation.audit import scene
from metaback.postestimation.table import Request

SEED = 20_261_122
SPREADS = (0.2, 0.3, 0.45)  # standard deviations of ln SD between trials
TABLES, QUICK = 400, 12
ARMS = ("1", "2")
CORRELATED = 0.7  # scores of one person before and after
REFUSED = "the reader refuses the table"
LARGE = 2.0  # |SMD| from which the only check of its kind elsewhere warns
Draws = list[list[np.ndarray]]
Corrupt = Callable[[pd.DataFrame, Draws, int, np.random.Generator], None]


def main() -> None:
    """Run the simulation and print it as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} tables of each kind")
    words = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    print(report(QUICK if words.quick else words.tables))


def report(tables: int) -> str:
    """Simulate that many tables of every kind and return all results as Markdown."""
    found = {(kind, spread): simulated(kind, spread, tables) for kind in KINDS for spread in SPREADS}
    clean = {(kind, spread): simulated(kind, spread, tables, wrong=False) for kind in CLEAN for spread in SPREADS}
    return "\n".join([*_found_lines(found), "", *_rule_lines(found), "", *_alarm_lines(clean)])


@dataclass
class Counts:
    """What was counted over some tables: rows made wrong and right ones, and by how many findings each was named."""

    tables: int = 0
    wrong: int = 0
    right: int = 0
    wrong_named: Counter[str] = field(default_factory=Counter)  # by rule, "any", and |SMD| > 2
    right_named: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def share(self, key: str) -> float:
        """Return the percentage of wrong rows that a rule names."""
        return 100 * self.wrong_named[key] / max(self.wrong, 1)

    def alarms(self, key: str) -> float:
        """Return the percentage of right rows that a rule names."""
        return 100 * self.right_named[key] / max(self.right, 1)


# ---------------------------------------------------------------- tables


def people(rng: np.random.Generator, k: int, spread: float, *, skewed: bool) -> Draws:
    """Draw the people of both arms of k trials: normal scores, or log-normal ones with about the same effects."""
    draws: Draws = []
    for effect, sd, level in zip(
        rng.normal(0.4, 0.2, k),
        30 * np.exp(rng.normal(0, spread, k)),
        150 * np.exp(rng.normal(0, 0.15, k)),
        strict=True,
    ):
        sizes = rng.integers(8, 31, 2)
        z = [rng.normal(shift, 1, n) for n, shift in zip(sizes, (effect, 0.0), strict=True)]
        log_sd = 2 * spread  # so that the skewed tables differ as the others do: 0.4, 0.6, 0.9
        draws.append([20 * np.exp(log_sd * part) if skewed else level + sd * part for part in z])
    return draws


def means(draws: Draws) -> pd.DataFrame:
    """Return the table of means and SDs that a review would extract."""
    table = _named(len(draws), "knee strength", "dynamometer (Nm)")
    for place, arm in enumerate(ARMS):
        table[f"n_{arm}"] = [trial[place].size for trial in draws]
        table[f"mean_{arm}"] = [round(float(trial[place].mean()), 1) for trial in draws]
        table[f"sd_{arm}"] = [round(float(trial[place].std(ddof=1)), 1) for trial in draws]
    return table


def with_starts(rng: np.random.Generator, draws: Draws) -> Draws:
    """Add the scores before treatment to those after it: the same mean in both arms, SDs alike, correlated by 0.7."""
    found: Draws = []
    for trial in draws:
        level, sd = float(trial[1].mean()), float(trial[1].std(ddof=1))
        scores = [(after - after.mean()) / sd for after in trial]
        rest = (1 - CORRELATED**2) ** 0.5
        found.append([*trial, *(level + sd * (CORRELATED * z + rest * rng.normal(0, 1, z.size)) for z in scores)])
    return found


def pre_post(draws: Draws) -> pd.DataFrame:
    """Return the table of means and SDs before and after treatment."""
    table = _named(len(draws), "knee strength", "dynamometer (Nm)")
    for place, arm in enumerate(ARMS):
        table[f"n_{arm}"] = [trial[place].size for trial in draws]
        for stem, shift in (("post", 0), ("pre", 2)):
            table[f"mean_{stem}_{arm}"] = [round(float(trial[place + shift].mean()), 1) for trial in draws]
            table[f"sd_{stem}_{arm}"] = [round(float(trial[place + shift].std(ddof=1)), 1) for trial in draws]
        table[f"r_{arm}"] = CORRELATED
    return table


def counts(rng: np.random.Generator, k: int) -> pd.DataFrame:
    """Return a table of people with an event, of which control groups have 20 to 50% and odds ratios 0.4 to 1."""
    table = _named(k, "falls", "")
    sizes = rng.integers(8, 31, (k, 2))
    risk = rng.uniform(0.2, 0.5, k)
    odds = risk / (1 - risk) * rng.uniform(0.4, 1, k)
    for place, (arm, p) in enumerate(zip(ARMS, (odds / (1 + odds), risk), strict=True)):
        table[f"events_{arm}"], table[f"n_{arm}"] = rng.binomial(sizes[:, place], p), sizes[:, place]
    return table


def _named(k: int, outcome: str, instrument: str) -> pd.DataFrame:
    """Return the labels of k trials."""
    return pd.DataFrame(
        {
            "study": [f"{chr(65 + i)}{'aeiou'[i % 5]}rson {1998 + i}" for i in range(k)],
            "outcome": outcome,
            "instrument": instrument,
            "higher_is_better": outcome != "falls",
            "treatment_1": "exercise",
            "arm_1": "exercise",
            "treatment_2": "usual care",
        }
    )


# ---------------------------------------------------------------- what goes wrong


def se_for_sd(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Write the standard errors of both arms into the columns of SDs."""
    for place, arm in enumerate(ARMS):
        table.loc[row, f"sd_{arm}"] = round(float(draws[row][place].std(ddof=1)) / draws[row][place].size ** 0.5, 1)


def se_twice(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Write the standard errors of both arms into the columns of SDs, before and after treatment."""
    for stem in ("pre", "post"):
        for arm in ARMS:
            se = float(table.loc[row, f"sd_{stem}_{arm}"]) / float(table.loc[row, f"n_{arm}"]) ** 0.5
            table.loc[row, f"sd_{stem}_{arm}"] = round(se, 1)


def sd_for_se(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Take printed SDs for standard errors and multiply them by sqrt(n)."""
    for arm in ARMS:
        table.loc[row, f"sd_{arm}"] = round(float(table.loc[row, f"sd_{arm}"] * table.loc[row, f"n_{arm}"] ** 0.5), 1)


def sign(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Let the means of both arms change places."""
    table.loc[row, ["mean_1", "mean_2"]] = table.loc[row, ["mean_2", "mean_1"]].to_numpy()


def arms(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Let all numbers of both arms change places."""
    for stem in ("n", "mean", "sd"):
        table.loc[row, [f"{stem}_1", f"{stem}_2"]] = table.loc[row, [f"{stem}_2", f"{stem}_1"]].to_numpy()


def doubled(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Add a second treated arm of the trial, against the same control group."""
    z = rng.normal(table.loc[row, "mean_1"], table.loc[row, "sd_1"], int(rng.integers(8, 31)))
    table.loc[len(table)] = table.loc[row]
    table.loc[len(table) - 1, ["arm_1", "n_1", "mean_1", "sd_1"]] = [
        "exercise with weights",
        z.size,
        round(float(z.mean()), 1),
        round(float(z.std(ddof=1)), 1),
    ]


def unit(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Write the row in another unit."""
    factor = float(rng.choice([2.2046, 9.81, 100.0]))
    columns = ["mean_1", "sd_1", "mean_2", "sd_2"]
    table.loc[row, columns] = (table.loc[row, columns].astype(float) * factor).round(1).to_numpy()


def percentage(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Write percentages into the columns of counts."""
    for arm in ARMS:
        table.loc[row, f"events_{arm}"] = round(100 * table.loc[row, f"events_{arm}"] / table.loc[row, f"n_{arm}"])


def median(table: pd.DataFrame, draws: Draws, row: int, rng: np.random.Generator) -> None:
    """Write medians and interquartile ranges into the columns of means and SDs."""
    for place, arm in enumerate(ARMS):
        low, middle, high = np.quantile(draws[row][place], (0.25, 0.5, 0.75))
        table.loc[row, [f"mean_{arm}", f"sd_{arm}"]] = [round(float(middle), 1), round(float(high - low), 1)]


@dataclass(frozen=True)
class Kind:
    """One kind of error: its words, what makes it, the table it is made in and the measure that is pooled."""

    words: str
    corrupt: Corrupt
    table: str = "normal"
    measure: str = "SMD"


KINDS = {
    "se": Kind("SE for SD", se_for_sd),
    "se-twice": Kind("SE for SD, before and after", se_twice, table="pre_post", measure="DPPC2"),
    "sd": Kind("SD for SE (multiplied by √n)", sd_for_se),
    "sign": Kind("sign swapped", sign),
    "arms": Kind("arms swapped", arms),
    "doubled": Kind("control group used twice", doubled),
    "unit": Kind("another unit (× 2.2, 9.8 or 100)", unit, measure="MD"),
    "percent": Kind("percentage for count", percentage, table="counts", measure="RR"),
    "median": Kind("median and IQR for mean and SD", median, table="skewed"),
}
CLEAN = {
    "means": Kind("means, normal data", se_for_sd),
    "pre-post": Kind("means before and after", se_twice, table="pre_post", measure="DPPC2"),
    "md": Kind("the same, pooled as MD", se_for_sd, measure="MD"),
    "skewed": Kind("means, log-normal data", se_for_sd, table="skewed"),
    "counts": Kind("counts", percentage, table="counts", measure="RR"),
}


TABLES_OF = {"pre_post": pre_post}  # where it is not that of means

# ---------------------------------------------------------------- counting


def simulated(name: str, spread: float, tables: int, *, wrong: bool = True) -> Counts:
    """Make tables of one kind, look at them with all rules, and count."""
    kind = KINDS[name] if wrong else CLEAN[name]
    rng = np.random.default_rng([SEED, int(100 * spread), wrong, *name.encode()])
    total = Counts()
    for _ in range(tables):
        k = int(rng.integers(6, 21))
        draws = people(rng, k, spread, skewed=kind.table == "skewed")
        if kind.table == "pre_post":
            draws = with_starts(rng, draws)
        table = counts(rng, k) if kind.table == "counts" else TABLES_OF.get(kind.table, means)(draws)
        rows = rng.choice(k, max(1, round(k * rng.uniform(0.1, 0.25))), replace=False).tolist() if wrong else []
        for row in rows:
            kind.corrupt(table, draws, row, rng)
        count(total, table, frozenset([*rows, *range(k, len(table))]), kind.measure)
    return total


def count(total: Counts, table: pd.DataFrame, wrong: frozenset[int], measure: str) -> None:
    """Add what the rules say about one table."""
    total.tables += 1
    total.wrong += len(wrong)
    total.right += len(table) - len(wrong)
    named: dict[str, set[int]] = {"any": set()}
    try:
        trials = read_trials(table)
    except DataError as error:
        rows = {int(p.row.split()[-1]) for p in error.problems if p.row}
        named[REFUSED] = named["any"] = {i for i in range(len(table)) if i in rows}
    else:
        seen = scene(trials, resolve_spec(), Request(measure=measure, choices=effect_choices()))
        if measure == "SMD":
            pool = seen.pools[0]
            named[f"|SMD| > {LARGE:g}"] = {int(i) for i in pool.places[np.abs(pool.yi) > LARGE]}
        for found in inspect(seen).findings:
            total.findings[found.rule] += 1
            total.errors[found.rule] += found.severity == "error"
            if found.severity != "information" and not found.whole:
                named.setdefault(found.rule, set()).update(found.rows)
                named["any"].update(found.rows)
    for key, rows in named.items():
        total.wrong_named[key] += len(rows & wrong)
        total.right_named[key] += len(rows - wrong)


# ---------------------------------------------------------------- words


def _found_lines(found: dict[tuple[str, float], Counts]) -> list[str]:
    """Return the table of what is found by any rule."""
    lines = [
        "| error | rows named, spread 0.2 / 0.3 / 0.45 | right rows named | wrong rows with \\|SMD\\| > 2 |",
        "|---|---|---|---|",
    ]
    for name, kind in KINDS.items():
        parts = [found[name, spread] for spread in SPREADS]
        large = _slashed([part.share(f"|SMD| > {LARGE:g}") for part in parts]) if kind.measure == "SMD" else ""
        any_ = _slashed([part.share("any") for part in parts])
        lines.append(f"| {kind.words} | {any_} | {_slashed([part.alarms('any') for part in parts], 1)} | {large} |")
    return lines


def _rule_lines(found: dict[tuple[str, float], Counts]) -> list[str]:
    """Return the table of which rule finds what."""
    lines = ["| error | rule | wrong rows named | right rows named |", "|---|---|---|---|"]
    for name, kind in KINDS.items():
        parts = [found[name, spread] for spread in SPREADS]
        for key in (REFUSED, *RULES):
            if max(part.share(key) for part in parts) >= 5:
                shares = _slashed([part.share(key) for part in parts])
                lines.append(f"| {kind.words} | {key} | {shares} | {_slashed([p.alarms(key) for p in parts], 2)} |")
    return lines


def _alarm_lines(clean: dict[tuple[str, float], Counts]) -> list[str]:
    """Return the table of alarms in clean tables."""
    heads = [kind.words for kind in CLEAN.values()]
    lines = [f"| rule | {' | '.join(f'{head}: rows named' for head in heads)} |", "|---|" + "---|" * len(heads)]
    for key in RULES:
        cells = [[clean[name, spread] for spread in SPREADS] for name in CLEAN]
        if any(part.right_named[key] for parts in cells for part in parts):
            shown = [_slashed([part.alarms(key) for part in parts], 2) for parts in cells]
            lines.append(f"| {key} | {' | '.join(shown)} |")
    for words, of in (("findings of any kind per table", "findings"), ("errors per table", "errors")):
        cells = [_slashed([_per_table(clean[name, s], of) for s in SPREADS], 2) for name in CLEAN]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def _per_table(part: Counts, of: str) -> float:
    """Return findings or errors per table."""
    return sum(getattr(part, of).values()) / max(part.tables, 1)


def _slashed(values: list[float], digits: int = 0) -> str:
    """Write the values of the three spreads."""
    return " / ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
