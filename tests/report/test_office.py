"""Word and PDF files of a whole report as other programs read them: LibreOffice opens the one, poppler the other."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from contextlib import chdir
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import pytest

from metaback.cli import main

pytest.importorskip("docx")
pytest.importorskip("typst")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
TIMEOUT = 180


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the report of one outcome as Word and PDF."""
    folder = tmp_path_factory.mktemp("office")
    for name in ("trials.csv", "plan.toml"):
        shutil.copy(ROOT / "data" / name, folder)
    words = [
        "pool",
        "trials.csv",
        "--plan",
        "plan.toml",
        "--outcome",
        "disability",
        "--also",
        "docx",
        "--also",
        "pdf",
        "-q",
    ]
    with chdir(folder), pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code
    return folder / "report"


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def letters(text: str) -> str:
    """Return a text without spaces and signs that cannot be seen, which programs set as they like."""
    return re.sub(r"[\s\u00ad\u200b\u2060\ufeff\u00a0\u202f]+", "", text)


def test_libreoffice_opens_the_word_file_with_every_word_in_order(report: Path, tmp_path: Path) -> None:
    soffice = needed("soffice")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    words = [soffice, profile, "--headless", "--convert-to", "txt:Text (encoded):UTF8", "--outdir", str(tmp_path)]
    subprocess.run([*words, str(report / "report.docx")], check=True, capture_output=True, timeout=TIMEOUT)
    read = letters((tmp_path / "report.txt").read_text(encoding="utf-8-sig"))
    with ZipFile(io.BytesIO((report / "report.docx").read_bytes())) as pack:
        root = ET.fromstring(pack.read("word/document.xml"))
    written = ["".join(part.text or "" for part in one.iter(f"{WORD}t")) for one in root.iter(f"{WORD}p")]
    written = [text for text in map(letters, written) if text]
    assert len(written) > 200
    at = 0
    for text in written:
        found = read.find(text, at)
        assert found >= 0, text
        at = found + len(text)


def asked(*words: str) -> str:
    """Ask poppler; what it says on standard error about tags that it does not know is left out."""
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout


def test_poppler_reads_the_pdf_as_tagged_and_harmless(report: Path) -> None:
    told = dict(line.split(":", 1) for line in asked(needed("pdfinfo"), str(report / "report.pdf")).splitlines())
    found = {name: value.strip() for name, value in told.items()}
    expected = {"Tagged": "yes", "JavaScript": "no", "Encrypted": "no", "Form": "none", "Metadata Stream": "yes"}
    assert expected.items() <= found.items()
    assert found["Title"]
    assert int(found["Pages"]) > 3
    assert "CreationDate" not in found


def test_the_pdf_has_headings_in_order_heads_of_tables_and_words_for_figures(report: Path) -> None:
    lines = [line.strip() for line in asked(needed("pdfinfo"), "-struct", str(report / "report.pdf")).splitlines()]
    kinds = [re.match(r"[A-Za-z0-9]+", line)[0] for line in lines if re.match(r"[A-Za-z0-9]+", line)]  # type: ignore[index]
    levels = [int(kind[1]) for kind in kinds if re.fullmatch(r"H\d", kind)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert kinds.count("Table") > 3
    assert kinds.count("THead") == kinds.count("Table")
    assert sum("/Scope /Column" in line for line in lines) >= kinds.count("Table")
    content = (report / "report.pdf").read_bytes()
    figures = re.findall(rb"/Type/StructElem/S/Figure.*?endobj", content, re.DOTALL)
    assert len(figures) == kinds.count("Figure") > 0
    assert all(b"/Alt" in figure for figure in figures)
    for part in (b"/Lang(en)", b"/MarkInfo<</Marked true", b"/DisplayDocTitle true", b"<pdfuaid:part>1</pdfuaid:part>"):
        assert part in content


def test_the_pdf_says_what_the_page_of_text_says(report: Path) -> None:
    read = letters(asked(needed("pdftotext"), "-layout", str(report / "report.pdf"), "-"))
    heads = re.findall(r"^#+ (.+)$", (report / "report.md").read_text(encoding="utf-8"), re.MULTILINE)
    plain = [letters(re.sub(r"[\\*_`]", "", head)) for head in heads]
    assert len(plain) > 8
    assert [head for head in plain if head not in read] == []
