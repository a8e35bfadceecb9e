"""What `policy.save` writes (`stable_baselines3/common/policies.py`): a policy without its model.

One file of torch's with the layers' `state_dict` and, in `data`, what the policy was built with: spaces and
keyword arguments. Which algorithm trained it and how is not in it. imitation saves BC's policies so.
"""

import hashlib
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import SourceFile
from sb3port.errors import NotPortable
from sb3port.files.untrusted import open_untrusted, read_untrusted
from sb3port.readers.formats.archive import Archive, refuse_pointer
from sb3port.readers.formats.pickles import TORCH_MAGIC
from sb3port.readers.formats.records import Record, describe
from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.formats.zips import open_zip

TENSORS, _BUILT_WITH = "state_dict", "data"
_OWN = ("observation_space", "action_space", "use_sde")
# SB3 puts a placeholder there.
_LEFT_OUT = ("lr_schedule",)
_OFF_POLICY = ("actor.", "critic.", "q_net.", "quantile_net.")
_INSTEAD = 'save the model with model.save("model.zip"), or the policy with policy.save("policy.zip")'


def is_of_torch(path: Path) -> bool:
    """Whether a file is torch's own, of either format, rather than a zip that SB3's `save` wrote."""
    with open_untrusted(path, path.name) as file:
        head = file.read(len(TORCH_MAGIC))
        if head == TORCH_MAGIC:
            return True
        if not head.startswith(b"PK"):
            return False
        file.seek(0)
        with open_zip(file, path.name) as archive:
            names = archive.namelist()
    return "data" not in names and any(name.endswith("/data.pkl") for name in names)


def read_saved_policy(path: Path) -> Archive:
    """Read a policy that was saved alone as if a zip held it: with the keyword arguments, and nothing else.

    Raises:
        NotPortable: The file is damaged, or torch saved something else in it; the message says what.
        Unsafe: It would run something dangerous.
    """
    where = path.name
    raw = read_untrusted(path, where)
    refuse_pointer(raw, where)
    value, _ = read_torch(raw, where, only=TENSORS)
    built_with = _built_with(value, where)
    kwargs = {
        name: given
        for name, given in built_with.items()
        if name not in (*_OWN, *_LEFT_OUT) and given is not None
    }
    data = {name: built_with[name] for name in _OWN if name in built_with}
    file = SourceFile(where, len(raw), hashlib.sha256(raw).hexdigest())
    data["policy_kwargs"] = kwargs
    return Archive(where, {"checkpoint": file}, data, {"policy.pth": raw}, tensors_in=TENSORS)


def _built_with(value: Any, where: str) -> dict[str, Any]:
    """Give what the policy was built with.

    Raises:
        NotPortable: It is not there, because something else was saved.
    """
    if isinstance(value, Record) and not value.calls("collections.OrderedDict"):
        raise NotPortable(f"{where} holds a whole {describe(value)[:200]}, as torch.save writes it", _INSTEAD)
    tensors = value.get(TENSORS) if isinstance(value, dict) else None
    built_with = value.get(_BUILT_WITH) if isinstance(value, dict) else None
    if not isinstance(tensors, dict) or not isinstance(built_with, dict):
        raise NotPortable(
            f"{where} holds tensors alone: neither the spaces nor the activation can be told from them",
            f"name the zip or the folder that it is from; or {_INSTEAD}",
        )
    if any(isinstance(name, str) and name.startswith(_OFF_POLICY) for name in tensors):
        raise NotPortable(
            f"{where} is a policy alone of an off-policy algorithm (SAC, TD3, ...), and does not say which",
            "name the zip of its model, as model.save writes it",
        )
    return {name: item for name, item in built_with.items() if isinstance(name, str)}
