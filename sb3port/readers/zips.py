"""Zip archives from strangers: every way in which one can be broken becomes one clear sentence."""

import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from sb3port.errors import NotPortable

MAX_MEMBER_BYTES = 2 * 1024**3


def open_zip(file: Path | BinaryIO, where: str) -> zipfile.ZipFile:
    """Open a zip archive for reading.

    Raises:
        NotPortable: It is not a zip archive, or a truncated one.
    """
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise NotPortable(f"{where} is not a whole zip archive ({error})", "download it again") from error


def read_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """Read one member whole, and check its CRC.

    Raises:
        NotPortable: It is absent, damaged, encrypted, or declares more than `MAX_MEMBER_BYTES`.
    """
    try:
        info = archive.getinfo(name)
        if info.file_size > MAX_MEMBER_BYTES:
            raise NotPortable(f"{where}: {name} would unpack to {info.file_size} bytes, which is refused")
        return archive.read(info)
    except KeyError as error:
        raise NotPortable(f"{where} has no {name}, so it is damaged or not what it should be") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise NotPortable(
            f"{where} is damaged: {name} cannot be read ({error})", "download it again"
        ) from error
