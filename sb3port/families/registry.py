"""The families of policies; a new one is a file with a `Family` and a line here."""

from collections.abc import Collection

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.families.actor_critic import ACTOR_CRITIC
from sb3port.families.base import Family
from sb3port.families.maskable import MASKABLE
from sb3port.families.recurrent import RECURRENT
from sb3port.families.recurrent_maskable import RECURRENT_MASKABLE
from sb3port.families.replay.ars import ARS, ARS_LINEAR
from sb3port.families.replay.crossq import CROSSQ
from sb3port.families.replay.dqn import DQN
from sb3port.families.replay.qrdqn import QRDQN
from sb3port.families.replay.sac import SAC
from sb3port.families.replay.td3 import TD3
from sb3port.families.replay.tqc import TQC

# Most telling first: any policy would be recognised as an actor-critic.
FAMILIES = (
    *(SAC, TD3, DQN, QRDQN, TQC, CROSSQ, ARS, ARS_LINEAR),
    *(RECURRENT_MASKABLE, RECURRENT, MASKABLE, ACTOR_CRITIC),
)


def family_of(spec: PolicySpec) -> Family:
    """Give the family of a policy."""
    return next(family for family in FAMILIES if family.owns(spec))


def family_of_class(name: str) -> Family | None:
    """Give the family of one of SB3's or sb3-contrib's policy classes by its dotted name, else None."""
    return next((family for family in FAMILIES if name in family.classes), None)


def recognise_family(tensors: Collection[str], imports: Collection[str]) -> Family:
    """Tell the family of a class that is not SB3's.

    Args:
        tensors: Names of its tensors.
        imports: Dotted names of everything that the checkpoint would import.
    """
    names = frozenset(tensors), frozenset(imports)
    return next(family for family in FAMILIES if family.recognises(*names))
