"""The README is run as it stands: its example works and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def folder_of(code: str) -> str:
    """Return the folder that an example writes its report into, "" where it writes none."""
    found = re.search(r'\.report\("([^"]+?)/"\)', code)
    return found.group(1) if found else ""


NAMES = [re.findall(r"^## (.*)$", README[: README.index(code)], re.MULTILINE)[-1] for code in blocks("python")]
EXAMPLES = [
    pytest.param(code, text, folder_of(code), id=name)
    for code, text, name in zip(blocks("python"), blocks("text"), NAMES, strict=True)
]


@pytest.mark.parametrize(("code", "text", "folder"), EXAMPLES)
def test_the_example_prints_what_the_readme_shows(
    code: str, text: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert text.strip() in done.stdout
    assert not folder or (tmp_path / folder / "report.html").exists()


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("code", blocks("python"), ids=NAMES)
def test_the_example_is_short(code: str) -> None:
    assert len(code.strip().splitlines()) <= 15
