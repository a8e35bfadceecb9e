"""Policies with an LSTM and with masks: both of sb3-contrib's in one, of which it has none itself.

Several forks have such a class, and forbid what a mask forbids after the LSTM as MaskablePPO does after its
layers. It is none of SB3's, so that the user has to vouch for it.
"""

from dataclasses import replace

from sb3port.families.base import COMMON_OPTIONS
from sb3port.families.maskable import MASKABLE
from sb3port.families.recurrent import RECURRENT


def _is_masked_policy(name: str) -> bool:
    """Whether a dotted name is that of a policy with masks: the author's class says it in its name alone."""
    last = name.rpartition(".")[2].lower()
    return "mask" in last and "policy" in last


RECURRENT_MASKABLE = replace(
    RECURRENT,
    name="RecurrentMaskableActorCriticPolicy",
    classes=frozenset(),
    owns=lambda spec: RECURRENT.owns(spec) and MASKABLE.owns(spec),
    recognises=lambda tensors, imports: (
        RECURRENT.recognises(tensors, imports)
        and (MASKABLE.recognises(tensors, imports) or any(map(_is_masked_policy, imports)))
    ),
    options=COMMON_OPTIONS,
    infer=lambda tensors: {**RECURRENT.infer(tensors), **MASKABLE.infer(tensors)},
    actions=MASKABLE.actions,
    outputs=MASKABLE.outputs,
)
