"""`RecurrentActorCriticPolicy` of RecurrentPPO. Source: `sb3_contrib/common/recurrent/policies.py`.

The critic has an LSTM of its own, shares the actor's (`shared_lstm`), or has a Linear layer in its place. The
tensors decide: sb3-contrib 1.6.0 shifted the arguments, so that CNN and Dict policies shared theirs whatever
was asked for.
"""

import re
from collections.abc import Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.families.actor_critic import ACTOR_CRITIC
from sb3port.families.base import ANY_ACTION, Family, action_outputs, class_names
from sb3port.families.layers import Shapes, linear, lstm

_HIDDEN = re.compile(r"lstm_actor\.weight_hh_l[0-9]{1,2}")


def _infer(tensors: Mapping[str, Array]) -> dict[str, Any]:
    layers = [array for name, array in tensors.items() if _HIDDEN.fullmatch(name)]
    has_lstm, has_linear = (
        any(name.startswith(prefix) for name in tensors) for prefix in ("lstm_critic.", "critic.")
    )
    return {
        "lstm_hidden_size": layers[0].shape[-1] if layers and layers[0].ndim else 0,
        "n_lstm_layers": len(layers),
        "enable_critic_lstm": has_lstm,
        "shared_lstm": not has_lstm and not has_linear,
    }


def _shapes(spec: PolicySpec, features: int) -> Shapes:
    hidden = spec.lstm_hidden_size or 0
    shapes = lstm("lstm_actor", features, hidden, spec.n_lstm_layers)
    if spec.enable_critic_lstm:
        return shapes | lstm("lstm_critic", features, hidden, spec.n_lstm_layers)
    return shapes if spec.shared_lstm else shapes | linear("critic", features, hidden)


RECURRENT = Family(
    "RecurrentActorCriticPolicy",
    class_names(
        ("sb3_contrib.common.recurrent.policies",),
        (
            "RecurrentActorCriticPolicy",
            "RecurrentActorCriticCnnPolicy",
            "RecurrentMultiInputActorCriticPolicy",
        ),
    )
    | class_names(
        ("sb3_contrib.ppo_recurrent.policies",), ("MlpLstmPolicy", "CnnLstmPolicy", "MultiInputLstmPolicy")
    ),
    owns=lambda spec: spec.lstm_hidden_size is not None,
    recognises=lambda tensors, _: any(name.startswith("lstm_actor.") for name in tensors),
    options=ACTOR_CRITIC.options,
    infer=_infer,
    actions=ANY_ACTION,
    outputs=action_outputs,
    latent_inputs=lambda spec, _: spec.lstm_hidden_size or 0,
    shapes=_shapes,
    algorithm="ppo_lstm",
)
