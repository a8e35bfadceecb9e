"""What a process of Linux can forbid itself for good: files, the network, other programs.

Landlock forbids files by where they are, seccomp system calls by their number. Whatever a process forbids
itself holds until it ends, whoever runs it, and needs no rights.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH, _READ_FILE = 1, 1, 1 << 2
# How many kinds of access each version of Landlock knows: to files, to TCP, and out of the process.
_FILES, _TCP, _SCOPES = (13, 14, 15, 15, 16), (0, 0, 0, 2), (0, 0, 0, 0, 0, 2)

_DUMPABLE, _DIES_WITH_PARENT, _SECCOMP, _NO_NEW_PRIVILEGES = 4, 1, 22, 38
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _ASK_ACTION = 0x7FFF0000, 0x80000000, 2
_X32 = 0x40000000  # the numbers of x86's other calling convention begin here
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# By name, the number on x86_64 and on aarch64, which has not all of them. What only reads has no use for any.
_FORBIDDEN: dict[str, tuple[int, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "fork": (57, None),
    "vfork": (58, None),
    "clone": (56, 220),
    "clone3": (435, 435),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "prlimit64": (302, 261),
    "setrlimit": (160, 164),
    "shmget": (29, 194),
    "memfd_create": (319, 279),
    "open_by_handle_at": (304, 265),
    "creat": (85, None),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rmdir": (84, None),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
}


def missing_walls() -> tuple[str, ...]:
    """Name what this kernel does not have of "Landlock" and "seccomp"."""
    has = {"Landlock": landlock_version() > 0, "seccomp": _has_seccomp()}
    return tuple(name for name, there in has.items() if not there)


@cache
def landlock_version() -> int:
    """Give the version of Landlock, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)))


@cache
def _has_seccomp() -> bool:
    """Whether system calls can be forbidden here, which containers may not allow."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    number = {"x86_64": 317, "aarch64": 277}[platform.machine()]
    return int(_libc().syscall(number, _ASK_ACTION, 0, ctypes.byref(ctypes.c_uint32(_KILL)))) == 0


def die_with_parent(parent: int) -> None:
    """End when the process ends that started this one, which may have happened already."""
    _control(_DIES_WITH_PARENT, 9)
    if os.getppid() != parent:
        os._exit(1)


def forbid(readable: Iterable[Path]) -> None:
    """Forbid this process all files but some, which it may read, the network, and to start another.

    Raises:
        OSError: The kernel has what forbids it, and does not let it be used.
    """
    _control(_NO_NEW_PRIVILEGES, 1)
    _control(_DUMPABLE, 0)
    if landlock_version():
        _restrict_files(readable, landlock_version())
    if _has_seccomp():
        _restrict_calls(platform.machine())


def _restrict_files(readable: Iterable[Path], version: int) -> None:
    known = [(1 << bits[min(version, len(bits)) - 1]) - 1 for bits in (_FILES, _TCP, _SCOPES)]
    # Older versions know less of this structure.
    attributes = struct.pack("=QQQ", *known)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    for path in readable:
        if path.exists():
            file = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", _READ_FILE, file), 0)
            os.close(file)
    _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _restrict_calls(machine: str) -> None:
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _filter(machine))
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _control(_SECCOMP, 2, ctypes.create_string_buffer(header, len(header)))


def _filter(machine: str) -> list[tuple[int, int, int, int]]:
    """Give a program that kills the process at a forbidden call, or one of another architecture."""
    kill = (_RETURN, 0, 0, _KILL)
    column = list(_ARCHITECTURES).index(machine)
    numbers = [numbers[column] for numbers in _FORBIDDEN.values()]
    tests = [(_EQUAL, 0, 1, number) for number in numbers if number is not None]
    if machine == "x86_64":
        tests.append((_AT_LEAST, 0, 1, _X32))
    return [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        kill,
        (_LOAD, 0, 0, 0),
        *(instruction for test in tests for instruction in (test, kill)),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _control(*arguments: Any) -> None:
    """Call `prctl`, of which all arguments are long."""
    given = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    _checked(_libc().prctl(*given, *(ctypes.c_ulong(0),) * (5 - len(given))))


def _call(*arguments: Any) -> int:
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc().syscall(*given))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
