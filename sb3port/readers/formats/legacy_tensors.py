"""What `torch.save` wrote before torch 1.6: a row of pickles and raw storages instead of a zip.

Layout (`torch/serialization.py`, `_legacy_save`): a magic number, the protocol version 1001, a dictionary on
the system, the object itself and the list of its storages' keys, a pickle each; then, for every key in that
order, the number of elements as a 64-bit integer and the elements as raw bytes.
"""

import io
import struct
from collections.abc import Mapping
from typing import Any, Literal

from sb3port.errors import NotPortable
from sb3port.readers.formats.pickles import Pickle, read_pickle
from sb3port.readers.formats.records import Global, PersistentId, describe

_PROTOCOL = 1001
_COUNT = struct.Struct("<q")


class LegacyStorages:
    """The storages at the end of a legacy file, by key."""

    byteorder: Literal["<", ">"] = "<"  # other machines are refused by their system information

    def __init__(self, storages: Mapping[str, bytes], where: str) -> None:
        self.storages, self.where = storages, where

    def read(self, key: str) -> bytes:
        """Give the bytes of a storage.

        Raises:
            NotPortable: The file has none of this key.
        """
        if key not in self.storages:
            raise NotPortable(f"{self.where} has no storage {key[:40]!r}, so it is damaged")
        return self.storages[key]


def read_legacy(data: bytes, where: str, item_sizes: Mapping[str, int]) -> tuple[Pickle, LegacyStorages]:
    """Read the parts of a legacy file.

    Args:
        data: The file's bytes, beginning with `TORCH_MAGIC`.
        where: What to call it in an error message.
        item_sizes: Bytes per element, by the name of a storage class.

    Returns:
        The pickle of the object, and its storages.

    Raises:
        NotPortable: It is truncated or of another form.
    """
    stream = io.BytesIO(data)
    pickles = [read_pickle(stream, where) for _ in range(5)]
    _, protocol, system, content, keys = pickles
    if protocol.value != _PROTOCOL or not isinstance(system.value, dict):
        raise NotPortable(f"{where} is not of torch's legacy format {_PROTOCOL}")
    if system.value.get("little_endian") is not True:
        raise NotPortable(f"{where} was saved on a big-endian machine, which is not read")
    kinds = _kinds(content.references, where)
    return _all_imports(pickles, content), LegacyStorages(
        _storages(stream, _checked_keys(keys.value, kinds, where), kinds, item_sizes, where), where
    )


def _all_imports(pickles: list[Pickle], content: Pickle) -> Pickle:
    """Give the object's pickle with the globals that any of the pickles names."""
    imports = frozenset[Global]().union(*(pickled.imports for pickled in pickles))
    return Pickle(content.value, imports, content.references)


def _kinds(references: tuple[PersistentId, ...], where: str) -> dict[str, str]:
    """Tell the class of every storage from `("storage", class, key, location, count, view)`."""
    kinds: dict[str, str] = {}
    for reference in references:
        parts = reference.value
        if not isinstance(parts, tuple) or len(parts) != 6 or parts[5] is not None:
            raise NotPortable(f"{where} holds a tensor without a storage of its own")
        kind, key = parts[1], parts[2]
        if not isinstance(kind, Global) or not isinstance(key, str):
            raise NotPortable(f"{where} holds a tensor of {describe(kind)}, which is not a storage")
        if kinds.setdefault(key, kind.name) != kind.name:
            raise NotPortable(f"{where} is damaged: storage {key[:40]} is of two types")
    return kinds


def _checked_keys(keys: Any, kinds: Mapping[str, str], where: str) -> list[str]:
    names = keys if isinstance(keys, list) else []
    if not all(isinstance(key, str) for key in names) or sorted(names) != sorted(kinds):
        raise NotPortable(f"{where} is damaged: its storages are not those of its tensors")
    return names


def _storages(
    stream: io.BytesIO, keys: list[str], kinds: Mapping[str, str], item_sizes: Mapping[str, int], where: str
) -> dict[str, bytes]:
    storages = {}
    for key in keys:
        if kinds[key] not in item_sizes:
            raise NotPortable(f"{where} holds tensors of torch.{kinds[key][:200]}, which are not read")
        head = stream.read(_COUNT.size)
        count = _COUNT.unpack(head)[0] if len(head) == _COUNT.size else -1
        expected = count * item_sizes[kinds[key]]
        # Reading no more than there is: a lying size costs nothing.
        storages[key] = stream.read(expected) if 0 <= expected <= stream.getbuffer().nbytes else b""
        if count < 0 or len(storages[key]) != expected:
            raise NotPortable(f"{where} is truncated: storage {key[:40]} is not whole", "download it again")
    return storages
