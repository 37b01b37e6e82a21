"""Tables as other programs write them: columns known as they are, effects equal to those that the program gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes

FULL = 1e-12  # relative; both sides compute closed forms in double precision from the same numbers
PRINTED = 0.5  # units of the last digit that a program prints

# ---------------------------------------------------------------- metafor: data sets of metadat, effects of escalc

# The first rows of data sets of metadat 1.2-0 as `write.csv` writes them; yi and vi of metafor 3.8-1's escalc with its
# defaults, printed with 17 digits.
METAFOR: dict[str, tuple[str, str, list[float], list[float]]] = {
    "dat.normand1999": (
        "SMD",
        ('"study","source","n1i","m1i","sd1i","n2i","m2i","sd2i"\n1,"Edinburgh",155,55,47,156,75,64\n'
        '2,"Orpington-Mild",31,27,7,32,29,4\n3,"Orpington-Moderate",75,64,17,71,119,29\n'),
        [-0.35516964094010689, -0.34794002273909852, -2.3175691601637305],
        [0.013064675541529683, 0.064468876098856681, 0.045812110280182811],
    ),
    "dat.hine1989": (
        "RD",
        ('"study","source","n1i","n2i","ai","ci"\n1,"Chopra et al.",39,43,2,1\n2,"Mogensen",44,44,4,4\n'
        '3,"Pitt et al.",107,110,6,4\n'),
        [0.028026237328562909, 0.0, 0.019711129991503824],
        [0.0017757477454934036, 0.0037565740045078888, 0.00081323398897812532],
    ),
    "dat.nielweise2008": (
        "IRR",
        ('"study","authors","year","x1i","t1i","x2i","t2i"\n1,"Bong et al.",2003,7,1344,11,1988\n'
        '2,"Ciresi et al.",1996,8,1600,8,1461\n3,"Hanna et al.",2004,3,12012,14,10962\n'),
        [-0.060506257609632463, -0.090882496477172836, -1.6319164444443084],
        [0.23376623376623376, 0.25, 0.40476190476190477],
    ),
    "dat.debruin2009": (
        "PLO",
        ('"author","year","scq","ni","xi","mi","ethnicity","patients","select","sens"\n'
        '"Andrade et al.",2005,21,29,11,18,"other","starting","no","<400"\n'
        '"Fairley et al.",2003,22.67,33,24,9,"caucasian","continuing","yes","<400"\n'
        '"Goujard et al.",2003,15.07,326,179,147,"caucasian","continuing","no","<400"\n'),
        [-0.49247648509779424, 0.9808292530117263, 0.1969532190620189],
        [0.14646464646464646, 0.15277777777777776, 0.012389313267206324],
    ),
    "dat.mcdaniel1994": (
        "ZCOR",
        '"study","ni","ri","type","struct"\n1,123,0,"j","s"\n2,95,0.06,"p","u"\n3,69,0.36,"j","s"\n',
        [0.0, 0.060072155921031704, 0.37688590118818999],
        [0.0083333333333333332, 0.010869565217391304, 0.015151515151515152],
    ),
    "dat.bonett2010": (
        "ABT",
        ('"study","source","ni","ai","mi","caregivers"\n1,"Atienza",103,0.93,20,"women"\n'
        '2,"Hooker et al.",64,0.91,20,"mixed"\n3,"Martire et al.",118,0.94,20,"women"\n'),
        [2.6592600369327788, 2.4079456086518722, 2.8134107167600355],
        [0.020844189682126108, 0.033955857385398983, 0.018148820326678767],
    ),
    "dat.gibson2002": (
        "MD",
        ('"author","year","n1i","m1i","sd1i","n2i","m2i","sd2i","ai","bi","ci","di","type"\n'
        '"Cote",1997,50,2.2,12.73,54,5.2,12.5,NA,NA,NA,NA,1\n"Ghosh",1998,140,17.6,24.2,136,34.1,38.8,NA,NA,NA,NA,1\n'
        '"Hayward",1996,23,0.38,0.56,19,0.23,0.29,NA,NA,NA,NA,1\n'),
        [-3.0, -16.5, 0.15],
        [6.1345765185185197, 15.252554621848738, 0.018061098398169339],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", METAFOR)
def test_data_sets_of_metadat_give_the_effects_of_escalc(name: str) -> None:
    measure, text, yi, vi = METAFOR[name]
    made = effect_sizes(read_trials(text.encode()), measure=measure, preset="metafor")
    np.testing.assert_allclose(made.yi, yi, rtol=FULL, atol=1e-15)
    np.testing.assert_allclose(made.vi, vi, rtol=FULL)


# ---------------------------------------------------------------- meta: what as.data.frame(metabin(...)) writes

# Fleiss (1993), aspirin after myocardial infarction: the first two trials with the columns of meta's data frame. Odds
# ratios and limits as meta prints them (four decimals); TE and seTE with 16 digits.
META = (
    "studlab,event.e,n.e,event.c,n.c,TE,seTE,lower,upper,statistic,pval,year\n"
    "MRC-1,49,615,67,624,-0.3289011595562381,0.1972198088133556,-0.7154448819,0.0576425628,-1.667688,0.095379,1974\n"
    "CDP,44,758,64,771,-0.3845457458844224,0.2028971663389210,-0.7822168844,0.0131253926,-1.895274,0.058056,1976\n"
)
META_PRINTED = [(0.7197, 0.4890, 1.0593), (0.6808, 0.4574, 1.0132)]


def test_a_data_frame_of_meta() -> None:
    trials = read_trials(META.encode())
    assert {role: trials.roles[role] for role in ("study", "events_1", "n_1", "events_2", "n_2", "yi", "sei")} == {
        "study": "studlab", "events_1": "event.e", "n_1": "n.e", "events_2": "event.c", "n_2": "n.c", "yi": "TE",
        "sei": "seTE",
    }  # fmt: skip
    made = effect_sizes(trials, measure="OR")
    np.testing.assert_allclose(made.yi, trials.numbers("yi"), rtol=FULL)
    np.testing.assert_allclose(np.sqrt(made.vi), trials.numbers("sei"), rtol=FULL)
    for (point, low, high), yi, vi in zip(META_PRINTED, made.yi, made.vi, strict=True):
        half = 1.959963984540054 * math.sqrt(vi)
        for value, shown in ((yi, point), (yi - half, low), (yi + half, high)):
            assert abs(math.exp(value) - shown) <= PRINTED * 1e-4 * 1.01


def test_means_of_meta() -> None:
    header = "studlab,n.e,mean.e,sd.e,n.c,mean.c,sd.c"
    roles = read_trials(f"{header}\nDavis 1973,13,5,4.7,13,6.5,3.8\n".encode()).roles
    assert list(roles.values()) == ["studlab", "n.e", "n.c", "mean.e", "mean.c", "sd.e", "sd.c"]


# ---------------------------------------------------------------- RevMan Web: the Cochrane data package

COCHRANE = (
    "Analysis group,Analysis number,Analysis name,Subgroup,Applicability,Study,Study year,GIV Mean,GIV SE,"
    "Experimental mean,Experimental SD,Experimental cases,Experimental N,Control mean,Control SD,Control cases,"
    "Control N,O-E,Variance,Weight,Mean,CI start,CI end,Footnotes\n"
)
# Counts of two BCG trials (Colditz 1994) with risk ratios as RevMan prints them; means of two stroke trials (Normand
# 1999) with mean differences; a ratio given as log and its SE.
RATIOS = (
    "1,1,Tuberculosis,,OVERALL,Aronson 1948,1948,,,,,4,123,,,11,139,,,30.1,0.4109,0.1343,1.2574,\n"
    "1,1,Tuberculosis,,OVERALL,Ferguson 1949,1949,,,,,6,306,,,29,303,,,69.9,0.2049,0.0863,0.4864,\n"
)
MEANS = (
    "1,2,Days in hospital,,OVERALL,Edinburgh,,,,55,47,,155,75,64,,156,,,40,-20.0,-32.4744,-7.5256,\n"
    "1,2,Days in hospital,,OVERALL,Orpington,,,,27,7,,31,29,4,,32,,,60,-2.0,-4.8271,0.8271,\n"
)
GENERIC = "1,3,Death,,OVERALL,Smith 2001,2001,-0.2231435513,0.1,,,,,,,,,,,100,0.8,0.6576,0.9732,\n"


@pytest.mark.parametrize(
    ("rows", "measure", "ratio"), [(RATIOS, "RR", True), (MEANS, "MD", False), (GENERIC, "RR", True)]
)
def test_a_cochrane_data_package_gives_the_effects_that_it_prints(rows: str, measure: str, ratio: bool) -> None:
    trials = read_trials((COCHRANE + rows).encode())
    made = effect_sizes(trials, measure=measure)
    half = 1.959963984540054 * np.sqrt(made.vi)
    found = [made.yi, made.yi - half, made.yi + half]
    for role, values in zip(("effect", "ci_low", "ci_high"), found, strict=True):
        shown = np.exp(values) if ratio else values
        np.testing.assert_allclose(shown, trials.numbers(role), rtol=0, atol=PRINTED * 1e-4 * 1.01)


def test_analyses_of_one_name_are_kept_apart_and_told() -> None:
    second = RATIOS.replace("1,1,Tub", "2,1,Tub")
    trials = read_trials((COCHRANE + RATIOS + second + MEANS).encode())
    assert trials.texts("outcome") == (
        *("Tuberculosis (1.1)",) * 2, *("Tuberculosis (2.1)",) * 2, *("Days in hospital",) * 2,
    )  # fmt: skip
    assert trials.notes == (
        (
            "outcome 'Tuberculosis' names 2 analyses, which are kept apart by their numbers: "
            "1.1 from row 2 on, 2.1 from row 4 on"
        ),
    )
    assert read_trials((COCHRANE + RATIOS + MEANS).encode()).notes == ()


def test_rows_of_different_use_are_told() -> None:
    text = COCHRANE + RATIOS + RATIOS.replace("OVERALL", "SUBGROUP")
    (note,) = read_trials(text.encode()).notes
    assert note.startswith("column 'Applicability' marks rows of different use ('OVERALL', 'SUBGROUP'); a study may")


def test_rows_of_observed_minus_expected_events_are_told() -> None:
    row = "1,1,Death,,OVERALL,Smith 2001,2001,,,,,4,123,,,11,139,-3.2,3.6,100,0.4111,0.1463,1.1551,\n"
    (note,) = read_trials((COCHRANE + row).encode()).notes
    assert note.startswith("column 'O-E' is not used (row 2): the printed effects of these rows rest on observed")


def test_the_note_reaches_the_set_of_effects() -> None:
    made = effect_sizes(read_trials((COCHRANE + RATIOS + RATIOS.replace("1,1,Tub", "2,1,Tub")).encode()), measure="RR")
    assert any("Tuberculosis (1.1), Tuberculosis (2.1)" in note for note in made.notes)


# ---------------------------------------------------------------- Stata: what meta set and meta esize leave

# _meta_cil and _meta_ciu are limits on the analysis scale (of the log ratio), so they are not the printed limits that
# the roles ci_low and ci_high hold; they stay as columns without a role.
STATA = (
    "_meta_id,_meta_studylabel,_meta_es,_meta_se,_meta_cil,_meta_ciu,_meta_studysize,npost,nnegt\n"
    "1,MRC-1,-.3289011595562381,.1972198088133556,-.7154449,.0576426,1239,49,566\n"
    "2,CDP,-.3845457458844224,.202897166338921,-.7822169,.0131254,1529,44,714\n"
)


def test_a_data_set_of_stata() -> None:
    trials = read_trials(STATA.encode())
    assert dict(trials.roles) == {
        "study": "_meta_studylabel", "n": "_meta_studysize", "yi": "_meta_es", "sei": "_meta_se",
    }  # fmt: skip
    made = effect_sizes(trials, measure="OR")
    np.testing.assert_allclose(made.yi, [-0.3289011595562381, -0.3845457458844224], rtol=FULL)
    np.testing.assert_allclose(np.sqrt(made.vi), [0.1972198088133556, 0.202897166338921], rtol=FULL)
    low = trials.frame["_meta_cil"].astype(float)
    np.testing.assert_allclose(made.yi - 1.959963984540054 * np.sqrt(made.vi), low, atol=PRINTED * 1e-7 * 1.01)
