"""`CrossQPolicy`: SAC's networks with BatchRenorm, without targets.

Source: `sb3_contrib/crossq/policies.py`.
"""

from sb3port.families.base import Network
from sb3port.families.replay.family import SDE_OPTIONS, replay_family
from sb3port.families.replay.kinds import CRITICS, GAUSSIAN

CROSSQ = replay_family(
    "CrossQPolicy",
    "sb3_contrib.crossq",
    ("crossq",),
    (Network("actor", GAUSSIAN), Network("critic", CRITICS, shares="actor")),
    options=(*SDE_OPTIONS, "batch_norm_momentum", "batch_norm_eps", "renorm_warmup_steps"),
    defaults={"squash_output": True, "log_std_init": -3.0},
)
