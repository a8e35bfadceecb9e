"""The zip that `BaseAlgorithm.save` writes (`stable_baselines3/common/save_util.py`).

Its members: `data`, a JSON object whose values are plain or base64 pickles; `policy.pth` and
`policy.optimizer.pth`, torch archives; `_stable_baselines3_version` (since 0.9); `system_info.txt` (since
1.3).
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sb3port.errors import NotPortable
from sb3port.readers.pickles import MAX_OPCODES, Pickle, read_pickle
from sb3port.readers.zips import open_zip, read_member

REQUIRED = ("data", "policy.pth")
_READ = ("data", "_stable_baselines3_version", "system_info.txt")
_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Archive:
    """The raw contents of an SB3 zip, nothing decoded yet.

    Args:
        name: The file's name, for messages.
        size: Of the zip file, in bytes.
        sha256: Of the zip file, in hexadecimal.
        data: The JSON object of the member `data`.
        members: The other members that SB3 reads, by name.
    """

    name: str
    size: int
    sha256: str
    data: dict[str, Any]
    members: dict[str, bytes]
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
            where = f"{self.name}: data[{key!r}]"
            try:
                raw = base64.b64decode(self.data[key][":serialized:"], validate=True)
            except (binascii.Error, TypeError, ValueError) as error:
                raise NotPortable(f"{where} is not base64 ({error})") from error
            left = MAX_OPCODES - sum(pickled.opcodes for pickled in self._pickles.values())
            self._pickles[key] = read_pickle(raw, where, left)
        return self._pickles[key]

    def value(self, key: str, default: Any = None) -> Any:
        """Give `data[key]`: plain JSON as it is, a pickle as what it would build, or the default."""
        if key not in self.data:
            return default
        return self.pickle(key).value if self.is_pickled(key) else self.data[key]


def read_archive(path: Path) -> Archive:
    """Read an SB3 zip into memory.

    Raises:
        NotPortable: It is not a zip that SB3's `save` wrote, or it is damaged.
    """
    raw = path.read_bytes()
    _refuse_pointer(raw, path.name)
    with open_zip(path, path.name) as archive:
        names = archive.namelist()
        _refuse_others(names, path.name)
        members = {name: read_member(archive, name, path.name) for name in names if _is_read(name)}
    data = _parse(members.pop("data"), path.name)
    return Archive(path.name, len(raw), hashlib.sha256(raw).hexdigest(), data, members)


def _is_read(member: str) -> bool:
    return member in _READ or ("/" not in member and member.endswith(".pth"))


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a zip with the members of an SB3 checkpoint."""
    try:
        with open_zip(path, path.name) as archive:
            return set(REQUIRED) <= set(archive.namelist())
    except NotPortable:
        return False


def _parse(raw: bytes, where: str) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotPortable(f"{where} is damaged: its member data is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise NotPortable(f"{where} is damaged: its member data is not a JSON object")
    return data


def _refuse_pointer(raw: bytes, where: str) -> None:
    if raw.startswith(_LFS_POINTER):
        raise NotPortable(
            f"{where} is a Git LFS pointer, not the checkpoint itself", "fetch the file with: git lfs pull"
        )


def _refuse_others(names: list[str], where: str) -> None:
    """Say what a zip without SB3's members is."""
    if set(REQUIRED) <= set(names):
        return
    if "parameter_list" in names and "parameters" in names:
        raise NotPortable(
            f"{where} was saved by Stable Baselines 2 (TensorFlow)",
            "sb3port reads Stable-Baselines3 checkpoints only; train the policy again with SB3",
        )
    missing = " and ".join(name for name in REQUIRED if name not in names)
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") or "nothing"
    raise NotPortable(f"{where} is not an SB3 checkpoint: it has no {missing} (it holds {listed})")
