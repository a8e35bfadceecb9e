"""`DQNPolicy`. Source: `stable_baselines3/dqn/policies.py`."""

from sb3port.checkpoint.spaces import Discrete
from sb3port.families.base import Network
from sb3port.families.replay.family import replay_family
from sb3port.families.replay.kinds import CHOICES

DQN = replay_family(
    "DQNPolicy",
    "stable_baselines3.dqn",
    ("dqn",),
    (Network("q_net", CHOICES), Network("q_net_target", CHOICES, follows="q_net")),
    actions=(Discrete,),
    options=("exploration_rate",),
)
