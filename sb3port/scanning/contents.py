"""What is in a file, told by its first bytes and its name: pickles in archives in archives, YAML, JSON.

Everything that SB3, torch, rl_zoo3 or LeRobot would load by unpickling or importing is followed to its names;
what none of them loads so, such as weights and texts, is left alone.
"""

import ast
import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import BinaryIO, TypeAlias

import numpy as np

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.errors import NotPortable, Unsafe
from sb3port.files.budget import Cost, spend
from sb3port.files.untrusted import parse_json
from sb3port.readers.formats.archive import refuse_pointer
from sb3port.readers.formats.groups import Group
from sb3port.readers.formats.pickles import TORCH_MAGIC, listed_in
from sb3port.readers.formats.zips import has_prefix, member_head, open_zip, read_member
from sb3port.scanning.findings import Finding, finding
from sb3port.scanning.pickles import MAGIC, list_names
from sb3port.scanning.texts import processor_findings, serialized, yaml_names

PICKLES = re.compile(r"\.(pkl|pickle|p|pth?|ckpt|joblib|npy)(\.(gz|bz2|xz|lzma|zst|tar))?$")
YAML = (".yml", ".yaml")
_ZIP = b"PK\x03\x04"
_USTAR = slice(257, 262)
_NUMPY = b"\x93NUMPY"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"x\x9c")
_MAX_DEPTH = 6
_MAX_HEADER = 64 * 1024
HEAD = 512
"""How many of a file's first bytes tell what it is."""


class Kind(StrEnum):
    """What a file is, by its first bytes and its name."""

    ZIP = "zip"
    LEGACY = "torch file"
    ARRAY = "array"
    DATA = "SB3 data"
    PICKLE = "pickle"
    YAML = "YAML"
    PROCESSORS = "LeRobot processors"
    TAR = "tar"
    SEEMING = "pickle by its first bytes"
    OTHER = "other"


def kind_of(head: bytes, name: str) -> Kind:
    """Tell what a file is.

    Args:
        head: Its first `HEAD` bytes.
        name: What it is called.
    """
    name = PurePosixPath(name).name.lower()
    tests = (
        (Kind.ZIP, head.startswith(_ZIP) or name.endswith((".zip", ".npz"))),
        (Kind.LEGACY, head.startswith(TORCH_MAGIC)),
        (Kind.TAR, head[_USTAR] == b"ustar"),
        (Kind.ARRAY, head.startswith(_NUMPY)),
        (Kind.DATA, name == "data" or name.endswith("_data")),
        (Kind.PICKLE, PICKLES.search(name) is not None),
        (Kind.YAML, name.endswith(YAML)),
        (Kind.PROCESSORS, name.endswith(".json") and "processor" in name),
        (Kind.SEEMING, head.startswith(MAGIC)),
    )
    return next((kind for kind, holds in tests if holds), Kind.OTHER)


def _head(file: BinaryIO) -> bytes:
    """Give the first bytes of a file that stands at its beginning, and leave it there."""
    head = file.read(HEAD)
    file.seek(0)
    return head


def _refuse_depth(where: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise NotPortable(f"{where} lies in more than {_MAX_DEPTH} archives, one in the other")


class Contents:
    """What was found in a file and in what it holds.

    Attributes:
        kind: What the file is, in a word or two.
        findings: Every name.
        unread: Why parts of it could not be read.
        deceptive: Why it must have been made to deceive.
    """

    def __init__(self) -> None:
        self.kind = ""
        self.findings: set[Finding] = set()
        self.unread: list[str] = []
        self.deceptive: str | None = None

    def add(self, file: BinaryIO, name: str, member: str = "", depth: int = 0) -> None:
        """Look into a file.

        Args:
            file: At its beginning; it can be sought in.
            name: What it is called, of which the suffix matters.
            member: Where it lies within the whole.
            depth: In how many archives.
        """
        kind, where = kind_of(_head(file), name), member or name
        self.kind = self.kind or kind.value
        try:
            _READERS.get(kind, Contents._seeming)(self, file, where, member, depth)
        except Unsafe as error:
            self.deceptive = error.message
        except NotPortable as error:
            self.unread.append(_said(error))
        except RecursionError:
            self.unread.append(f"{where} is nested too deeply")

    def _zip(self, file: BinaryIO, where: str, member: str, depth: int) -> None:
        _refuse_depth(where, depth)
        refuse_pointer(_head(file), where)
        with open_zip(file, where) as archive:
            if has_prefix(file) and any(name.endswith("/data.pkl") for name in archive.namelist()):
                raise Unsafe(f"{where} is refused: torch and Python would read different members of it")
            if not depth:
                self.kind = _zip_kind(archive.namelist())
            for info in archive.infolist():
                if not info.is_dir():
                    self._member(archive, info.filename, f"{member}!{info.filename}".lstrip("!"), depth)

    def _member(self, archive: zipfile.ZipFile, name: str, member: str, depth: int) -> None:
        try:
            if kind_of(member_head(archive, name, HEAD), name) not in _READERS:
                return
            raw = read_member(archive, name, member)
        except NotPortable as error:
            self.unread.append(_said(error))
        else:
            self.add(io.BytesIO(raw), name, member, depth + 1)

    def _pickle(self, file: BinaryIO, where: str, member: str, _: int) -> None:
        refuse_pointer(_head(file), where)
        listed = list_names(file, where)
        self.findings.update(finding(member, "", found) for found in listed.names)
        if listed.broken:
            file.seek(0)
            packed = ", it is compressed" if _head(file).startswith(_COMPRESSED) else ""
            raise NotPortable(f"{where} is not a whole pickle: {listed.broken}{packed}")

    def _tar(self, file: BinaryIO, where: str, member: str, depth: int) -> None:
        """Read the members of a tar, whose `storages` and `tensors` were torch's first files."""
        _refuse_depth(where, depth)
        try:
            with tarfile.open(fileobj=file) as archive:
                for info in archive:
                    spend(Cost.VALUES, 10, where)
                    raw = archive.extractfile(info) if info.isreg() else None
                    if raw is not None:
                        inner = f"{member}!{info.name}".lstrip("!")
                        spend(Cost.MEMORY, info.size, inner)
                        self.add(io.BytesIO(raw.read()), info.name, inner, depth + 1)
        except (tarfile.TarError, OSError, ValueError, EOFError) as error:
            raise NotPortable(f"{where} is a damaged tar ({error})") from error

    def _seeming(self, file: BinaryIO, where: str, member: str, depth: int) -> None:
        """Read what is not called a pickle, and may be one: numbers look so, too, and break off."""
        if zipfile.is_zipfile(file):
            file.seek(0)
            self._zip(file, where, member, depth)
            return
        file.seek(0)
        is_marked = _head(file).startswith(MAGIC)
        listed = list_names(file, where)
        found = {finding(member, "", each) for each in listed.names}
        if not listed.broken or any(each.group == Group.DANGEROUS for each in found):
            self.findings |= found
        if listed.broken and is_marked and not depth:
            raise NotPortable(f"{where} begins as a pickle, and is no whole one: {listed.broken}")

    def _array(self, file: BinaryIO, where: str, member: str, _: int) -> None:
        """Read the pickle in an array of objects, which `np.load(..., allow_pickle=True)` loads."""
        head = file.read(12)
        width = 2 if head[6:7] == b"\x01" else 4
        length = int.from_bytes(head[8 : 8 + width], "little")
        file.seek(8 + width)
        header = file.read(min(length, _MAX_HEADER))
        if _is_of_numbers(header):
            return
        file.seek(8 + width + length)
        self._pickle(io.BytesIO(self._rest(file, where)), where, member, 0)

    def _rest(self, file: BinaryIO, where: str) -> bytes:
        begin = file.tell()
        size = file.seek(0, io.SEEK_END) - begin
        spend(Cost.MEMORY, size, where)
        file.seek(begin)
        return file.read()

    def _data(self, file: BinaryIO, where: str, member: str, _: int) -> None:
        """Read the JSON of SB3's settings, the pickles in which SB3 loads first of all."""
        for field, raw in serialized(parse_json(self._rest(file, where), where), where):
            names, broken = listed_in(raw, f"{where}[{field!r}]")
            self.findings.update(finding(member, field, found) for found in names)
            if broken:
                self._broken_field(raw, f"{where}[{field!r}]", (member, field), broken)

    def _broken_field(self, raw: bytes, where: str, place: tuple[str, str], broken: str) -> None:
        swept = list_names(io.BytesIO(raw), where).names
        self.findings.update(finding(*place, found) for found in swept)
        self.unread.append(f"{where} is not a whole pickle: {broken}")

    def _yaml(self, file: BinaryIO, where: str, member: str, _: int) -> None:
        self.findings.update(
            finding(member, "", found) for found in yaml_names(self._rest(file, where), where)
        )

    def _processors(self, file: BinaryIO, where: str, member: str, _: int) -> None:
        content = parse_json(self._rest(file, where), where)
        self.findings.update(processor_findings(content, member))


_Reader: TypeAlias = Callable[[Contents, BinaryIO, str, str, int], None]
_READERS: dict[Kind, _Reader] = {
    Kind.ZIP: Contents._zip,
    Kind.LEGACY: Contents._pickle,
    Kind.ARRAY: Contents._array,
    Kind.TAR: Contents._tar,
    Kind.DATA: Contents._data,
    Kind.PICKLE: Contents._pickle,
    Kind.YAML: Contents._yaml,
    Kind.PROCESSORS: Contents._processors,
    Kind.SEEMING: Contents._seeming,
}


def _said(error: NotPortable) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _is_of_numbers(header: bytes) -> bool:
    """Whether the header of an array says that it holds no objects; of one that nobody can read, it may."""
    try:
        described = ast.literal_eval(header.decode("latin1").strip())
        return not np.dtype(described["descr"]).hasobject
    except (ValueError, SyntaxError, TypeError, LookupError, MemoryError, RecursionError):
        return False


def _zip_kind(names: list[str]) -> str:
    if "data" in names:
        return "SB3 zip"
    if any(name.endswith("/data.pkl") for name in names):
        return "torch file"
    if {"parameters", "parameter_list"} <= set(names):
        return "SB2 zip"
    return "arrays" if names and all(name.endswith(".npy") for name in names) else "zip"
