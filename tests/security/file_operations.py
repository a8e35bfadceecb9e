"""Jobs in forked processes, and what they do to files: counted, cut off before any of it, or made to fail.

Hooks cannot be removed, so they are only ever set in a process that is forked for one job.
"""

import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sb3port.errors import Sb3portError
from sb3port.files import renaming

Job: TypeAlias = Callable[[], Any]
Before: TypeAlias = Callable[[int, str, str], None]
Tree: TypeAlias = Mapping[str, bytes | str | None]

_EVENTS = frozenset(
    {
        *(
            "os.mkdir",
            "os.rmdir",
            "os.remove",
            "os.rename",
            "os.symlink",
            "os.link",
            "os.chmod",
            "os.truncate",
        ),
    }
)
CREATING = frozenset({"open", "os.mkdir", "os.symlink"})
"""Operations that need room on the disk."""
_BUG = 99
_MEMORY = Path("/dev/shm")


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Give a folder in memory, where there is such a thing: there `fsync` costs nothing."""
    folder = Path(tempfile.mkdtemp(prefix="sb3port-kills-", dir=_MEMORY if _MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Ended:
    """How a job ended: its exit code, negative for a signal, and what it said."""

    code: int
    message: str


class Child:
    """A job in a fork of this process; its errors become the exit codes of the command line."""

    def __init__(self, job: Job, prepare: Job = lambda: None) -> None:
        self._read, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._read)
            code, message = _run(job, prepare)
            os.write(write, message.encode("utf-8", "replace")[:60_000])
            os._exit(code)
        os.close(write)

    def wait(self) -> Ended:
        """Wait for its end."""
        with os.fdopen(self._read, "rb") as file:
            message = file.read().decode()
        return Ended(os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1]), message)


def in_child(job: Job, prepare: Job = lambda: None) -> Ended:
    """Run a job in a fork of this process to its end."""
    return Child(job, prepare).wait()


def _run(job: Job, prepare: Job) -> tuple[int, str]:
    try:
        prepare()
        return 0, str(job())
    except Sb3portError as error:
        return error.exit_code, error.message
    except OSError as error:  # as `main` of the command line does
        return 2, f"{error.filename}: {error.strerror}"
    except BaseException as error:
        return _BUG, repr(error)


def watch(folder: Path, before: Before) -> None:
    """From now on, call `before` with the number, name and path of every change of files in a folder."""
    count = 0

    def note(event: str, path: object) -> None:
        nonlocal count
        count += 1
        before(count, event, os.fsdecode(path) if isinstance(path, str | bytes) else str(path))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if (event == "open" and _writes(args) and _is_in(args[0], folder)) or (
            event in _EVENTS and (_is_in(args[0], folder) or _is_relative(event, args))
        ):
            note(event, args[0])

    _watch_others(note)
    sys.addaudithook(hook)


def _watch_others(note: Callable[[str, object], None]) -> None:
    """Note what has no audit event: `fsync`, and the renames that the standard library does not have."""
    fsync, call = os.fsync, renaming._call

    def noted_fsync(descriptor: int) -> None:
        note("fsync", Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    def noted_call(source: Path, dest: Path, linux: int, macos: int) -> bool:
        note("exchange" if linux == renaming._EXCHANGE else "rename", dest)
        return call(source, dest, linux, macos)

    os.fsync = noted_fsync
    renaming._call = noted_call


def _writes(args: tuple[Any, ...]) -> bool:
    return isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR))


def _is_in(path: object, folder: Path) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(f"{folder}{os.sep}")


def _is_relative(event: str, args: tuple[Any, ...]) -> bool:
    """Whether it is within `shutil.rmtree`, which gives names relative to a descriptor."""
    return event in ("os.remove", "os.rmdir") and args[-1] != -1


def operations(job: Job, folder: Path) -> list[str]:
    """List the changes of files that a job makes in a folder, without hindering it."""
    seen: list[str] = []
    ended = in_child(
        lambda: (job(), "\n".join(seen))[1],
        lambda: watch(folder, lambda _, event, path: seen.append(f"{event} {path}")),
    )
    assert ended.code == 0, ended.message
    return ended.message.splitlines()


def killed(job: Job, folder: Path, at: int) -> Ended:
    """Run a job that is killed before the change of a number, counted from 1."""

    def before(number: int, _event: str, _path: str) -> None:
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return in_child(job, lambda: watch(folder, before))


def disk_full(job: Job, folder: Path, at: int) -> Ended:
    """Run a job that finds no room for a file, folder or link, from the change of a number on."""

    def before(number: int, event: str, path: str) -> None:
        if number >= at and event in CREATING:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    return in_child(job, lambda: watch(folder, before))


def tree(folder: Path) -> Tree:
    """Give all that is in a folder: content of files, targets of links, None for folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def points(count: int, each: int = 30, between: int = 15) -> list[int]:
    """Choose at which of many operations to cut: all of the first and last ones, and some between."""
    if count <= 2 * each + between:
        return list(range(1, count + 1))
    step = (count - 2 * each) / between
    middle = [each + 1 + int(step * index) for index in range(between)]
    return [*range(1, each + 1), *middle, *range(count - each + 1, count + 1)]


class PowerLoss:
    """A simple disk: what was not flushed is lost, of files their content and of folders their names.

    `install` it in a child; then every name that a rename gave is checked.
    """

    def __init__(self) -> None:
        self.lost: list[str] = []
        self._flushed: dict[int, bytes | list[str]] = {}
        self._named: dict[int, str] = {}

    def install(self) -> None:
        """Listen for flushes and renames from now on."""
        fsync, call, replace = os.fsync, renaming._call, os.replace

        def noted_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self._flush(Path(f"/proc/self/fd/{descriptor}").resolve())

        def noted_call(source: Path, dest: Path, linux: int, macos: int) -> bool:
            self._check(source)
            done = call(source, dest, linux, macos)
            self._named[dest.parent.stat().st_ino] = str(dest)
            return done

        def noted_replace(source: Any, dest: Any, **more: Any) -> None:
            self._check(Path(source))
            replace(source, dest, **more)
            self._named[Path(dest).parent.stat().st_ino] = str(dest)

        os.fsync, os.replace = noted_fsync, noted_replace
        renaming._call = noted_call

    def left(self) -> str:
        """List what could be lost once the job is done, a line each."""
        return "\n".join([*self.lost, *(f"the name {name}" for name in self._named.values())])

    def _flush(self, path: Path) -> None:
        number = path.stat().st_ino
        self._flushed[number] = _content(path)
        self._named.pop(number, None)

    def _check(self, source: Path) -> None:
        """Note what would be lost of a file or folder that is given its name."""
        for path in [source, *source.rglob("*")]:
            if not path.is_symlink() and self._flushed.get(path.stat().st_ino) != _content(path):
                self.lost.append(f"{'names in' if path.is_dir() else 'content of'} {path}")


def _content(path: Path) -> bytes | list[str]:
    return sorted(os.listdir(path)) if path.is_dir() else path.read_bytes()  # noqa: PTH208 (names)
