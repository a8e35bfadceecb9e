"""Zip archives from strangers: every way in which one can be broken becomes one clear sentence."""

import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from sb3port.errors import NotPortable, Unsafe
from sb3port.files.budget import Cost, spend

try:
    import lzma
except ImportError:  # a Python that was built without
    lzma = None  # type: ignore[assignment]

# The list of members is read before anything is known of them. torch writes a hundred bytes for each.
_MAX_DIRECTORY = 1024**2
# Python takes as long for each as JSON does for ten values.
_VALUES_PER_MEMBER = 10

_UNICODE_PATH = 0x7075  # neither SB3 nor torch writes this field of Info-ZIP's
_ZIP64_RECORDS = 56 + 20  # that lie between the list of members and the end

# Of a member's own header: signature, flags, and how long its name and its extra data are.
_LOCAL_HEADER = struct.Struct("<4s2xH18xHH")
_HARMLESS_FLAGS = 0x0808  # a size that is told after the content, too; a name in UTF-8

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
    *((lzma.LZMAError,) if lzma is not None else ()),
)


def open_zip(file: BinaryIO, where: str) -> zipfile.ZipFile:
    """Open a zip archive for reading.

    Raises:
        NotPortable: It is not a zip archive, or a truncated one, or has more members than any honest one.
        Unsafe: Its members' names show that it was made to deceive.
    """
    members = _Members(file)
    try:
        archive = zipfile.ZipFile(members)
    except _DAMAGES as error:
        raise NotPortable(f"{where} is not a whole zip archive ({error})", "download it again") from error
    members.longest_read = sys.maxsize
    spend(Cost.VALUES, _VALUES_PER_MEMBER * len(archive.filelist), where)
    _refuse_deceptive(archive.namelist(), where)
    if any(_UNICODE_PATH in _fields(info.extra) for info in archive.infolist()):
        raise Unsafe(f"{where} is refused: a member of it has two names, and tools read one or the other")
    return archive


def _fields(extra: bytes) -> Iterator[int]:
    """Give the ids of the fields in a member's extra data, as `zipfile` goes through them."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        yield kind
        extra = extra[4 + length :]


def read_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """Read one member whole, and check its CRC.

    Raises:
        NotPortable: It is absent, damaged, encrypted, or would unpack to far more than it is.
    """
    try:
        info = archive.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotPortable(f"{where}: {name} is packed in a way that neither SB3 nor torch reads safely")
        spend(Cost.MEMORY, info.file_size, f"{where}: {name}")
        plain = _plain_content(archive, info)
        return archive.read(info) if plain is None else plain
    except KeyError as error:
        raise NotPortable(f"{where} has no {name}, so it is damaged or not what it should be") from error
    except _DAMAGES as error:
        raise NotPortable(
            f"{where} is damaged: {name} cannot be read ({error})", "download it again"
        ) from error


def _plain_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | None:
    """Read what is stored as it is, as nearly all members are, in a quarter of the time that `zipfile` takes.

    Gives None for whatever is not just as it should be; `zipfile` then reads it, or says what is wrong.
    """
    file = archive.fp
    if file is None or info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ~_HARMLESS_FLAGS:
        return None
    file.seek(info.header_offset)
    head = file.read(_LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size:
        return None
    signature, flags, name_length, extra_length = _LOCAL_HEADER.unpack(head)
    names = file.read(name_length + extra_length)[:name_length]
    begin = info.header_offset + len(head) + name_length + extra_length
    end = getattr(info, "_end_offset", None)  # where the next member begins, in newer Pythons
    if end is not None and begin + info.compress_size > end:
        return None
    name = info.orig_filename
    same_name = flags == info.flag_bits and name.isascii() and names == name.encode("ascii")
    if signature != b"PK\3\4" or not same_name or info.compress_size != info.file_size:
        return None
    content = file.read(info.file_size)
    whole = len(content) == info.file_size and zlib.crc32(content) == info.CRC
    return content if whole else None


def member_head(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Give the first bytes of a member, without a check.

    Raises:
        NotPortable: It is damaged or encrypted.
    """
    try:
        with archive.open(name) as member:
            return member.read(size)
    except (KeyError, *_DAMAGES) as error:
        raise NotPortable(f"{name[:200]} cannot be read ({error})", "download it again") from error


def has_prefix(file: BinaryIO) -> bool:
    """Whether a zip begins later than its file, so that Python and torch may read different members."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined] # the only reader of it that there is
    if not end:
        return False
    signature, size, offset, place = (end[index] for index in (0, 5, 6, 9))
    records = _ZIP64_RECORDS if signature == b"PK\x06\x06" else 0
    return bool(place != size + offset + records)


class _Members:
    """A file of which nothing longer than an honest list of members is read at once, until that is known."""

    longest_read = _MAX_DIRECTORY

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > self.longest_read:
            raise zipfile.BadZipFile("its list of members is longer than that of any checkpoint")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _refuse_deceptive(names: list[str], where: str) -> None:
    """Refuse names that other tools would read otherwise, or unpack outside of their folder."""
    if len(set(names)) < len(names):
        raise Unsafe(f"{where} is refused: it has two members of one name, which SB3 never writes")
    outside = [name for name in names if name.startswith("/") or ".." in name.split("/")]
    if outside:
        raise Unsafe(f"{where} is refused: its member {outside[0][:200]!r} lies outside of the archive")
