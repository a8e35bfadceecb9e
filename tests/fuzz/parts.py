"""Parts of sources, read in memory by the readers that are for them: many times faster than whole sources."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.meaning.extractors import Vouched
from sb3port.readers.meaning.policy_kwargs import read_policy_kwargs
from sb3port.readers.meaning.schedules import read_schedule
from sb3port.readers.meaning.spaces import read_space
from sb3port.readers.meaning.vecnormalize import read_vecnormalize
from sb3port.readers.meaning.zoo_config import read_zoo_config

from .corpus import Source
from .files import MAGIC, pack, unpack
from .pickled import lean

_WHERE = "it"
_CONFIGS = (
    b"gamma: 0.9\nlearning_rate: lin_1e-3\nnormalize: true\nn_timesteps: !!float 1e6\npolicy: 'MlpPolicy'\n",
    b"env_wrapper:\n  - gym.wrappers.TimeLimit:\n      max_episode_steps: 5\nframe_stack: 4\nclip_range: 1\n",
    b'policy_kwargs: "dict(net_arch=dict(pi=[8], vf=[8]), activation_fn=nn.ReLU)"\nn_envs: 8\nent_coef: 0\n',
    b"normalize: \"{'norm_obs': True, 'clip_obs': 5.0}\"\nnormalize_kwargs: {norm_reward: false}\nseed: 1\n",
    b"Pendulum-v1: &d\n  n_steps: 8\n  use_sde: true\nA-v1:\n  <<: *d\n  gamma: 0.5\n",
)


def _of_pickle(read: Callable[[Any], Any]) -> Callable[[bytes, Path], Any]:
    return lambda raw, _: read(read_pickle(raw, _WHERE).value)


def _statistics(raw: bytes, folder: Path) -> Any:
    path = folder / "vec_normalize.pkl"
    path.write_bytes(raw)
    return read_vecnormalize(path)


def _kwargs(value: Any) -> Any:
    return read_policy_kwargs(value, _WHERE, Vouched())


READERS: Mapping[str, Callable[[bytes, Path], Any]] = {
    "space": _of_pickle(lambda value: read_space(value, _WHERE).to_json()),
    "schedule": _of_pickle(lambda value: str(read_schedule(value, _WHERE))),
    "kwargs": _of_pickle(_kwargs),
    "torch": lambda raw, _: read_torch(raw, _WHERE),
    "config": lambda raw, _: read_zoo_config(raw, "Pendulum-v1", _WHERE),
    "statistics": _statistics,
}
"""How a part is read, given its bytes and a folder in which it may lie."""


# Attributes of a VecNormalize that hold most of its pickle, and say nothing of its statistics.
_ASIDE = ("observation_space", "action_space", "venv", "old_obs", "old_reward", "returns")
_KINDS = {
    **dict.fromkeys(("observation_space", "action_space"), "space"),
    **dict.fromkeys(("learning_rate", "lr_schedule", "clip_range", "clip_range_vf"), "schedule"),
    "policy_kwargs": "kwargs",
}


def parts_of(sources: Sequence[Source]) -> dict[str, list[bytes]]:
    """Give the honest parts of sources by their kind."""
    found: dict[str, set[bytes]] = {kind: set() for kind in READERS}
    found["config"].update(_CONFIGS)
    for source in sources:
        for name, raw in source.whole.items():
            if name.endswith(".zip"):
                _add_members(unpack(raw), found)
            else:
                found["statistics"].update((raw, lean(raw, without=_ASIDE)))
    return {kind: sorted(raws) for kind, raws in found.items()}


def _add_members(members: Mapping[str, bytes], found: Mapping[str, set[bytes]]) -> None:
    found["torch"].update((members["policy.pth"], _few_tensors(members["policy.pth"])))
    for key, value in json.loads(members["data"]).items():
        if key in _KINDS and isinstance(value, dict) and ":serialized:" in value:
            found[_KINDS[key]].add(base64.b64decode(value[":serialized:"]))


def _few_tensors(raw: bytes) -> bytes:
    """Leave most tensors out of a torch file, which is then read much faster."""
    if raw.startswith(MAGIC):
        return raw
    members = unpack(raw)
    name = next(name for name in members if name.endswith("data.pkl"))
    return pack(members | {name: lean(members[name])})
