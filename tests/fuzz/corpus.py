"""The honest files that are changed: sources of all eras, what lies beside them, and ports of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sb3port.errors import Sb3portError
from sb3port.ports.writing import write_port
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

from .files import Files, slim

REPOSITORY = Path(__file__).parents[2]
FIXTURES = REPOSITORY / "fixtures"
_MAX_ZIP = 60_000

CARD = b"""---
library_name: stable-baselines3
tags: [Pendulum-v1, deep-reinforcement-learning]
model-index:
- name: PPO
  results:
  - task: {type: reinforcement-learning, name: reinforcement-learning}
    dataset: {name: Pendulum-v1, type: Pendulum-v1}
    metrics:
    - {type: mean_reward, value: -150.02 +/- 86.39, name: mean_reward, verified: false}
---
# PPO of Pendulum-v1
"""
CONFIG = b"""!!python/object/apply:collections.OrderedDict
- - - clip_range
    - lin_0.2
  - - ent_coef
    - 0.0
  - - env_wrapper
    - - sb3_contrib.common.wrappers.TimeFeatureWrapper:
          max_steps: 100
  - - gamma
    - 0.9
  - - learning_rate
    - 0.001
  - - n_envs
    - 4
  - - n_steps
    - 1024
  - - n_timesteps
    - 100000.0
  - - normalize
    - "dict(norm_obs=True, norm_reward=False)"
  - - normalize_kwargs
    - norm_obs: true
      norm_reward: false
  - - policy
    - MlpPolicy
  - - policy_kwargs
    - "dict(activation_fn=nn.ReLU, net_arch=dict(pi=[64, 64], vf=[64, 64]))"
"""
ARGUMENTS = b"""!!python/object/apply:collections.OrderedDict
- - - algo
    - ppo
  - - env
    - Pendulum-v1
  - - env_kwargs
    - null
  - - n_timesteps
    - -1
  - - seed
    - 2773663411
"""
BESIDE: dict[str, bytes] = {
    "README.md": CARD,
    "config.yml": CONFIG,
    "args.yml": ARGUMENTS,
    "env_kwargs.yml": b"render_mode: rgb_array\ng: 9.81\n",
    "results.json": b'{"mean_reward": -150.0, "std_reward": 1.5, "n_eval_episodes": 10}',
}


@dataclass(frozen=True)
class Source:
    """An honest source: its files, and the same without what no policy needs.

    Args:
        name: Of its folder, which tells the environment's id.
        whole: Its files by name.
        slim: The same, with a smaller zip.
    """

    name: str
    whole: Files
    slim: Files


@dataclass(frozen=True)
class Corpus:
    """All honest files.

    Args:
        sources: Those of all eras.
        folder: Where ports of them may be written.
    """

    sources: Sequence[Source]
    folder: Path
    parts: Mapping[str, Sequence[bytes]]

    @cached_property
    def zips(self) -> list[bytes]:
        """The small zips of all sources."""
        return [raw for source in self.sources for name, raw in source.slim.items() if name.endswith(".zip")]

    @cached_property
    def ports(self) -> dict[str, Files]:
        """The ports of all sources, by name."""
        return dict(filter(None, map(self._port, self.sources)))

    def _port(self, source: Source) -> tuple[str, Files] | None:
        place, port = self.folder / source.name, self.folder / f"{source.name}-port"
        put(place, source.whole | ({"config.yml": CONFIG} if "vec_normalize.pkl" in source.whole else {}))
        port.mkdir()
        try:
            write_port(read_checkpoint(resolve(str(place), SourceOptions())), port)
        except Sb3portError:  # it wants an option
            return None
        return source.name, taken(port)


def load_sources() -> list[Source]:
    """Load the fixtures that are small enough to be read many times a second."""
    places = [*(FIXTURES / "eras").glob("*/*"), FIXTURES / "hub" / "sb3port" / "ppo-CartPole-v1"]
    found = [_source(place) for place in sorted(places) if place.is_dir()]
    return [s for s in found if all(len(raw) < _MAX_ZIP for raw in s.slim.values())]


def _source(place: Path) -> Source:
    files = {path.name: path.read_bytes() for path in place.iterdir() if path.suffix in (".zip", ".pkl")}
    small = {name: slim(raw) if name.endswith(".zip") else raw for name, raw in files.items()}
    era = "" if place.parent.name == "sb3port" else f"-{place.parent.name}"
    return Source(f"{place.name}{era}", files, small)


def put(folder: Path, files: Files) -> None:
    """Write files into a folder that is made for them."""
    folder.mkdir(parents=True)
    for name, raw in files.items():
        path = folder / name
        if "/" in name:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def taken(folder: Path) -> Files:
    """Give the files of a folder by their names within it."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
