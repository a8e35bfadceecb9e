"""`ARSPolicy` and `ARSLinearPolicy`, one network without a critic. Source: `sb3_contrib/ars/policies.py`."""

from sb3port.checkpoint.spaces import Box, Discrete
from sb3port.families.base import Network
from sb3port.families.replay.family import replay_family
from sb3port.families.replay.kinds import PLAIN

_NETWORKS = (Network("", PLAIN),)

ARS = replay_family(
    "ARSPolicy",
    "sb3_contrib.ars",
    ("ars",),
    _NETWORKS,
    actions=(Box, Discrete),
    options=("squash_output",),
    defaults={"squash_output": True},
    others=("MlpPolicy",),
)
ARS_LINEAR = replay_family(
    "ARSLinearPolicy",
    "sb3_contrib.ars",
    ("ars",),
    _NETWORKS,
    actions=(Box, Discrete),
    options=("squash_output",),
    defaults={"squash_output": False},
    others=("LinearPolicy",),
)
