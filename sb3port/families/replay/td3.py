"""`TD3Policy`, which DDPG has, too. Source: `stable_baselines3/td3/policies.py`."""

from sb3port.families.base import Network
from sb3port.families.replay.family import replay_family
from sb3port.families.replay.kinds import CRITICS, SQUASHED

TD3 = replay_family(
    "TD3Policy",
    "stable_baselines3.td3",
    ("td3", "ddpg"),
    (
        Network("actor", SQUASHED),
        Network("actor_target", SQUASHED, follows="actor"),
        Network("critic", CRITICS, shares="actor"),
        Network("critic_target", CRITICS, follows="critic", shares="actor_target"),
    ),
    defaults={"squash_output": True},
)
