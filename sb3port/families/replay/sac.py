"""`SACPolicy`. Source: `stable_baselines3/sac/policies.py`."""

from sb3port.families.base import Network
from sb3port.families.replay.family import SDE_OPTIONS, replay_family
from sb3port.families.replay.kinds import CRITICS, GAUSSIAN

SAC = replay_family(
    "SACPolicy",
    "stable_baselines3.sac",
    ("sac",),
    (
        Network("actor", GAUSSIAN),
        Network("critic", CRITICS, shares="actor"),
        Network("critic_target", CRITICS, follows="critic"),
    ),
    options=SDE_OPTIONS,
    defaults={"squash_output": True, "log_std_init": -3.0},
)
