"""`QRDQNPolicy`. Source: `sb3_contrib/qrdqn/policies.py`."""

from sb3port.checkpoint.spaces import Discrete
from sb3port.families.base import Network
from sb3port.families.replay.family import replay_family
from sb3port.families.replay.kinds import QUANTILES

QRDQN = replay_family(
    "QRDQNPolicy",
    "sb3_contrib.qrdqn",
    ("qrdqn",),
    (Network("quantile_net", QUANTILES), Network("quantile_net_target", QUANTILES, follows="quantile_net")),
    actions=(Discrete,),
    options=("exploration_rate",),
)
