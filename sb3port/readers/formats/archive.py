"""The zip that `BaseAlgorithm.save` writes (`stable_baselines3/common/save_util.py`), or what was in it.

Its members: `data`, a JSON object whose values are plain or base64 pickles; `policy.pth` and
`policy.optimizer.pth`, torch archives; `_stable_baselines3_version` (since 0.9); `system_info.txt` (since
1.3).
"""

import base64
import binascii
import hashlib
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from io import BytesIO
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import SourceFile
from sb3port.errors import NotPortable
from sb3port.files.untrusted import measured, open_untrusted, parse_json, read_untrusted
from sb3port.readers.formats.audit import refuse_dangerous
from sb3port.readers.formats.pickles import Pickle, names_in, read_again
from sb3port.readers.formats.zips import open_zip, read_member

REQUIRED = ("data", "policy.pth")
_READ = ("data", "_stable_baselines3_version", "system_info.txt")
_SB2 = ("parameters", "parameter_list")
_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Archive:
    """The raw contents of an SB3 zip, nothing decoded yet.

    Args:
        name: The file's name, for messages.
        files: What was read, by role: "checkpoint" for the zip, or for `data` of one that was unzipped, whose
            other members have their own names.
        data: The JSON object of the member `data`.
        members: The other members that SB3 reads, by name.
        tensors_in: Under which key `policy.pth` has the tensors, where a policy was saved without its model.
    """

    name: str
    files: dict[str, SourceFile]
    data: dict[str, Any]
    members: dict[str, bytes]
    tensors_in: str | None = None
    _pickles: dict[str, Pickle] = field(default_factory=dict, repr=False)

    def text(self, member: str) -> str | None:
        """Give a member as text, None where the zip has no such member."""
        raw = self.members.get(member)
        return None if raw is None else raw.decode("utf-8", errors="replace").strip()

    def is_pickled(self, key: str) -> bool:
        """Whether `data[key]` is a pickle, rather than plain JSON."""
        return isinstance(self.data.get(key), dict) and ":serialized:" in self.data[key]

    def pickle(self, key: str) -> Pickle:
        """Read the pickle of `data[key]` symbolically.

        Raises:
            NotPortable: It is not base64, or not a pickle.
        """
        if key not in self._pickles:
            self._pickles[key] = read_again(self.pickled(key), self.where(key))
        return self._pickles[key]

    def pickled(self, key: str) -> bytes:
        """Give the pickle of `data[key]` as it is.

        Raises:
            NotPortable: It is not base64.
        """
        try:
            return base64.b64decode(self.data[key][":serialized:"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise NotPortable(f"{self.where(key)} is not base64 ({error})") from error

    def where(self, key: str) -> str:
        """Name a setting in messages."""
        return f"{self.name}: data[{key!r}]"

    def value(self, key: str, default: Any = None) -> Any:
        """Give `data[key]`: plain JSON as it is, a pickle as what it would build, or the default."""
        if key not in self.data:
            return default
        return self.pickle(key).value if self.is_pickled(key) else self.data[key]


def read_archive(path: Path, required: Collection[str] = REQUIRED) -> Archive:
    """Read an SB3 zip into memory.

    Args:
        path: The zip.
        required: The members that it must have.

    Raises:
        NotPortable: It is not a zip that SB3's `save` wrote, or it is damaged.
    """
    where = path.name
    with open_untrusted(path, where) as file:
        refuse_pointer(file.read(len(_LFS_POINTER)), where)
        file.seek(0)
        checkpoint = SourceFile(where, *measured(file, where))
        with open_zip(file, where) as archive:
            names = archive.namelist()
            _audit_before_layout(archive, names, where, required)
            _refuse_others(names, where, required)
            members = {name: read_member(archive, name, where) for name in names if _is_read(name)}
    return Archive(where, {"checkpoint": checkpoint}, _data(members, where), members)


def read_unzipped(paths: Mapping[str, Path], name: str) -> Archive:
    """Read the members of an SB3 zip that was unzipped.

    Args:
        paths: The file of each member.
        name: What to call it in messages.

    Raises:
        NotPortable: A member is damaged.
    """
    raw = {member: read_untrusted(path, path.name) for member, path in paths.items()}
    for member, content in raw.items():
        refuse_pointer(content, paths[member].name)
    files = {member: _hashed(paths[member].name, content) for member, content in raw.items()}
    members = {member: content for member, content in raw.items() if _is_read(member)}
    return Archive(name, {"checkpoint": files.pop("data"), **files}, _data(members, name), members)


def _hashed(name: str, raw: bytes) -> SourceFile:
    return SourceFile(name, len(raw), hashlib.sha256(raw).hexdigest())


def _data(members: dict[str, bytes], where: str) -> dict[str, Any]:
    data = parse_json(members.pop("data"), f"{where}: data")
    if not isinstance(data, dict):
        raise NotPortable(f"{where} is damaged: its member data is not a JSON object")
    return data


def _is_read(member: str) -> bool:
    return member in _READ or member.endswith(".pth")


class ZipKind(Enum):
    """What a file is that may be a checkpoint."""

    SB3 = auto()
    SB2 = auto()
    POINTER = auto()
    """A Git LFS pointer in place of whatever it is."""
    POLICY = auto()
    """A file of torch's own, as `policy.save` writes one."""
    OTHER = auto()


def zip_kind(tail: bytes) -> ZipKind:
    """Tell by its last bytes what a zip is: its list of members is there. SB3's takes less than 500 bytes."""
    if tail.startswith(_LFS_POINTER):
        return ZipKind.POINTER
    try:
        with open_zip(BytesIO(tail), "it") as archive:
            names = set(archive.namelist())
    except NotPortable:
        return ZipKind.OTHER
    if names.issuperset(REQUIRED):
        return ZipKind.SB3
    if any(name.endswith("/data.pkl") for name in names):
        return ZipKind.POLICY
    return ZipKind.SB2 if names.issuperset(_SB2) else ZipKind.OTHER


def refuse_pointer(raw: bytes, where: str) -> None:
    """Refuse what git leaves in place of a large file that was not fetched.

    Raises:
        NotPortable: It is that.
    """
    if raw.startswith(_LFS_POINTER):
        raise NotPortable(
            f"{where} is a Git LFS pointer, not the file itself", "fetch the file with: git lfs pull"
        )


def _audit_before_layout(
    archive: zipfile.ZipFile, names: list[str], where: str, required: Collection[str]
) -> None:
    """Refuse what loading would run in a zip that lacks members: SB3 decodes `data` before it looks for them.

    Raises:
        Unsafe: A pickle in `data` names something dangerous.
    """
    if "data" not in names or set(required) <= set(names):
        return  # every pickle of a whole zip is read, and refused where it is read
    try:
        found = Archive(where, {}, _data({"data": read_member(archive, "data", where)}, where), {})
    except NotPortable:  # that of Stable Baselines 2 is no JSON
        return
    for key in filter(found.is_pickled, found.data):
        try:
            named = names_in(found.pickled(key), found.where(key))
        except NotPortable:  # which is no reason to look no further
            continue
        refuse_dangerous(named, found.where(key))


def _refuse_others(names: list[str], where: str, required: Collection[str]) -> None:
    """Say what a zip without SB3's members is."""
    is_sb2 = set(_SB2) <= set(names)
    if set(required) <= set(names) and not is_sb2:
        return
    if is_sb2:
        raise NotPortable(
            f"{where} was saved by Stable Baselines 2 (TensorFlow)",
            "sb3port reads Stable-Baselines3 checkpoints only; train the policy again with SB3",
        )
    missing = " and ".join(name for name in required if name not in names)
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") or "nothing"
    raise NotPortable(f"{where} is not an SB3 checkpoint: it has no {missing} (it holds {listed})")
