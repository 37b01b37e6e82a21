"""References are read and written whole."""

from __future__ import annotations

import pytest

from metaback.report.bibliography import (
    bibtex,
    read_bibtex,
    reference_list,
    reference_text,
    references,
    selected_bibtex,
)


def test_an_article() -> None:
    assert reference_text("hartung2001") == (
        "Hartung J, Knapp G. On tests of the overall treatment effect in meta-analysis with normally distributed "
        "responses. Statistics in Medicine 2001;20(12):1771–1782. doi:10.1002/sim.791"
    )


def test_a_book_a_chapter_and_a_report() -> None:
    assert "San Diego, CA: Academic Press; 1985." in reference_text("hedges1985")
    assert (
        "In: Cochrane Handbook for Systematic Reviews of Interventions, version 6.5. Cochrane; 2024."
        in reference_text("deeks2024")
    )
    assert "The Cochrane Collaboration; 2010." in reference_text("deeks2010")


def test_many_authors_are_cut_and_accents_stay() -> None:
    assert "Langan D, Higgins JPT, Jackson D, Bowden J, Veroniki AA, Kontopantelis E, et al." in reference_text(
        "langan2019"
    )
    assert reference_text("rover2015").startswith("Röver C, Knapp G, Friede T. Hartung-Knapp-Sidik-Jonkman approach")


def test_a_question_keeps_its_mark() -> None:
    assert "residual concerns? Statistics" in reference_text("jackson2017")


def test_all_are_complete() -> None:
    assert len(references()) == bibtex().count("\n@") + 1
    for key in references():
        text = reference_text(key)
        assert not {"{", "}", "--", ";:", ". ."} & {text[i : i + n] for n in (1, 2, 3) for i in range(len(text))}, key
        assert "doi:" in text or "https://" in text or "ISBN" in text
        assert "  " not in text


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody1900"):
        reference_list(["nobody1900"])


def test_selected_entries_are_bibtex_again() -> None:
    some = selected_bibtex(["paule1982", "hedges1981"])
    assert set(read_bibtex(some)) == {"paule1982", "hedges1981"}
    assert read_bibtex(some)["paule1982"] == references()["paule1982"]


def test_no_reference_shows_marks_of_its_file() -> None:
    """Accents are letters, `and others` is et al, and a missing volume leaves no stray signs."""
    for text in reference_list(tuple(references())):
        assert "\\" not in text
        assert "others" not in text
        assert ";." not in text
