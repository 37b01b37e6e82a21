"""A bundle is the old one or the new one, complete, whatever happens while it is written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from metaback.errors import FileError
from metaback.report import bundle_io
from metaback.report.bundle_io import MANIFEST, bundle_state, read_manifest, write_bundle

FILES: dict[str, bytes | str] = {"report.html": "<p>é</p>", "tables/a.csv": b"a\n1\n", "figures/deep/f.svg": "<svg/>"}
WRITERS = ("write_bundle", "_fill", "_carry", "_swap")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_files_and_manifest(tmp_path: Path) -> None:
    names = write_bundle(tmp_path / "report", FILES, provenance={"date": None})
    written = contents(tmp_path / "report")
    assert set(written) == {*FILES, MANIFEST} == set(names)
    assert written["report.html"] == "<p>é</p>".encode()
    manifest = json.loads(written[MANIFEST])
    assert manifest["schema"] == "metaback/bundle"
    assert manifest["provenance"] == {"date": None}
    assert [entry["name"] for entry in manifest["files"]] == sorted(FILES)
    for entry in manifest["files"]:
        assert entry["sha256"] == hashlib.sha256(written[entry["name"]]).hexdigest()
        assert entry["bytes"] == len(written[entry["name"]])
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_same_bytes_in_any_order(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", FILES)
    write_bundle(tmp_path / "b", dict(reversed(FILES.items())))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_our_own_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "report"
    write_bundle(target, FILES)
    (target / ".DS_Store").write_bytes(b"x")
    write_bundle(target, {"new.txt": "new"})
    assert set(contents(target)) == {"new.txt", MANIFEST}
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.mkdir()
    write_bundle(target, FILES)
    assert MANIFEST in contents(target)


def test_missing_parents_are_made(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a" / "b" / "report", FILES)
    assert MANIFEST in contents(tmp_path / "a" / "b" / "report")


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"schema": "other"}', '{"schema": "metaback/bundle"}', '"x"'])
def test_a_foreign_folder_is_refused(tmp_path: Path, manifest: str | None) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "thesis.docx").write_bytes(b"years of work")
    if manifest is not None:
        (target / MANIFEST).write_text(manifest)
    before = contents(target)
    with pytest.raises(FileError, match=r"did not write \(.*thesis\.docx.*force"):
        write_bundle(target, FILES)
    assert contents(target) == before
    write_bundle(target, FILES, force=True)
    assert set(contents(target)) == {*FILES, MANIFEST, "thesis.docx"}
    assert contents(target)["thesis.docx"] == b"years of work"
    write_bundle(target, {"new.txt": "new"}, force=True)
    assert set(contents(target)) == {"new.txt", MANIFEST, "thesis.docx"}


@pytest.mark.parametrize("links", [True, False])
def test_force_keeps_what_others_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
    target = tmp_path / "report"
    write_bundle(target, FILES)
    (target / "mine" / "deep").mkdir(parents=True)
    (target / "mine" / "deep" / "a.txt").write_text("mine")
    (target / "link").symlink_to("nowhere")
    if not links:

        def fail(*_: object, **__: object) -> None:
            raise OSError(1, "no links here")

        monkeypatch.setattr(bundle_io.os, "link", fail)
    write_bundle(target, FILES, force=True)
    assert (target / "mine" / "deep" / "a.txt").read_text() == "mine"
    assert (target / "link").readlink() == Path("nowhere")
    state = bundle_state(target)
    assert (state.changed, state.missing, state.extra) == ((), (), ("link", "mine/deep/a.txt"))
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_force_replaces_a_file_of_the_same_name(tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.mkdir()
    (target / "report.html").write_text("theirs")
    write_bundle(target, FILES, force=True)
    assert "theirs" not in (target / "report.html").read_text(encoding="utf-8")


def test_a_foreign_manifest_alone_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "webapp"
    target.mkdir()
    (target / MANIFEST).write_text('{"name": "app"}')
    with pytest.raises(FileError, match=MANIFEST):
        write_bundle(target, FILES)


def test_a_file_that_was_added_to_our_folder_is_not_lost(tmp_path: Path) -> None:
    target = tmp_path / "report"
    write_bundle(target, FILES)
    (target / "tables" / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match=r"tables/notes\.txt"):
        write_bundle(target, FILES)
    assert (target / "tables" / "notes.txt").read_text() == "mine"


def test_never_replaced_even_with_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.csv").write_text("x")
    (tmp_path / "work").mkdir()
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    for target in (Path(), Path(".."), tmp_path, Path("/"), Path.home(), tmp_path / "data.csv", tmp_path / "repo"):
        with pytest.raises(FileError):
            write_bundle(target, FILES, force=True)
    assert (tmp_path / "data.csv").read_text() == "x"


def test_the_input_is_never_replaced(tmp_path: Path) -> None:
    source = tmp_path / "data" / "raw" / "trials.csv"
    source.parent.mkdir(parents=True)
    source.write_text("x")
    with pytest.raises(FileError, match=r"holds the input 'trials\.csv'"):
        write_bundle(tmp_path / "data", FILES, force=True, keep=[source])
    assert source.read_text() == "x"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_bundle(tmp_path / "link", FILES)
    assert (tmp_path / "link").is_symlink()
    assert MANIFEST in contents(tmp_path / "real")


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/../../x", "/etc/x", "a//b", "a/", "C:/x", "C:x", "a\\b", "..\\x", "a\x00b", "a\nb"),
        *(
            "nul",
            "NUL.txt",
            "a/con",
            "com1.svg",
            "x.",
            "x ",
            " x",
            "a?b",
            "a*b",
            "a:b",
            "a|b",
            'a"b',
            "<a>",
            "a\u202eb",
        ),
        *(MANIFEST, "Manifest.JSON", "x" * 300),
    ],
)
def test_names_stay_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="cannot be the name"):
        write_bundle(tmp_path / "report", {"ok.txt": "x", name: "x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [("a.txt", "A.TXT"), ("a", "a/b"), ("A/b", "a")])
def test_names_do_not_clash(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(FileError):
        write_bundle(tmp_path / "report", dict.fromkeys(names, "x"))
    assert list(tmp_path.iterdir()) == []


def interrupt_at(step: int, error: type[BaseException]) -> tuple[Callable[..., Any], list[int]]:
    """Return a tracer that raises at the given line of those that write, and the count of lines seen."""
    seen = [0]

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != bundle_io.__file__ or frame.f_code.co_name not in WRITERS:
            return None
        if event == "line":
            seen[0] += 1
            if seen[0] == step:
                raise error
        return trace

    return trace, seen


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # an interrupt just before a file is closed
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, MemoryError])
@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("exchange", [True, False])
def test_interrupted_at_any_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], *, existing: bool, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(bundle_io, "_exchanged", lambda *_: False)
    target = tmp_path / "new" / "report"
    reset(target, existing=existing)
    old = contents(tmp_path)
    step, done = 0, False
    while not done:
        step += 1
        trace, seen = interrupt_at(step, error)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            write_bundle(target, FILES, force=True)
        except (error, FileError):
            pass
        finally:
            sys.settrace(before)
        done = seen[0] < step
        now = contents(tmp_path)
        complete = {f"new/report/{name}" for name in (*FILES, MANIFEST, *(["theirs.txt"] if existing else []))}
        assert now == old or set(now) == complete, step
        assert [p.name for p in target.parent.iterdir()] == ["report"] if target.parent.exists() else not existing, step
        if set(now) == complete and not done:
            reset(target, existing=existing)
    assert set(contents(tmp_path)) == complete
    assert step > 20


def reset(target: Path, *, existing: bool) -> None:
    if target.exists():
        shutil.rmtree(target.parent)
    if existing:
        write_bundle(target, {"old.txt": "old"})
        (target / "theirs.txt").write_text("theirs")


@pytest.mark.parametrize("broken", ["fsync", "rename"])
def test_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    target = tmp_path / "report"
    write_bundle(target, {"old.txt": "old"})
    before = contents(target)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_io, "_exchanged", lambda *_: False)
    monkeypatch.setattr(*((bundle_io.os, "fsync") if broken == "fsync" else (Path, "rename")), fail)
    with pytest.raises(FileError, match="No space left on device; the folder is as it was"):
        write_bundle(target, FILES)
    monkeypatch.undo()
    assert contents(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


@pytest.mark.skipif(not sys.platform.startswith(("linux", "darwin")), reason="other systems swap by two renames")
def test_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    assert bundle_io._exchanged(tmp_path / "a", tmp_path / "b")
    assert set(contents(tmp_path)) == {"a/b", "b/a"}
    assert not bundle_io._exchanged(tmp_path / "a", tmp_path / "nowhere")


def test_a_kill_between_two_renames_is_mended_by_the_next_run(tmp_path: Path) -> None:
    target = tmp_path / "report"
    write_bundle(target, FILES)
    (target / "theirs.txt").write_text("years of work")
    target.rename(tmp_path / ".report.0123456789ab.old")
    with pytest.raises(FileError, match=r"theirs\.txt"):
        write_bundle(target, FILES)
    assert (target / "theirs.txt").read_text() == "years of work"
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_parent(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="cannot write"):
            write_bundle(tmp_path / "report", FILES)
        assert list(tmp_path.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(FileError, match="cannot write"):
        write_bundle(tmp_path / "x" / "report", FILES)


def test_changed_missing_and_added_files_are_seen(tmp_path: Path) -> None:
    target = tmp_path / "report"
    write_bundle(target, FILES)
    state = bundle_state(target)
    assert state.listed
    assert (state.changed, state.missing, state.extra) == ((), (), ())
    (target / "report.html").write_text("changed")
    (target / "tables" / "a.csv").unlink()
    (target / "b.txt").write_text("added")
    state = bundle_state(target)
    assert (state.changed, state.missing, state.extra) == (("report.html",), ("tables/a.csv",), ("b.txt",))
    assert read_manifest(tmp_path) is None
    with pytest.raises(FileError):
        bundle_state(tmp_path)
