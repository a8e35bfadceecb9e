"""What is listened for while strangers' files are read: code, files, processes, time and memory."""

import ast
import codecs
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 5.0
MAX_GROWTH_KB = 300 * 1024
_ADDRESS_SPACE = 2 * 1024**3
_NEVER = frozenset(
    {
        *("exec", "pickle.find_class", "ctypes.dlopen", "code.__new__"),
        *("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen", "os.kill"),
        *("socket.connect", "socket.getaddrinfo", "socket.bind"),
    }
)
_CHANGES = frozenset(
    {
        *(
            "os.remove",
            "os.rename",
            "os.symlink",
            "os.link",
            "os.mkdir",
            "os.rmdir",
            "os.truncate",
            "os.chmod",
        ),
        *("shutil.rmtree", "shutil.move", "os.chown", "os.utime", "os.setxattr"),
    }
)


class Hang(BaseException):
    """Reading took too long."""


class Guard:
    """Notes what happens while it watches; there is one per process, for hooks cannot be removed.

    Args:
        scratch: The only folder in which files may be read and written.
    """

    def __init__(self, scratch: Path) -> None:
        self.seen: list[str] = []
        self._watches = self._may_write = False
        self.move_to(scratch)
        codecs.lookup("raw_unicode_escape")  # which pickletools needs, for text of protocol 0
        sys.addaudithook(self._hook)
        signal.signal(signal.SIGPROF, self._on_alarm)

    def move_to(self, scratch: Path) -> None:
        """Allow another folder instead."""
        self.scratch = f"{scratch}{os.sep}"
        own = str(Path(__file__).parents[2] / "sb3port")
        self._allowed = (self.scratch, sys.prefix, sys.base_prefix, own)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what the block does; what it writes into the scratch folder is noted, too."""
        self.seen.clear()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._watches, self._may_write = True, False
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            yield
        finally:
            self._watches = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if grown > MAX_GROWTH_KB:
            self.seen.append(f"memory: more than {MAX_GROWTH_KB // 1024} MiB")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within `watching`, let the block write into the scratch folder."""
        self._may_write = True
        try:
            yield
        finally:
            self._may_write = False

    def limit_memory(self) -> None:
        """Let what asks for gigabytes fail, rather than the machine."""
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + _ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        if self._watches:
            raise Hang

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._watches:
            return
        if event == "open":
            self._note_open(args)
        elif event == "import":
            self._note(event, args[0], not _is_own(args[0]))
        elif event == "compile":
            self._note(event, args[1], sys._getframe(1).f_code is not ast.parse.__code__)
        elif event in _CHANGES:
            self._note(event, args[0], not (self._may_write and self._is_scratch(args)))
        elif event in _NEVER:
            self._note(event, getattr(args[0], "co_filename", args[:2]) if args else "", True)

    def _note_open(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = (*args, 0)[:3]
        writes = (isinstance(mode, str) and not set(mode).isdisjoint("wax+")) or (
            isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        )
        if writes:
            self._note("written", path, not (self._may_write and str(path).startswith(self.scratch)))
        elif not isinstance(path, int):
            self._note("opened", path, not str(path).startswith(self._allowed))

    def _is_scratch(self, args: tuple[Any, ...]) -> bool:
        # Within `shutil.rmtree` names are relative to the descriptor of a folder.
        return str(args[0]).startswith(self.scratch) or (isinstance(args[-1], int) and args[-1] != -1)

    def _note(self, event: str, detail: Any, wrong: bool) -> None:
        if wrong:
            self.seen.append(f"{event}: {str(detail)[:100]!r}")


def _is_own(module: str) -> bool:
    """Whether it is a part of sb3port that was not needed before."""
    return module.partition(".")[0] == "sb3port"
