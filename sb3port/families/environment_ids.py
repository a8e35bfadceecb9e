"""Where the environments of old trainings are today, and how a command names them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The version that Gymnasium 1.0 and later have in the place of all earlier ones, which are gone.
_CURRENT = {
    "Acrobot": 1,
    "BipedalWalker": 3,
    "BipedalWalkerHardcore": 3,
    "Blackjack": 1,
    "CarRacing": 3,
    "FrozenLake": 1,
    "FrozenLake8x8": 1,
    "LunarLander": 3,
    "LunarLanderContinuous": 3,
    "Pendulum": 1,
}
# MuJoCo's v1 to v3 need a package that no current Python has; this is the version whose spaces are theirs.
_MUJOCO = {
    "Ant": 4,
    "HalfCheetah": 5,
    "Hopper": 5,
    "Humanoid": 4,
    "HumanoidStandup": 4,
    "InvertedDoublePendulum": 4,
    "InvertedPendulum": 5,
    "Pusher": 5,
    "Reacher": 4,
    "Swimmer": 5,
    "Walker2d": 5,
}
_LAST_OF_MUJOCO_PY = 3
_AS_BEFORE: Mapping[str, Mapping[str, Any]] = {"Ant": {"use_contact_forces": True}}
# Ids, what pip installs for them, and the module that registers them.
_PACKAGES = (
    (r"\w+BulletEnv-v\d+", "pybullet_envs_gymnasium", "pybullet_envs_gymnasium"),
    (r"ALE/.+|\w+NoFrameskip-v\d+|\w+Deterministic-v\d+|\w+-ram-v\d+", "ale-py", "ale_py"),
    (r"Panda\w+-v\d+", "panda-gym", "panda_gym"),
    (r"(?:Fetch|HandManipulate|HandReach|AntMaze|PointMaze|Adroit|FrankaKitchen)\w*-v\d+",
     "gymnasium-robotics", "gymnasium_robotics"),
    (r"(?:MiniGrid|BabyAI)-.+", "minigrid", "minigrid"),
    (r"MiniWorld-.+", "miniworld", "miniworld"),
    (r"(?:highway|merge|roundabout|parking|intersection|racetrack)(?:-fast)?-v\d+",
     "highway-env", "highway_env"),
    (r"seals/.+", "seals", "seals"),
    (r"dm_control/.+", "shimmy[dm-control]", "shimmy"),
)  # fmt: skip
_VERSIONED = re.compile(r"(?P<name>[\w-]+)-v(?P<version>\d{1,3})", re.ASCII)


@dataclass(frozen=True)
class Home:
    """Where an environment is today.

    Args:
        env_id: As commands name it, with the module that registers it where that is not Gymnasium.
        env_kwargs: Arguments that give it the spaces that it had.
        package: What pip installs for it, None where Gymnasium brings it or where that is not known.
    """

    env_id: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None


_LEROBOT = "lerobot:"


@dataclass(frozen=True)
class LeRobotId:
    """Which environment of LeRobot an id names, `lerobot:type` or `lerobot:module:type`.

    Args:
        kind: The type, as `--env.type` takes it in LeRobot's commands.
        module: What is imported before, None where LeRobot or a plugin of it knows the type.
    """

    kind: str
    module: str | None = None

    @property
    def text(self) -> str:
        """The id."""
        return ":".join(filter(None, ("lerobot", self.module, self.kind)))


def lerobot_id(env_id: str) -> LeRobotId | None:
    """Read the id of an environment of LeRobot, None for any other."""
    if not env_id.startswith(_LEROBOT):
        return None
    module, _, kind = env_id.removeprefix(_LEROBOT).rpartition(":")
    return LeRobotId(kind, module or None)


def home_of(env_id: str) -> Home:
    """Give where an environment is today; an id that is not known to have moved is where it was."""
    if ":" in env_id:
        return Home(env_id)
    for pattern, package, module in _PACKAGES:
        if re.fullmatch(pattern, env_id, re.ASCII):
            return Home(f"{module}:{env_id}", package=package)
    found = _VERSIONED.fullmatch(env_id)
    if found is None:
        return Home(env_id)
    name, version = found["name"], int(found["version"])
    if name in _MUJOCO and version <= _LAST_OF_MUJOCO_PY:
        return Home(f"{name}-v{_MUJOCO[name]}", _AS_BEFORE.get(name, {}))
    return Home(f"{name}-v{max(version, _CURRENT.get(name, version))}")
