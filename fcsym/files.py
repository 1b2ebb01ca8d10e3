"""Writing files so that a reader never finds half of one, nor half of a set.

Every file of a set is complete beside its place, under a hidden name, and the old one has a second name, before a
journal is renamed into the folder that they have in common: from then on the set is written. What is killed before
that has changed nothing; what is killed after it is finished by the next write in one of these folders, which also
removes what else was left. A set of one file needs no journal.

    .NAME.TOKEN.tmp       what NAME will be              .TOKEN.journal    the set is to be finished
    .NAME.TOKEN.old       what NAME was                  .TOKEN.back       it is to be taken back

While it writes, a process holds a lock on every folder that it writes to. Others wait; and what is found there by one
that has the lock belongs to nobody who lives.
"""

from __future__ import annotations

import glob
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fcsym.errors import ArgumentError, shown

__all__ = [
    "file_name",
    "held",
    "made_folder",
    "refuse_place",
    "when_written",
    "write_bytes",
    "write_files",
    "write_text",
]

_STALE = 3600.0  # seconds, where it cannot be told whether somebody still writes
_PATIENCE = 60.0  # seconds to wait for others
_TOKEN = "fcsym[0-9a-f]{12}"
_HIDDEN = re.compile(rf"\.(?P<name>.+)\.(?P<token>{_TOKEN})\.(tmp|old)", re.DOTALL)
_JOURNAL = re.compile(rf"\.(?P<token>{_TOKEN})\.(?P<kind>journal|back)")

when_written: list[Callable[[], object]] = []
"""What is called each time a set of files is in its place, also where an interruption comes right after the last."""


def file_name(path: object) -> Path:
    """What a caller gave as the name of a file; ArgumentError for anything that can be none."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise ArgumentError(f"The name of a file is {shown(path)!r}: give it as text.")
    text = os.fspath(path)
    if not text.isprintable():
        raise ArgumentError(f"The name of a file is {shown(text, 60)!r}: leave out characters that cannot be printed.")
    return Path(text)


_OF_FILES = frozenset(
    {".c", ".csv", ".html", ".json", ".md", ".npz", ".pdf", ".png", ".py", ".svg", ".tex", ".toml", ".txt", ".v"}
)


def made_folder(path: object, above: bool = True) -> Path:
    """A folder for results, made where it is not there; ArgumentError where it cannot be.

    `above`: whether those above it are made, too; it is refused where they are not there, otherwise.
    What is called as a file is, and is not there, is refused: who writes `-o report.html` waits for a file.
    """
    where = file_name(path)
    if where.suffix.lower() in _OF_FILES and not where.is_dir():
        raise ArgumentError(
            f"{shown(where, 60)} is named as a file is, and several are written into a folder: give a folder, such as "
            f"{shown(where.with_suffix(''), 60)}."
        )
    try:
        if not (above or where.parent.is_dir()):
            raise ArgumentError(f"The folder {shown(where.parent, 60)} is not there: make it first.")
        where.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ArgumentError(
            f"The folder {shown(where, 60)} cannot be made ({problem.strerror}): choose another."
        ) from None
    return where


def write_text(path: Path, text: str) -> Path:
    """Write a text file in UTF-8 with LF. See `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes, asked: bool = True) -> Path:
    """Write a file by renaming a finished one into place. Raises ArgumentError where that is not possible."""
    return write_files({path: data}, asked=asked)[0]


def write_files(files: Mapping[Path, bytes | str], gone: Iterable[Path] = (), asked: bool = True) -> list[Path]:
    """Write a set of files, and remove those of `gone`: all are new at the end, or all are as they were.

    `asked`: whether somebody wants them, as nobody does what a cache keeps; then `when_written` is told.
    Text is written in UTF-8 with LF. Returns the files that are written. Raises ArgumentError where that is not
    possible, or another process has not finished writing there after a minute.
    """
    for path in files:
        refuse_place(path)
    made = _Set.of(files, gone)
    with _locked(made.folders) as locked:
        for folder in made.folders:
            _recover(folder, locked)
        for path in files:
            _sweep(path)
        made.write(files, when_written if asked else ())
    return list(files)


@dataclass
class _Set:
    """Files that are written together: their places, and what they were before."""

    token: str
    folder: Path  # which all places have in common; the journal is there
    places: Sequence[Path]
    gone: frozenset[Path]  # those that are removed
    old: frozenset[Path] = frozenset()  # those that have a second name

    @classmethod
    def of(cls, files: Iterable[Path], gone: Iterable[Path]) -> _Set:
        removed = frozenset(gone) - set(files)
        places = [*files, *sorted(removed)]
        parents = [os.path.abspath(path.parent) for path in places]  # noqa: PTH100 (links stay as they are)
        return cls(_token(), Path(os.path.commonpath(parents)) if parents else Path(), places, removed)

    @property
    def folders(self) -> list[Path]:
        """Where something of it is, each once."""
        return list(dict.fromkeys([self.folder, *(path.parent for path in self.places)])) if self.places else []

    def hidden(self, path: Path, kind: str) -> Path:
        """A name beside a file that nothing else has."""
        return path.with_name(f".{path.name}.{self.token}.{kind}")

    def journal(self, kind: str = "journal") -> Path:
        return self.folder / f".{self.token}.{kind}"

    @property
    def text(self) -> str:
        """What the journal says: each place from its folder, and what is done with it."""
        rows = [[self._relative(path), path in self.gone, path in self.old] for path in self.places]
        return json.dumps({"files": rows})

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path.parent.absolute() / path.name, self.folder)

    # ------------------------------------------------------------------------------------------------- writing

    def write(self, files: Mapping[Path, bytes | str], told: Iterable[Callable[[], object]] = ()) -> None:
        """All of it, or nothing; who is `told` is so as soon as it is all of it."""
        where, begun, whole = next(iter(self.places), Path()), False, True
        try:
            for path in self.places:
                where = path
                if path in files:
                    data = files[path]
                    _write(self.hidden(path, "tmp"), data.encode("utf-8") if isinstance(data, str) else data)
            for path in self.places if len(self.places) > 1 else ():
                where = path
                if path.exists():
                    _second(path, self.hidden(path, "old"))
                    self.old |= {path}
            if len(self.places) > 1:
                draft = self.folder / f".journal.{self.token}.tmp"
                _write(draft, self.text.encode())
                draft.replace(self.journal())
            begun = True
            for path in self.places:
                where = path
                self.forward(path)
        except BaseException as problem:
            done = all(self.is_done(path) for path in self.places)  # interrupted after the last one, it is complete
            lost: list[str] = []
            if begun and not done and len(self.places) > 1:
                whole = False
                lost = self.take_back()
                whole = not lost
            if isinstance(problem, OSError):
                more = "".join(f"; what it was is in {name}" for name in lost)
                raise ArgumentError(
                    f"{where} cannot be written ({problem.strerror}): choose another place{more}."
                ) from None
            raise
        finally:
            if begun and all(self.is_done(path) for path in self.places):
                for hear in told:
                    hear()
            if whole:
                self.clear()

    def is_done(self, path: Path) -> bool:
        return not (path if path in self.gone else self.hidden(path, "tmp")).exists()

    def forward(self, path: Path) -> None:
        """One file, in its place."""
        if path in self.gone:
            path.unlink(missing_ok=True)
        else:
            self.hidden(path, "tmp").replace(path)

    def finish(self) -> None:
        """All that is not yet in its place."""
        for path in self.places:
            with suppress(FileNotFoundError):
                self.forward(path)

    def take_back(self) -> list[str]:
        """The old files in their places again, none where there was none. The second names of what cannot be put back.

        A process that is killed in here has said that it takes back.
        """
        with suppress(OSError):
            self.journal().replace(self.journal("back"))
        lost = []
        for path in self.places:
            kept = self.hidden(path, "old")
            if path not in self.old:
                path.unlink(missing_ok=True)
            elif kept.exists() and not _put(kept, path):
                lost.append(str(kept))
        return lost

    def clear(self) -> None:
        """Remove the journal, and then what it is about: a set that is not all there is no longer one to finish."""
        names = (self.hidden(path, kind) for path in self.places for kind in ("tmp", "old"))
        for left in (self.journal(), self.journal("back"), self.folder / f".journal.{self.token}.tmp", *names):
            left.unlink(missing_ok=True)


def _token() -> str:
    return f"fcsym{secrets.token_hex(6)}"


def _write(path: Path, data: bytes) -> None:
    """A new file, on the disk when this returns."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _second(path: Path, name: Path) -> None:
    """A second name for a file; a copy where the file system has no such names."""
    try:
        os.link(path, name)
    except OSError:
        _write(name, path.read_bytes())
        name.chmod(path.stat().st_mode & 0o7777)


def _put(kept: Path, path: Path) -> bool:
    """A file at its old place, by whatever way there is."""
    try:
        kept.replace(path)
    except OSError:
        try:
            path.write_bytes(kept.read_bytes())
        except OSError:
            return False
    return True


def refuse_place(path: Path) -> None:
    """Raise ArgumentError where a file cannot be, before the work that would go into it."""
    try:
        if path.is_dir():
            raise ArgumentError(f"{path} is a folder: give the name of a file in it.")
        if path.is_symlink():
            raise ArgumentError(f"{path} is a link: give the file it points to.")
        if path.exists() and not path.is_file():
            raise ArgumentError(f"{path} is no regular file: choose another name.")
        if not path.parent.is_dir():
            raise ArgumentError(f"The folder {path.parent} is not there: make it first.")
        if path.exists() and not os.access(path, os.W_OK):
            raise ArgumentError(f"{path} may not be written to: choose another name.")
    except OSError as problem:  # a name too long to be asked for
        raise ArgumentError(f"{shown(path)!r} cannot be a file ({problem.strerror}): choose another name.") from None


# ---------------------------------------------------------------------------------------------- one at a time


def held(folder: int) -> bool | None:
    """Lock an open folder: whether that was possible, and nothing where there are no locks."""
    try:
        import fcntl

        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


@contextmanager
def _locked(folders: Iterable[Path]) -> Iterator[bool]:
    """Nobody else writes to these folders; whether that is sure."""
    opened: dict[tuple[int, int], tuple[int, Path]] = {}
    try:
        for folder in folders:
            with suppress(OSError):  # one that may not be read is not locked
                number = os.open(folder, os.O_RDONLY)
                about = os.fstat(number)
                if opened.setdefault((about.st_dev, about.st_ino), (number, folder))[0] != number:
                    os.close(number)
        # everybody takes them in the same order, so that no two wait for each other
        yield all([_wait(*opened[key]) for key in sorted(opened)]) and bool(opened)
    finally:
        for number, _ in opened.values():
            os.close(number)


def _wait(number: int, folder: Path) -> bool:
    began = time.monotonic()
    while (mine := held(number)) is False:
        if time.monotonic() - began > _PATIENCE:
            raise ArgumentError(f"Another process is writing to {folder}: wait for it, or choose another place.")
        time.sleep(0.01)
    return bool(mine)


# --------------------------------------------------------------------------------- what others have left behind


def _recover(folder: Path, locked: bool) -> None:
    """Finish or take back what a killed process had begun here, and remove what it has left."""
    if not locked:
        return
    try:
        names = [name for name in os.listdir(folder) if name.startswith(".")]  # noqa: PTH208
    except OSError:
        return
    left = [found for name in names if (found := _HIDDEN.fullmatch(name)) and _is_mine(folder / name)]
    above = (folder, *folder.absolute().parents)
    journals = [folder / name for name in names if _JOURNAL.fullmatch(name)]
    journals += [
        place / f".{token}.{kind}"
        for token in {found["token"] for found in left}
        for place in above
        for kind in ("journal", "back")
    ]
    for journal in dict.fromkeys(journals):
        if _is_mine(journal):
            _settle(journal)
    for found in left:
        with suppress(OSError):
            (folder / found[0]).unlink()


def _is_mine(path: Path) -> bool:
    """Whether this is a file of this user, and no link."""
    try:
        about = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and (not hasattr(os, "getuid") or about.st_uid == os.getuid())


def _settle(journal: Path) -> None:
    """What a journal says, done; one that says something else is no journal of ours, and goes."""
    found = _JOURNAL.fullmatch(journal.name)
    assert found is not None
    with suppress(OSError):
        try:
            rows = json.loads(journal.read_text(encoding="utf-8"))["files"]
            places = [(journal.parent / name, bool(gone), bool(old)) for name, gone, old in rows if _inside(name)]
        except (ValueError, TypeError, KeyError):
            journal.unlink()
            return
        made = _Set(
            found["token"], journal.parent, [path for path, _, _ in places],
            frozenset(path for path, gone, _ in places if gone), frozenset(path for path, _, old in places if old),
        )  # fmt: skip
        if found["kind"] == "journal":
            made.finish()
            made.clear()
        elif not made.take_back():
            made.clear()


def _inside(name: str) -> bool:
    """Whether a place is in the journal's folder, or below it."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _sweep(path: Path) -> None:
    """Remove what an interrupted write of the same file has left long ago, where nobody can tell whose it is."""
    for kind in ("tmp", "old"):
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.{kind}"):
            try:
                about = left.lstat()
                made = about.st_mtime if kind == "tmp" else about.st_ctime  # a second name is as old as its file
                if not left.is_symlink() and time.time() - made > _STALE:
                    left.unlink()
            except OSError:
                pass
