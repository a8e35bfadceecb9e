"""Zip archives from strangers: every way in which one can be broken becomes one clear sentence."""

import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sb3port.errors import NotPortable, Unsafe

MAX_MEMBER_BYTES = 2 * 1024**3
# SB3 and torch compress nothing. Weights packed by another tool shrink a little, bombs a thousandfold.
MAX_RATIO = 50
MIN_BOMB_BYTES = 16 * 1024**2

_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


def open_zip(file: Path | BinaryIO, where: str) -> zipfile.ZipFile:
    """Open a zip archive for reading.

    Raises:
        NotPortable: It is not a zip archive, or a truncated one.
        Unsafe: Its members' names show that it was made to deceive.
    """
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGES as error:
        raise NotPortable(f"{where} is not a whole zip archive ({error})", "download it again") from error
    _refuse_deceptive(archive.namelist(), where)
    return archive


def read_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """Read one member whole, and check its CRC.

    Raises:
        NotPortable: It is absent, damaged, encrypted, or would unpack to far more than it is.
    """
    try:
        info = archive.getinfo(name)
        if _is_bomb(info):
            raise NotPortable(f"{where}: {name} would unpack to {info.file_size} bytes, which is refused")
        return archive.read(info)
    except KeyError as error:
        raise NotPortable(f"{where} has no {name}, so it is damaged or not what it should be") from error
    except _DAMAGES as error:
        raise NotPortable(
            f"{where} is damaged: {name} cannot be read ({error})", "download it again"
        ) from error


def _is_bomb(info: zipfile.ZipInfo) -> bool:
    """Whether a member is too large; bzip2 and LZMA count as that, which cannot be unpacked in steps."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return True
    swells = info.file_size > max(MIN_BOMB_BYTES, MAX_RATIO * info.compress_size)
    return swells or info.file_size > MAX_MEMBER_BYTES


def _refuse_deceptive(names: list[str], where: str) -> None:
    """Refuse names that other tools would read otherwise, or unpack outside of their folder."""
    if len(set(names)) < len(names):
        raise Unsafe(f"{where} is refused: it has two members of one name, which SB3 never writes")
    outside = [name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts]
    if outside:
        raise Unsafe(f"{where} is refused: its member {outside[0][:200]!r} lies outside of the archive")
