"""What standardised effects were divided by, and whether scores are final ones, changes or adjusted ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaback.data.trials import Trials
from metaback.effects.direction import listed
from metaback.effects.instruments import needed
from metaback.effects.routes import Bools
from metaback.errors import Problem
from metaback.stats.measures import about, raw_roles

FINAL, CHANGE, ANCOVA = "final", "change", "ancova"
SPELLINGS = {
    FINAL: "final final_score final_scores final_value final_values follow_up followup post endpoint end post_score",
    CHANGE: "change change_score change_scores change_from_baseline changes gain gain_score gain_scores",
    ANCOVA: "ancova adjusted baseline_adjusted adjusted_mean adjusted_means ancova_adjusted",
}
_BY_SPELLING = {spelling: word for word, spellings in SPELLINGS.items() for spelling in spellings.split()}
SCORES = {FINAL: "final scores", CHANGE: "change scores", ANCOVA: "final scores"}
EXAMPLE_R = 0.75


@dataclass(frozen=True, slots=True)
class Standardised:
    """Per row: the type of its scores and its standardiser, "" where not known; what is wrong and what to tell."""

    score_types: tuple[str, ...]
    standardisers: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def inflation(r: float) -> float:
    """Return how many times as large d is when it is divided by the SD of changes: 1 / sqrt(2 (1 - r)).

    It holds for equal SDs before and after with pre-post correlation r in (-1, 1): sd_change^2 = 2 (1 - r) sd^2.

    >>> round(inflation(0.75), 2), inflation(0.5)
    (1.41, 1.0)
    """
    return 1 / math.sqrt(2 * (1 - r))


def score_words(text: str) -> str | None:
    """Return the type of scores that a cell names, "" for a blank, None where it is not known.

    >>> score_words("Change from baseline"), score_words(""), score_words("maybe")
    ('change', '', None)
    """
    plain = "_".join(text.lower().replace("-", " ").replace("_", " ").split())
    return _BY_SPELLING.get(plain) if plain else ""


def standardised(trials: Trials, pooled: Bools, computed: Bools, changes: Bools, key: str, mixed: str) -> Standardised:
    """Return score type and standardiser of each row, and refuse a pool that divides by two kinds of SD.

    pooled: (k,) rows with an effect; computed: from raw numbers; changes: from mean changes and their SDs; mixed: why
    both kinds may be pooled, in the user's words. Raw means without a word on it are final scores. An effect that was
    brought ready-made is what its row says, and nothing where it says nothing.
    """
    types, problems = _types(trials, computed, changes, key)
    words = _standardisers(trials, types, computed, key)
    facts = about(key)
    if not _depends(key):
        told = _both_kinds(types, pooled) if facts.kind == "means" and facts.scale == "linear" else []
        return Standardised(tuple(types), words, tuple(problems), tuple(told))
    notes: list[str] = []
    pairs = list(zip(types, words, strict=True))
    known = {pair: _kind(*pair) for pair in set(pairs)}
    of_pool = np.flatnonzero(pooled).tolist()
    change, final = [], []
    if {CHANGE, FINAL} <= set(known.values()):
        kinds = [(i, known[pairs[i]]) for i in of_pool]
        change, final = (_names(trials, [i for i, kind in kinds if kind == one]) for one in (CHANGE, FINAL))
    if change and final and not mixed:
        problems.append(_mixed(trials, change, final, key))
    elif change and final:
        both = f"{listed(change)} by the SD of change scores, the others by an SD of scores"
        notes.append(f"Effects were standardised in two ways ({both}) and pooled together: {mixed.rstrip('.')}.")
    unstated = _names(trials, [i for i in of_pool if not words[i]]) if "" in words else []
    if unstated and len(unstated) == int(pooled.sum()):
        notes.append("No row says by which standard deviation its effect was divided (final scores or changes).")
    elif unstated:
        count = f"{len(unstated)} row{'s' if len(unstated) > 1 else ''}"
        notes.append(f"The standardiser is not stated in {count}: {listed(unstated)}.")
    return Standardised(tuple(types), words, tuple(problems), tuple(notes))


def _names(trials: Trials, rows: Sequence[int]) -> list[str]:
    """Name rows by their study and their place in the table."""
    labels = trials.texts("study")
    return [f"{labels[i]} ({trials.rows[i]})" for i in rows]


def _depends(key: str) -> bool:
    """Tell whether an effect is divided by an SD of the study's own scores, whatever type of scores these are."""
    facts = about(key)
    return bool(facts.standardiser) and facts.kind == "means" and not needed(key)


def _types(trials: Trials, computed: Bools, changes: Bools, key: str) -> tuple[list[str], list[Problem]]:
    """Return the score type of each row, with the cells that are not understood or contradict the numbers."""
    adjusted = "mean_adj_1" in raw_roles(key)
    kind = about(key).kind
    own = ANCOVA if adjusted else FINAL if kind == "means" else ""
    if "score_type" not in trials.roles and not computed.any():
        return [""] * len(trials), []
    of_changes = changes | (kind == "changes")
    if "score_type" not in trials.roles:
        cells = zip(computed.tolist(), of_changes.tolist(), strict=True)
        return [(CHANGE if change else own) if raw else "" for raw, change in cells], []
    types: list[str] = []
    problems: list[Problem] = []
    brought = trials.numbers("mean_change_1")
    texts = trials.texts("score_type")
    read = {text: score_words(text) for text in set(texts)}
    for i, text in enumerate(texts):
        word = read[text]
        if word is None:
            fix = f"Write one of: {', '.join(SPELLINGS)}"
            problems.append(Problem("is not a type of scores", fix, trials.roles["score_type"], trials.rows[i], text))
        elif word and word != CHANGE and changes[i] and computed[i]:
            rule = "the effect of this row was computed from mean changes"
            fix = "Write 'change', or give the means and SDs that belong to it"
            problems.append(Problem(rule, fix, trials.roles["score_type"], trials.rows[i], text))
        elif word == CHANGE and computed[i] and not changes[i] and own == FINAL and np.isfinite(brought[i]):
            rule = "the effect of this row was computed from mean_1 and mean_2, beside mean changes of its own"
            fix = "Write 'final', or leave the means blank where the changes are to be used"
            problems.append(Problem(rule, fix, trials.roles["score_type"], trials.rows[i], text))
        usual = CHANGE if of_changes[i] else own
        types.append(word or (usual if computed[i] else ""))
    return types, problems


def _standardisers(trials: Trials, types: list[str], computed: Bools, key: str) -> tuple[str, ...]:
    """Return what each row was divided by: as the table says, else as measure and score type say."""
    facts = about(key)
    if not facts.standardiser:
        return ("",) * len(types)
    stated = trials.texts("standardiser")
    if not _depends(key):
        return tuple(text or facts.standardiser for text in stated)
    usual = {word: f"{facts.standardiser} of {scores}" for word, scores in SCORES.items()} | {"": ""}
    cells = zip(stated, types, computed.tolist(), strict=True)
    return tuple(text or (usual[word] if raw else "") for text, word, raw in cells)


def _kind(score_type: str, standardiser: str) -> str:
    """Return whether an effect is in units of an SD of changes or of scores, "" where this is not known."""
    if standardiser:
        return CHANGE if "change" in standardiser.lower() else FINAL
    return {CHANGE: CHANGE, FINAL: FINAL, ANCOVA: FINAL}.get(score_type, "")


def _mixed(trials: Trials, change: list[str], final: list[str], key: str) -> Problem:
    """Refuse a pool of two standardisers, with the size of the matter and the ways out."""
    rule = (
        f"{key} of change scores ({listed(change)}) and of final scores ({listed(final)}) are divided by different SDs "
        f"and are not on one scale: by the SD of changes the same effect is 1/sqrt(2(1 - r)) times as large, "
        f"{inflation(EXAMPLE_R):.2f} times at a pre-post correlation of r = {EXAMPLE_R}"
    )
    fix = (
        "Pool them apart, take MD where all use one instrument, give the SDs of the scores for all rows, state the "
        "standardiser in a column of that name, or say why they may be mixed: mixed_scores='the reason'"
    )
    return Problem(rule, fix, trials.roles.get("score_type"))


def _both_kinds(types: list[str], pooled: Bools) -> list[str]:
    """Tell that differences of changes and of final scores, which estimate the same, were pooled together."""
    found = [word for word, ok in zip(types, pooled, strict=True) if ok]
    changes, finals = found.count(CHANGE), found.count(FINAL) + found.count(ANCOVA)
    if not changes or not finals:
        return []
    rows = f"{changes} row{'s' if changes > 1 else ''}"
    note = (
        f"Mean differences come from changes in {rows} and from final scores in {finals}; in randomised trials both "
        "estimate the same difference, so they are pooled together."
    )
    return [note]


def standardiser_words(standardisers: tuple[str, ...], pooled: Bools) -> str:
    """Return the standardisers of pooled rows as a phrase with their numbers of rows, "" where none is standardised.

    >>> import numpy as np
    >>> standardiser_words(("the pooled SD of final scores", "", ""), np.array([True, True, False]))
    'the pooled SD of final scores (1 row); not stated (1 row)'
    """
    used = [word for word, ok in zip(standardisers, pooled, strict=True) if ok]
    if not any(used):
        return ""
    names = [word for word in dict.fromkeys(used) if word] + ([""] if "" in used else [])
    if len(names) == 1:
        return names[0]
    counts = ((word or "not stated", used.count(word)) for word in names)
    return "; ".join(f"{word} ({count} row{'s' if count > 1 else ''})" for word, count in counts)
