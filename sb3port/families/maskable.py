"""`MaskableActorCriticPolicy` of MaskablePPO. Source: `sb3_contrib/common/maskable/policies.py`."""

from sb3port.checkpoint.spaces import Discrete, MultiBinary, MultiDiscrete, Space
from sb3port.families.base import COMMON_OPTIONS, Family, action_outputs, class_names

_MODULE = "sb3_contrib.common.maskable"


def _outputs(space: Space) -> int:
    """Each binary action is a choice of two, so that either can be masked."""
    return 2 * space.size if isinstance(space, MultiBinary) else action_outputs(space)


MASKABLE = Family(
    "MaskableActorCriticPolicy",
    class_names(
        (f"{_MODULE}.policies",),
        (
            "MaskableActorCriticPolicy",
            "MaskableActorCriticCnnPolicy",
            "MaskableMultiInputActorCriticPolicy",
        ),
    )
    | class_names(("sb3_contrib.ppo_mask.policies",), ("MlpPolicy", "CnnPolicy", "MultiInputPolicy")),
    owns=lambda spec: spec.maskable,
    recognises=lambda _, imports: any(name.startswith(f"{_MODULE}.") for name in imports),
    options=COMMON_OPTIONS,
    infer=lambda _: {"maskable": True},
    actions=(Discrete, MultiDiscrete, MultiBinary),
    outputs=_outputs,
    latent_inputs=lambda _, features: features,
    shapes=lambda *_: {},
    algorithm="ppo_mask",
)
