"""Folders and files that appear whole or not at all.

What is written grows in a staging folder beside its destination, in which a file says what process made it.
Only such folders are ever removed: by their process, or, where that was killed, by the next command that
writes there.
"""

import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sb3port.errors import UsageError
from sb3port.files.renaming import exchange, flush, flush_folder, rename_new

_MARK = "-sb3port-"
_OWNER = "sb3port-staging.json"
_CONTENT = "content"
_REPLACED = "replaced"
_POINTS_TO = "points to "


@dataclass(frozen=True)
class Kind:
    """A kind of folder: its name in a sentence, and the file by which it is known."""

    name: str
    mark: str


PORT = Kind("a port", "sb3port.json")
DATASET = Kind("a LeRobotDataset", "meta/info.json")
EXPORT = Kind("an export", "export.json")
CHECKPOINT = Kind("a checkpoint of a training", "training_state/training.json")
_KINDS = {kind.mark: kind for kind in (PORT, DATASET, EXPORT, CHECKPOINT)}
_A_FILE = "a file"
_NOTHING = ""


@contextmanager
def staged_folder(dest: Path, force: bool = False, kind: Kind = PORT) -> Iterator[Path]:
    """Give a temporary folder beside `dest` that takes its place when the block ends without an error.

    Args:
        dest: Where the folder shall be; its parents are made.
        force: Replace what lies there, if it is of the same kind.
        kind: What the folder will be.

    Raises:
        UsageError: `dest` exists and `force` is false, or the place cannot be written.
    """
    refuse_existing(dest, force, kind)
    with _staging(dest, kind.mark) as staging:
        folder = staging / _CONTENT
        folder.mkdir()
        yield folder
        flush(folder)
        if (replaced := _take_place(folder, dest, force)) is not None:
            try:
                _refuse_kind(replaced, kind, dest)
            except UsageError:  # something else appeared there while we worked
                exchange(replaced, dest)
                raise


@contextmanager
def staged_file(dest: Path, force: bool = False) -> Iterator[Path]:
    """Give the path of a temporary file beside `dest`, which takes its place as a staged folder does.

    Raises:
        UsageError: `dest` exists and `force` is false, or is no file, or the place cannot be written.
    """
    refuse_existing_file(dest, force)
    with _staging(dest, _A_FILE) as staging:
        # Under its own name: what writes it may go by the ending.
        file = staging / dest.name
        yield file
        flush(file)
        replaced = _take_place(file, dest, force)
        if replaced is not None and not _is_file(replaced):
            exchange(replaced, dest)
            refuse_existing_file(dest, force)


def put_link(link: Path, target: str) -> None:
    """Let a symbolic link point to `target`, in one step where it pointed elsewhere before.

    Where there are no links, as on Windows for who may not make them, it is a file that names the target.

    Args:
        link: The link.
        target: The name of something beside it.

    Raises:
        UsageError: What is there is no link, or the place cannot be written.
    """
    if os.path.lexists(link) and link_target(link) is None:
        raise UsageError(f"{link} is not a link that sb3port made", "move it away")
    with _staging(link, _NOTHING) as staging:
        made = staging / link.name
        try:
            made.symlink_to(target)
        except (OSError, NotImplementedError):
            made.write_text(f"{_POINTS_TO}{target}\n", encoding="utf-8", newline="\n")
        made.replace(link)
        flush_names(link.parent)


def link_target(link: Path) -> str | None:
    """Give the name that a link of `put_link` points to, None where there is no such link."""
    if link.is_symlink():
        return str(link.readlink())
    try:
        if not link.is_file() or link.stat().st_size > 1000:
            return None
        mark, _, name = link.read_text(encoding="utf-8").rstrip("\n").partition(_POINTS_TO)
    except (OSError, ValueError):
        return None
    # A file that somebody else wrote may name any place; ours name what lies beside them.
    return name if not mark and name not in ("", "..") and Path(name).name == name else None


def refuse_existing(dest: Path, force: bool, kind: Kind = PORT) -> None:
    """Refuse a destination that exists, unless it is of that kind or an empty folder, and may be replaced.

    Raises:
        UsageError: It exists and `force` is false, or it is something that must not be replaced.
    """
    if _is_taken(dest, force):
        _refuse_kind(dest, kind, dest)


def refuse_existing_file(dest: Path, force: bool) -> None:
    """Refuse a destination that exists, unless it is a file that may be replaced.

    Raises:
        UsageError: It exists and `force` is false, or it is no file.
    """
    if _is_taken(dest, force) and not _is_file(dest):
        raise UsageError(f"{dest} is not a file, so --force does not replace it", "choose another place")


def replace_folder(made: Path, dest: Path, kind: Kind) -> None:
    """Put a folder in the place of another of its kind, which is where it was then, to be removed.

    Raises:
        UsageError: What is there is not of that kind; it stays.
        OSError: One is absent, or they cannot be renamed.
    """
    _refuse_kind(dest, kind, dest)
    exchange(made, dest)
    try:
        _refuse_kind(made, kind, dest)
    except UsageError:  # something else appeared there meanwhile
        exchange(made, dest)
        raise


def _refuse_kind(folder: Path, kind: Kind, dest: Path) -> None:
    if not _is_of_kind(folder, kind):
        raise UsageError(f"{dest} is not {kind.name}, so --force does not replace it", "choose another place")


def _is_of_kind(folder: Path, kind: Kind) -> bool:
    """Whether it is an empty folder, or one of a kind that we write."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return not any(folder.iterdir()) or (folder / kind.mark).is_file()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_taken(dest: Path, force: bool) -> bool:
    if not os.path.lexists(dest):
        return False
    if not force:
        raise UsageError(f"{dest} exists", "choose another place, or replace it with --force")
    return True


def _take_place(made: Path, dest: Path, force: bool) -> Path | None:
    """Give what was made its name, and say where that is which had it before, None where nothing had.

    What lies there is the user's, until it is known to be something that may be replaced.
    """
    replaced = None
    try:
        rename_new(made, dest)
    except FileExistsError:
        if not force:
            raise UsageError(
                f"{dest} exists: it appeared while sb3port worked", "choose another place"
            ) from None
        replaced = made.rename(made.with_name(_REPLACED))
        exchange(replaced, dest)
    flush_names(dest.parent)
    return replaced


def flush_names(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    with suppress(OSError):
        flush_folder(folder)


@contextmanager
def _staging(dest: Path, replaces: str) -> Iterator[Path]:
    """Give a staging folder beside `dest`, whose parents are made; what is left of it is removed.

    Args:
        dest: Where something will be.
        replaces: Of what it may take the place: the mark of a kind, `_A_FILE` or `_NOTHING`.
    """
    made = [parent for parent in dest.parents if not parent.exists()]
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        for parent in made:
            flush_names(parent.parent)
        sweep(dest.parent)
        staging = _own_folder(dest, replaces)
    except OSError as error:
        _remove_empty(made)
        raise UsageError(f"{dest} cannot be written: {error.filename}: {error.strerror}") from error
    staging.chmod(0o755)
    try:
        yield staging
    finally:
        _remove(staging)
        _remove_empty(made)


def _own_folder(dest: Path, replaces: str) -> Path:
    """Make a staging folder, and note in it whose it is, and what may be removed of what it replaces.

    Its name says so, too, for whoever is killed between the two.
    """
    while True:
        staging = Path(tempfile.mkdtemp(prefix=f".{dest.name}{_MARK}{os.getpid()}-", dir=dest.parent))
        try:
            (staging / _OWNER).write_text(
                json.dumps(_this_process() | {"replaces": replaces}), encoding="utf-8"
            )
        except FileNotFoundError:  # a process that does not see this one took it for left over
            continue
        except BaseException:
            _remove(staging)
            raise
        return staging


def sweep(folder: Path) -> None:
    """Remove the staging folders in a folder whose processes were killed; nothing else.

    Where others may write, too, they can make a folder that looks like one, and so those of others stay.
    """
    for left_over in folder.glob(f".*{_MARK}*"):
        if left_over.is_symlink() or not left_over.is_dir() or not _is_this_user_s(left_over):
            continue
        if _is_abandoned(left_over / _OWNER):
            _remove(left_over)
        elif _is_unborn(left_over):
            _remove_note(left_over)


def _remove(staging: Path) -> None:
    """Remove a staging folder, so far as that is possible; until the end it says whose it was.

    What it took the place of stays where it is not surely what may be replaced: nobody has looked yet.
    """
    with suppress(OSError):
        if _may_be_replaced(staging / _REPLACED, _noted(staging / _OWNER).get("replaces")):
            # Under another name: when it is half removed, nobody could tell any more what it was.
            (staging / _REPLACED).rename(staging / _CONTENT)
        for path in [path for path in staging.iterdir() if path.name not in (_OWNER, _REPLACED)]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        _remove_note(staging)


def _may_be_replaced(path: Path, replaces: object) -> bool:
    """Whether something is what the note says that its place may be taken; without a note nothing is."""
    if replaces == _A_FILE:
        return _is_file(path)
    kind = _KINDS.get(str(replaces))
    return kind is not None and _is_of_kind(path, kind)


def _remove_note(staging: Path) -> None:
    """Remove a staging folder in which nothing is but the note whose it is."""
    with suppress(OSError):
        if {path.name for path in staging.iterdir()} <= {_OWNER}:
            (staging / _OWNER).unlink(missing_ok=True)
            staging.rmdir()


def _is_unborn(folder: Path) -> bool:
    """Whether it is empty, but for an empty note at most, and the process that its name tells is dead."""
    pid = re.search(rf"{_MARK}(\d{{1,9}})-\w+$", folder.name)
    if pid is None or _started(int(pid[1])):
        return False
    with suppress(OSError):
        return all(path.name == _OWNER and path.lstat().st_size == 0 for path in folder.iterdir())
    return False


def _is_this_user_s(folder: Path) -> bool:
    return os.name == "nt" or folder.lstat().st_uid == os.getuid()


def _is_abandoned(owner: Path) -> bool:
    """Whether a process of this machine made it, and is dead."""
    noted = _noted(owner)
    try:
        host, pid, started = noted["host"], int(noted["pid"]), noted["started"]
    except (ValueError, TypeError, LookupError):
        return False
    return bool(host == _host() and started != _started(pid))


def _noted(owner: Path) -> dict[str, Any]:
    """Read the note of a staging folder; what is none says nothing."""
    try:
        if owner.is_symlink() or owner.stat().st_size > 1000:
            return {}
        noted = json.loads(owner.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _this_process() -> dict[str, int | str]:
    pid = os.getpid()
    return {"host": _host(), "pid": pid, "started": _started(pid)}


def _host() -> str:
    """Name what process ids are of: containers of one name can share folders, and do not see each other's."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 (it is no path)
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """Say when a process was started, empty where there is none.

    A process id is given anew after its process died; with the boot and the clock tick it is no other's.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The second field is the program's name, in brackets, and may hold anything.
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        return f"{boot}/{ticks.split()[19]}"
    except FileNotFoundError:
        return "alive" if not Path("/proc/self/stat").exists() and _is_alive(pid) else ""


def _is_alive(pid: int) -> bool:
    """Ask the system for a process, where there is no /proc."""
    if os.name == "nt":
        return True  # not known: then nothing is removed
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders that hold nothing, innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
