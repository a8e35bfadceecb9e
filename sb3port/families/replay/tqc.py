"""`TQCPolicy`: SAC's actor, and critics that give quantiles. Source: `sb3_contrib/tqc/policies.py`."""

from sb3port.families.base import Network
from sb3port.families.replay.family import SDE_OPTIONS, replay_family
from sb3port.families.replay.kinds import GAUSSIAN, QUANTILE_CRITICS

TQC = replay_family(
    "TQCPolicy",
    "sb3_contrib.tqc",
    ("tqc",),
    (
        Network("actor", GAUSSIAN),
        Network("critic", QUANTILE_CRITICS, shares="actor"),
        Network("critic_target", QUANTILE_CRITICS, follows="critic"),
    ),
    options=SDE_OPTIONS,
    defaults={"squash_output": True, "log_std_init": -3.0},
)
