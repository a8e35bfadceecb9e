"""A features extractor whose code is the user's own, `module:Class`: its tensors tell what is known of it."""

import re
from collections.abc import Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.families.extractors.base import Extractor
from sb3port.families.names import EXTRACTOR

# The variable that says which of them commands may import; names are separated by commas.
VARIABLE = "LEROBOT_POLICY_PPO_EXTRACTORS"
# In place of a name, where the code is not needed or asked for later: the one by which the file has it.
BY_NAME = "*"
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
# The first layers after the features: where the LSTM is, where nothing else is.
_READERS = (
    "lstm_actor.weight_ih_l0",
    "mlp_extractor.shared_net.0.weight",
    "mlp_extractor.policy_net.0.weight",
    "action_net.weight",
    *(f"{net}.weight" for net in ("latent_pi.0", "latent_pi.1", "mu.0", "mu", "q_net.0", "quantile_net.0")),
)


def is_own(name: str) -> bool:
    """Whether a name is `module:Class`, and not that of an extractor in the registry."""
    return _NAME.fullmatch(name) is not None


def _needs_code(*_: object) -> Any:
    raise NotPortable("the code of a features extractor of one's own is not here")


def own_extractor(name: str, tensors: Mapping[str, Array]) -> Extractor:
    """Describe an extractor by the tensors of its policy.

    Which of them are parameters, only its code could tell.
    """
    below = {key.removeprefix(EXTRACTOR): a for key, a in tensors.items() if key.startswith(EXTRACTOR)}
    reader = next((tensors[key] for key in _READERS if key in tensors), None)
    width = reader.shape[1] if reader is not None and reader.ndim == 2 else 0
    module, _, cls = name.partition(":")
    return Extractor(
        name=cls,
        module=module,
        recognises=lambda *_: False,
        shapes=lambda *_: {key: array.shape for key, array in below.items()},
        features=lambda *_: width,
        build=_needs_code,
        dtypes={key: array.dtype.name for key, array in below.items()},
    )
