"""The page in a browser without scripts and network: nothing fails, is fetched, or is wider than the screen.

Chromium is asked through its own pipe (DevTools protocol, `--remote-debugging-pipe`), so that no library and no port is
needed, and only where it is installed. By hand the same is seen with
`chromium --headless --window-size=380,2000 --screenshot=page.png file:///.../report/report.html`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from metaback.cli import main

ROOT = Path(__file__).parents[2]
BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PHONE, DESK, PAPER = 380, 1200, 680  # CSS pixels; A4 between margins of 15 mm is 680 wide
IN, OUT = 3, 4  # the descriptors that Chromium's pipe has
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the report of two comparisons with subgroups, findings and decisions."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("trials.csv", "plan.toml"):
        shutil.copy(ROOT / "data" / name, folder)
    words = ["pool", "trials.csv", "--plan", "plan.toml", "--outcome", "disability", "-q"]
    with chdir(folder), pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code
    return folder / "report" / "report.html"


class Tab:
    """One tab of a headless browser; every event that it sends is kept."""

    def __init__(self, to: Any, back: Any) -> None:
        self.to, self.back, self.number, self.session = to, back, 0, ""
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, **words: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        self.number += 1
        session = {"sessionId": self.session} if self.session else {}
        self.to.write(json.dumps({"id": self.number, "method": method, "params": words, **session}).encode() + b"\0")
        self.to.flush()
        while (found := self._next()).get("id") != self.number:
            self.events.append(found)
        assert "error" not in found, found
        return found["result"]

    def wait(self, method: str) -> None:
        """Wait for an event."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        letters = bytearray()
        while (letter := self.back.read(1)) != b"\0":
            assert letter, "the browser has gone"
            letters += letter
        return json.loads(letters)

    def told(self, method: str) -> list[dict[str, Any]]:
        """Give the events of a kind."""
        return [event["params"] for event in self.events if event.get("method") == method]


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    """Open a tab without scripts and without a network."""
    if BROWSER is None:
        pytest.skip("no Chromium here")
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    high = [os.dup(fd) for fd in (in_read, out_write)]

    def where_chromium_looks() -> None:
        os.dup2(high[0], IN)
        os.dup2(high[1], OUT)

    words = [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "about:blank"]
    with subprocess.Popen(
        words,
        preexec_fn=where_chromium_looks,  # noqa: PLW1509 - no threads here
        pass_fds=(IN, OUT),
        stderr=subprocess.DEVNULL,
    ) as browser:
        for fd in high:
            os.close(fd)
        os.close(in_read)
        os.close(out_write)
        try:
            with os.fdopen(in_write, "wb") as to, os.fdopen(out_read, "rb") as back:
                yield opened(Tab(to, back))
        finally:
            browser.terminate()


def opened(tab: Tab) -> Tab:
    target = tab.ask("Target.createTarget", url="about:blank")["targetId"]
    tab.session = tab.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Log", "Network", "Runtime"):
        tab.ask(f"{domain}.enable")
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    tab.ask("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    return tab


def width(tab: Tab, screen: int, media: str = "screen") -> float:
    """Return how wide the page is on a screen or paper of some width."""
    tab.ask("Emulation.setEmulatedMedia", media=media)
    tab.ask("Emulation.setDeviceMetricsOverride", width=screen, height=900, deviceScaleFactor=1, mobile=False)
    return float(tab.ask("Page.getLayoutMetrics")["cssContentSize"]["width"])


def test_the_page_fits_and_fetches_nothing(tab: Tab, page: Path) -> None:
    tab.ask("Page.navigate", url=page.as_uri())
    tab.wait("Page.loadEventFired")
    assert width(tab, PHONE) <= PHONE
    assert width(tab, DESK) <= DESK
    assert width(tab, PAPER, "print") <= PAPER
    assert tab.told("Log.entryAdded") == []
    assert tab.told("Runtime.exceptionThrown") == []
    assert tab.told("Runtime.consoleAPICalled") == []
    assert tab.told("Network.loadingFailed") == []
    fetched = {event["request"]["url"].partition(":")[0] for event in tab.told("Network.requestWillBeSent")}
    assert fetched <= {"file", "data"}
    assert tab.told("Network.requestWillBeSent")[0]["request"]["url"] == page.as_uri()


def test_a_page_that_is_too_wide_or_runs_a_script_is_seen(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "wide.html").write_text(
        "<!DOCTYPE html><title>x</title><div style='width:900px'>x</div><img src='nowhere.png'>", encoding="utf-8"
    )
    tab.ask("Page.navigate", url=(tmp_path / "wide.html").as_uri())
    tab.wait("Page.loadEventFired")
    assert width(tab, PHONE) > PHONE
    assert tab.told("Network.loadingFailed") != []


class Outline(HTMLParser):
    """Headings, heads of tables and what a page says about itself."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.levels: list[int] = []
        self.heads: list[str | None] = []
        self.about: dict[str, str | None] = {}
        self.images: list[dict[str, str | None]] = []
        self.captions = self.tables = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.levels.append(int(tag[1]))
        if tag == "th":
            self.heads.append(found.get("scope"))
        if tag == "html":
            self.about["lang"] = found.get("lang")
        if tag == "meta":
            self.about[found.get("http-equiv") or found.get("name") or "charset"] = found.get("content")
        if tag == "svg":
            self.images.append(found)
        self.tables += tag == "table"
        self.captions += tag == "caption"


def test_its_outline_can_be_read_aloud(page: Path) -> None:
    found = Outline(page.read_text(encoding="utf-8"))
    assert found.levels[0] == 1
    assert found.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(found.levels, found.levels[1:], strict=False))
    assert set(found.heads) <= {"col", "row", "colgroup", "rowgroup"}
    assert found.tables == found.captions > 3
    assert found.about["lang"] == "en"
    policy = found.about["Content-Security-Policy"] or ""
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert all(one.get("aria-label") or one.get("aria-labelledby") for one in found.images if one.get("role") == "img")
    assert any(one.get("role") == "img" for one in found.images)
