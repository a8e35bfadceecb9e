"""Checkpoints of strangers, read by a process with limits: a wall behind the one that nothing is unpickled.

The process hands a checkpoint back as JSON and safetensors. What it says is checked as if it lied.
"""

import codecs
import errno
import json
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.contents import Contents, Refusal
from sb3port.checkpoint.plain_form import NotPlain, from_plain, to_plain
from sb3port.commands.handed_back import Reading, check_contents, check_handed_back
from sb3port.errors import (
    MalformedPickle,
    NotPortable,
    Sb3portError,
    SourceUnreachable,
    Unsafe,
    UsageError,
)
from sb3port.files.budget import budget, factor
from sb3port.files.kept_process import KeptProcess, can_keep
from sb3port.files.limited_process import Ended, Limits, Why, can_limit, run_limited
from sb3port.files.texts.characters import one_line
from sb3port.files.untrusted import handed
from sb3port.readers.formats.remembering import remembering
from sb3port.readers.meaning.contents import read_contents
from sb3port.readers.meaning.sb3 import read_checkpoint

_WHOLE, _ERROR, _OS_ERROR = b"c", b"e", b"o"
_GIB, _MB = 1 << 30, 1_000_000
_LONGEST = 20_000
_MOST_READ = 500
"""After how many models a process that is kept is replaced, whatever it may have gathered."""
# What a process gets told that opens what it may not, writes where it has no room, or starts another.
_DENIED = (errno.EACCES, errno.EPERM, errno.EFBIG, errno.EMFILE, errno.EROFS, errno.EAGAIN)
# Text in zips and pickles, whose codecs Python imports when they are first used.
_CODECS = ("ascii", "latin-1", "cp437", "utf-8-sig", "utf-16", "utf-32", "raw-unicode-escape")
_ERRORS: dict[str, type[Sb3portError]] = {
    kind.__name__: kind for kind in (NotPortable, MalformedPickle, Unsafe, UsageError, SourceUnreachable)
}
_HINT = "if you trust the file, read it with --no-sandbox"

Sandbox: TypeAlias = bool | None
T = TypeVar("T", Checkpoint, Contents)


@dataclass(frozen=True)
class _Work(Generic[T]):
    """What the process does.

    Args:
        read: Given the arguments of `read_checkpoint`.
        kind: What it gives.
        check: Raises NotPlain if that is not of the source that was read.
    """

    read: Callable[..., T]
    kind: type[T]
    check: Callable[[T, Reading], None]


def read_guarded(reading: Reading, sandbox: Sandbox, limits: Limits | None = None) -> Checkpoint:
    """Read a checkpoint as `read_checkpoint` does, in a process with limits or in this one.

    Args:
        reading: What to read, and how.
        sandbox: Whether to use a process with limits; None for files of the Hub, where that is possible.
        limits: What it may use; by default as much as files of that size need, and more.

    Raises:
        Unsafe: The process did what no reading does, or what it handed back is no checkpoint of that source.
        NotPortable: It needed more than its limits, or crashed.
        UsageError: There are no such processes on this system.
        Sb3portError: As `read_checkpoint`.
    """
    work = _Work(read_checkpoint, Checkpoint, check_handed_back)
    return _guarded(reading, work, sandbox, limits)


def read_contents_guarded(reading: Reading, sandbox: Sandbox) -> Contents:
    """Read what a checkpoint's files say as `read_contents` does, in a process with limits or in this one.

    Raises:
        Sb3portError: As `read_guarded`; a file of which only a part can be read is no error.
    """
    return _guarded(reading, _Work(read_contents, Contents, check_contents), sandbox, None)


def error_of(refusal: Refusal) -> Sb3portError:
    """Give the error that a refusal was."""
    return _ERRORS.get(refusal.kind, NotPortable)(refusal.message, refusal.hint)


def _guarded(reading: Reading, work: _Work[T], sandbox: Sandbox, limits: Limits | None) -> T:
    if not _is_wanted(reading, sandbox):
        return work.read(*reading.arguments)
    limits = limits or limits_for(reading.paths)
    _prepare()
    try:
        answer = _answer(reading, work, limits)
    except Ended as ended:
        raise _as_error(ended, reading, limits) from None
    try:
        return _take(answer, reading, work)
    except Unsafe:
        _readers.end()  # whatever it was that was refused may have taken it over
        raise


def _answer(reading: Reading, work: _Work[T], limits: Limits) -> bytes:
    """Give what a process says that reads: one for this alone, or one that is kept."""
    readers = _keeping.get() if reading.source.kind == "hub" and work.kind is Checkpoint else None
    if readers is not None and can_keep(reading.paths):
        return readers.read(reading, limits)
    return run_limited(lambda: _read(reading, work), reading.paths, limits)


@contextmanager
def kept_readers() -> Iterator[None]:
    """Let in this block, and from one to the next, a process read all models of one owner on the Hub.

    Whoever takes over a process by one model could lie about those that it reads after: so these are its own,
    about which it can lie in any case. Those of the next owner, and local ones, are read by another.
    """
    token = _keeping.set(_readers)
    try:
        yield
    finally:
        _keeping.reset(token)


def seconds_of_readers() -> float:
    """Give how many seconds the process has computed that is kept."""
    return _readers.seconds


class _Readers:
    """The process that is kept, and whose models it reads."""

    def __init__(self) -> None:
        self._process: KeptProcess | None = None
        self._owner = ""

    @property
    def seconds(self) -> float:
        return self._process.seconds if self._process is not None else 0.0

    def read(self, reading: Reading, limits: Limits) -> bytes:
        owner = reading.source.location.partition("/")[0]
        if self._process is None or owner != self._owner or self._process.done >= _MOST_READ:
            self.end()
            self._process, self._owner = KeptProcess(_read_handed), owner
        message = pickle.dumps((reading, [str(path) for path in reading.paths], factor()))
        try:
            return self._process.run(message, reading.paths, limits)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Let another process read what comes next."""
        if self._process is not None:
            self._process.close()
            self._process = None


_readers = _Readers()
_keeping: ContextVar[_Readers | None] = ContextVar("keeping", default=None)


def _read_handed(message: bytes, files: Sequence[int]) -> Iterable[bytes]:
    """Read what this process is asked to read by the one that it works for."""
    reading, paths, allowed = pickle.loads(message)  # ours: nobody else has the other end
    opened = {path: file for path, file in zip(paths, files, strict=False) if file >= 0}
    with handed(opened), budget(allowed), remembering():
        return _read(reading, _Work(read_checkpoint, Checkpoint, check_handed_back))


def _is_wanted(reading: Reading, sandbox: Sandbox) -> bool:
    if sandbox is None:
        return can_limit() and reading.source.kind == "hub"
    if sandbox and not can_limit():
        raise UsageError(f"--sandbox is for Linux, and this is {sys.platform}", "leave it out")
    return sandbox


def limits_for(paths: Iterable[Path]) -> Limits:
    """Give what reading some files may use."""
    size, more = sum(path.stat().st_size for path in paths if path.is_file()), factor()
    cpu = int(more * (30 + size // (20 * _MB)))
    memory, answer = int(more * (_GIB + 8 * size)), int(more * (_GIB // 4 + 4 * size))
    return Limits(memory=memory, cpu=cpu, seconds=60 + 4 * cpu, answer=answer)


def _prepare() -> None:
    for name in _CODECS:
        codecs.lookup(name)


def _read(reading: Reading, work: _Work[T]) -> Iterable[bytes]:
    """Read, within the limits, and give what happened: a letter for it, and the rest."""
    try:
        form, arrays = to_plain(work.read(*reading.arguments))
    except Sb3portError as error:
        kind = next(k.__name__ for k in type(error).__mro__ if k.__name__ in (*_ERRORS, "Sb3portError"))
        return (_ERROR, json.dumps([kind, error.message, error.hint]).encode())
    except OSError as error:
        return (_OS_ERROR, json.dumps([error.errno or 0, str(error.strerror), str(error.filename)]).encode())
    tensors = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    return (_WHOLE, len(form).to_bytes(8, "little"), form, tensors)


def _take(answer: bytes, reading: Reading, work: _Work[T]) -> T:
    """Take an answer apart, which may be anything.

    Raises:
        Sb3portError: It is an error; or it is no answer, which is Unsafe.
    """
    kind, content = answer[:1], answer[1:]
    try:
        if kind == _WHOLE:
            length = int.from_bytes(content[:8], "little")
            form, tensors = content[8 : 8 + length], content[8 + length :]
            read = from_plain(form, load(tensors), work.kind)
            work.check(read, reading)
            return read
        error = _error(content, reading) if kind == _ERROR else _os_error(content, reading)
    except (NotPlain, SafetensorError, ValueError, TypeError, LookupError, RecursionError) as lie:
        why = one_line(str(lie))[:500]
        raise Unsafe(f"what reading {reading.name} handed back is not a checkpoint of it: {why}") from None
    raise error


def _error(content: bytes, reading: Reading) -> Sb3portError:
    kind, message, hint = _texts(content)
    if message is None or kind not in _ERRORS:
        raise NotPlain(f"an error of the kind {kind} in reading {reading.name}")
    return _ERRORS[kind](message, hint)


def _texts(content: bytes) -> list[str | None]:
    """Read three texts, the last of which may be None."""
    if len(content) > 6 * _LONGEST:
        raise NotPlain(f"an error has {len(content):,} bytes")
    texts = json.loads(content)
    if not isinstance(texts, list) or not all(isinstance(text, str | None) for text in texts):
        raise NotPlain("an error is no text")
    kind, message, hint = texts
    return [kind, message, hint]


def _os_error(content: bytes, reading: Reading) -> Exception:
    """Tell a file that cannot be read, which is nobody's fault, from one that is none of its business."""
    number, reason, filename = json.loads(content[: 6 * _LONGEST])
    if not isinstance(number, int) or not isinstance(reason, str) or not isinstance(filename, str):
        raise NotPlain("an error is no text")
    ours = filename in map(str, reading.paths)
    if number in _DENIED and not ours:
        what = one_line(reason if filename == "None" else f"{filename}: {reason}")[:500]
        return Unsafe(f"reading {reading.name} tried what no reading does, and was stopped: {what}")
    return OSError(number, reason, filename) if ours else RuntimeError(one_line(f"{reason}: {filename}"))


def _as_error(ended: Ended, reading: Reading, limits: Limits) -> Exception:
    """Say why a process ended, in a sentence."""
    name, detail = reading.name, ended.detail
    match ended.why:
        case Why.FAILED:
            lines = "\n".join(map(one_line, detail.splitlines()))
            return RuntimeError(f"reading {name} failed in the process that did it:\n{lines}")
        case Why.FORBIDDEN:
            return Unsafe(f"reading {name} tried to leave its process, and was stopped ({detail})")
        case Why.CRASHED:
            return NotPortable(f"the process that read {name} crashed ({detail})")
    needed = {
        Why.MEMORY: f"memory than reading it is allowed ({limits.memory / _GIB:.1f} GiB)",
        Why.CPU: f"CPU time than reading it is allowed ({limits.cpu} s)",
        Why.TIME: f"time than reading it is allowed ({limits.seconds:g} s)",
        Why.ANSWER: f"room than a checkpoint of its size is allowed ({limits.answer / _GIB:.1f} GiB)",
    }[ended.why]
    return NotPortable(f"{name} needs more {needed}", _HINT)
