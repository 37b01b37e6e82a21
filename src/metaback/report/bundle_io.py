"""Folders of files that are either the old ones or the new ones, complete: written aside, then swapped by renames."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from metaback.errors import FileError

MANIFEST = "manifest.json"
SCHEMA = "metaback/bundle"
SCHEMA_VERSION = 1
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what desktops drop into folders
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS
_FORBIDDEN = frozenset('<>:"|?*\\')
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})


def write_bundle(
    folder: Path,
    files: Mapping[str, bytes | str],
    *,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
    keep: Sequence[Path] = (),
) -> tuple[str, ...]:
    """Write files and their manifest as one folder, and return the names in it.

    Everything is written into a temporary folder beside `folder`, brought to the disk and swapped in: when anything
    fails or is interrupted, the previous folder is untouched and nothing temporary stays. Linux and macOS swap in one
    step, so that a kill leaves the old folder or the new one, and hidden folders of its own beside it; elsewhere a kill
    between two renames leaves the old folder under a waiting name, from which the next call puts it back.

    files: relative names with "/" -> content (text is written as UTF-8). provenance: goes into manifest.json.
    force: write also into a folder that holds files of others; those stay unless a new file has their name.
    keep: files that must survive (the input); a folder that holds one of them is never touched. Raises `FileError`.
    """
    checked = {_checked(name): _encoded(content) for name, content in files.items()}
    _refuse_clashes(checked)
    checked[MANIFEST] = _encoded(_manifest_text(checked, provenance))
    target = Path(os.path.realpath(folder))
    try:
        _recovered(target)
    except OSError as error:
        raise FileError(f"cannot write '{folder}': {error.strerror or error}; the folder is as it was") from error
    _refuse_target(target, folder, force=force, keep=keep)
    try:
        with _parents(target), _beside(target) as (fresh, old):
            _fill(fresh, checked)
            _carry(target, fresh)
            _swap(target, fresh, old)
    except OSError as error:
        raise FileError(f"cannot write '{folder}': {error.strerror or error}; the folder is as it was") from error
    return tuple(sorted(checked))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder that metaback wrote, None for any other."""
    try:
        found: object = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    manifest = cast("dict[str, Any]", found)
    if manifest.get("schema") != SCHEMA or not isinstance(manifest.get("files"), list):
        return None
    return manifest if all(isinstance(entry, dict) for entry in manifest["files"]) else None


@dataclass(frozen=True, slots=True)
class State:
    """How the files of a bundle stand against its manifest: the names that it lists, and those that are not as it says.

    changed: their bytes are others; missing: listed and not there; extra: there and not listed.
    """

    listed: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def bundle_state(folder: Path) -> State:
    """Hold the files of a bundle against its manifest.

    Raises `FileError` for a folder without a manifest of metaback, and for one whose manifest names a file elsewhere.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise FileError(f"'{folder}' has no {MANIFEST} of metaback; name the folder of a report, e.g. report/")
    digests = _listed(manifest)
    del digests[MANIFEST]
    for name in digests:
        _checked(name)
    different = [name for name, digest in digests.items() if _digest_of(folder / name) != digest]
    missing = tuple(sorted(name for name in different if not (folder / name).is_file()))
    return State(
        listed=tuple(sorted(digests)),
        changed=tuple(sorted(set(different).difference(missing))),
        missing=missing,
        extra=tuple(_strangers(folder, frozenset({*digests, MANIFEST}))),
    )


def _manifest_text(files: Mapping[str, bytes], provenance: Mapping[str, Any] | None) -> str:
    entries = [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    ]
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "provenance": dict(provenance) if provenance is not None else None,
        "files": entries,
    }
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _encoded(content: bytes | str) -> bytes:
    return content.encode("utf-8", "replace") if isinstance(content, str) else content


def _checked(name: str) -> str:
    """Return a name that stays inside the folder on every system, or refuse it."""
    parts = name.split("/")
    bad = (
        not name
        or any(_bad_part(part) for part in parts)
        or PurePosixPath(name).is_absolute()
        or name.casefold() == MANIFEST
        or len(name) > 200
    )
    if bad:
        raise FileError(f"{name!r} cannot be the name of a file in a report; use plain names inside the folder")
    return name


def _bad_part(part: str) -> bool:
    return (
        not part
        or part != part.strip(" ")
        or part.endswith(".")  # also "." and ".."
        or part.partition(".")[0].casefold() in _DEVICES
        or any(letter in _FORBIDDEN or not letter.isprintable() for letter in part)
    )


def _refuse_clashes(files: Mapping[str, bytes]) -> None:
    """Refuse names that differ by case only, and a file where another name needs a folder."""
    seen: dict[str, str] = {}
    for name in files:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise FileError(f"{name!r} and {other!r} are one file on some systems; rename one")
    for folded, name in seen.items():
        for folder in PurePosixPath(folded).parents:
            if str(folder) in seen:
                raise FileError(f"{seen[str(folder)]!r} cannot be a file and a folder ({name!r})")


def _refuse_target(target: Path, shown: Path, *, force: bool, keep: Sequence[Path]) -> None:
    """Refuse to replace what is not ours to replace."""
    here = Path(os.path.realpath("."))
    if target in {here, *here.parents} or target == Path(os.path.realpath(Path.home())):
        raise FileError(f"'{shown}' holds the working folder or is your home; name a new folder, e.g. report/")
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise FileError(f"'{shown}' is a file; name a folder")
    inside = next((path for path in keep if target in Path(os.path.realpath(path)).parents), None)
    if inside is not None:
        raise FileError(f"'{shown}' holds the input '{inside.name}' and cannot be replaced; name another folder")
    if (target / ".git").exists():
        raise FileError(f"'{shown}' is a repository and cannot be replaced; name a folder inside it")
    if force:
        return
    strangers = _strangers(target, frozenset(_listed(read_manifest(target))))
    if strangers:
        names = ", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else "")
        raise FileError(
            f"'{shown}' holds files that metaback did not write ({names}); name another folder, or use force "
            "(--force) to put the report among them"
        )


def _listed(manifest: dict[str, Any] | None) -> dict[str, str]:
    """Return the files that a manifest vouches for with their hashes, itself among them; none without a manifest."""
    if manifest is None:
        return {}
    return {**{str(entry.get("name")): str(entry.get("sha256")) for entry in manifest["files"]}, MANIFEST: ""}


def _strangers(folder: Path, ours: frozenset[str]) -> list[str]:
    """Name the files (and links) of a folder that are not ours; what desktops leave behind does not count."""
    paths = [
        Path(root) / name
        for root, folders, found in os.walk(folder)
        for name in (*found, *(part for part in folders if (Path(root) / part).is_symlink()))
    ]
    names = (path.relative_to(folder).as_posix() for path in paths if path.name not in LITTER)
    return sorted(name for name in names if name not in ours)


def _digest_of(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


@contextmanager
def _parents(target: Path) -> Generator[None]:
    """Make the folders above the target, and take away those that were made when the writing fails."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _beside(target: Path) -> Generator[tuple[Path, Path]]:
    """Give the names of two temporary folders beside the target; whatever happens, neither stays.

    The first is for the new files, the second is where the old ones wait during the swap. What stands on the disk, not
    what was last done, decides: an interrupt may come between any two steps.
    """
    token = secrets.token_hex(6)
    fresh, old = (target.with_name(f".{target.name}.{token}.{kind}") for kind in ("new", "old"))
    try:
        yield fresh, old
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for folder in (fresh, old):
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a new folder and bring them to the disk."""
    folder.mkdir()
    made = {folder}
    for name, content in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made |= {parent for parent in path.parents if folder in parent.parents}
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for part in made:
        _sync_folder(part)


def _carry(target: Path, fresh: Path) -> None:
    """Take the files of others over into the new folder, as links where the disk can, unless their name is taken."""
    for name in _strangers(target, frozenset(_listed(read_manifest(target)))):
        path = fresh / name
        if os.path.lexists(path):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(target / name, path, follow_symlinks=False)
        except OSError:
            shutil.copy2(target / name, path, follow_symlinks=False)


def _swap(target: Path, fresh: Path, old: Path) -> None:
    """Put the new folder in the place of the old one: in one step where the system can, else in two renames."""
    if not (target.exists() and _exchanged(fresh, target)):
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    _sync_folder(target.parent)


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two folders in one step of the system, so that even a kill leaves one of them whole under each name.

    False where the system or the disk cannot do that; nothing has changed then.
    """
    try:
        library = ctypes.CDLL(None, use_errno=True)
        names = os.fsencode(first), os.fsencode(second)
        if sys.platform == "darwin":
            return library.renamex_np(*names, _EXCHANGE) == 0
        return library.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0
    except (OSError, AttributeError, TypeError, ValueError):
        return False


def _recovered(target: Path) -> None:
    """Put the old folder back where a kill between two renames left it under its waiting name."""
    if os.path.lexists(target) or not target.parent.is_dir():
        return
    waiting = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{12}}\.old")
    left = [path for path in target.parent.iterdir() if waiting.fullmatch(path.name)]
    if left:
        max(left, key=lambda path: path.stat().st_mtime).rename(target)


def _sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, where the system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
